"""Who did what to what, and is the record as it was written? `record.js` fills it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from dash_app.pages.elements import data, unknown
from dash_app.pages.grid import grid

if TYPE_CHECKING:
    from dash.development.base_component import Component


def audit_page() -> Component:
    """The chain's verdict, the entries that fit a filter, and one of them whole."""
    live: dict[str, Any] = {"aria-live": "polite"}
    what = "Everything that was changed or asked for, and what was refused. Nothing here can be changed or taken out unseen."
    return html.Div(
        [
            html.Header([html.H1("Audit"), html.P(what, className="quiet")]),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("Chain of hashes"),
                            html.Span(className="quiet", **data(record_age="chain")),
                            html.Div([unknown("badge", record_verdict="chain")], className="verdict"),
                        ],
                        className="card-head",
                    ),
                    html.P(
                        "Asking ...", className="quiet asking", role="status", **{**live, **data(record_chain="all")}
                    ),
                    html.Div(
                        [
                            html.Button(
                                "Verify now",
                                type="button",
                                className="copy",
                                **data(record_verify="all", needs="audit"),
                            ),
                            html.Span(className="cli", **data(record_cli="verify")),
                        ],
                        className="asks",
                    ),
                ],
                className="card record",
            ),
            html.Section(className="card record", hidden=True, **data(record_entry="one")),
            html.Section(
                [
                    html.Div(
                        [html.H2("Entries"), html.Span(className="quiet", **data(record_age="entries"))],
                        className="card-head",
                    ),
                    html.Div(className="record-filter", **data(record_filter="all")),
                    html.P(
                        "Asking ...", className="quiet asking", role="status", **{**live, **data(record_said="entries")}
                    ),
                    html.Div(
                        grid("audit", "Entries of the audit record"),
                        className="record-entries",
                        **data(record_entries="all"),
                    ),
                    html.Div(
                        [
                            html.Button(
                                "More", type="button", className="copy", hidden=True, **data(record_more="all")
                            ),
                            html.Span(className="cli", **data(record_cli="ls")),
                        ],
                        className="asks",
                    ),
                ],
                className="card record",
            ),
        ],
        **data(topics="overview"),
    )
