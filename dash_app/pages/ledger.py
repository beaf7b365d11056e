"""What does the ledger look like? For each stream: what does not add up, then how it was, then every partition's account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dash_app.pages.elements import copied, data, no_such_stream, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_COLUMNS = (
    ("partition", "Partition of the raw topic"),
    ("raw offsets", "Offsets of the raw topic that are accounted for, the last included; transactions leave holes"),
    ("settled until", "Raw offset up to which every hop has passed: below it all adds up, or is listed as a mismatch"),
    ("produced", "Events in the raw topic, counted by reading it"),
    ("valid", "Events that route passed on"),
    ("dead", "Events that could not be decoded"),
    ("quarantined", "Events that broke a rule"),
    ("lake", "Valid events in the Delta table"),
    ("serving", "Valid events in ClickHouse"),
    ("difference", "What is missing (-) or too many (+): routed against produced, lake and serving against valid"),
)


def ledger_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Every stream's ledger, or one."""
    if name is not None and name not in streams:
        return no_such_stream(streams, name)
    shown = streams if name is None else {name: streams[name]}
    others = "" if name is None else dcc.Link("All ledgers", href="/ledger", className="more")
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Ledger"),
                    copied("tidegate ledger"),
                    html.P(
                        [
                            "Is every event that was produced accounted for, once, in the lake and in ClickHouse?",
                            *others,
                        ],
                        className="quiet",
                    ),
                ]
            ),
            *(ledger_card(stream) for stream in shown.values()),
        ],
        className="ledgers",
        **data(topics="overview ledger"),
    )


def ledger_card(stream: StreamDefinition) -> Component:
    """One stream's account."""
    name = stream.name
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(stream.title, href=f"/ledger/{name}")),
                    html.Code(name, className="quiet"),
                    html.Span(className="quiet", **data(ledger_taken=name)),
                    html.Div([unknown("badge", ledger_verdict=name)], className="verdict"),
                ],
                className="card-head",
            ),
            html.P(unknown("", ledger_reason=name), className="sentence"),
            html.Div(**data(ledger_mismatches=name)),
            html.Div(
                [
                    html.Div(
                        [html.Span(**data(**{f"ledger_{what}": name})) for what in ("from", "summary", "until")],
                        className="strip-ends",
                    ),
                    html.Div(className="strip", role="img", **data(ledger_history=name)),
                ]
            ),
            html.Div(
                html.Table(
                    [
                        html.Thead(html.Tr([html.Th(title, title=what) for title, what in _COLUMNS])),
                        html.Tbody(
                            html.Tr(html.Td("No account has come yet.", colSpan=len(_COLUMNS), className="quiet"))
                        ),
                    ],
                    className="account",
                    **data(ledger_table=name),
                ),
                className="scrolls",
            ),
        ],
        className="card ledger",
        id=f"ledger-{name}",
        **data(ledger=name),
    )
