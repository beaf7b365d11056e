"""Which days are made anew, how far are they, and what would a further backfill do? `operate_backfills.js` fills it in.

Launched in two steps: the form asks for a plan, and the dialog of operations shows it and takes the typed confirmation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dash_app.pages.elements import copied, data, no_such_stream
from dash_app.pages.operations import operations_table, worker_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition


_LIST = "tidegate operations ls --kind backfill"
_SCHEDULES = (
    ("schedule", ""),
    ("when", "Five fields of a crontab, UTC"),
    ("asks for", ""),
    ("next", "When it asks next"),
    ("last", "The operation that it has asked for last"),
    ("then", "Whether somebody has to confirm the plan"),
    ("", "By whom, or why its last run asked for nothing"),
    ("", ""),
)


def backfills_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Backfills of every stream, or of one."""
    if name is not None and name not in streams:
        return no_such_stream(streams, name)
    named = [name] if name else list(streams)
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Backfills"),
                    html.P("Days of a stream made anew by today's definition, while live goes on.", className="quiet"),
                ]
            ),
            _card("A further one", html.Div(**data(backfills_form=" ".join(named)))),
            html.Section(
                html.Div(className="operation", **data(backfills_one=name or "")), className="card", hidden=True
            ),
            _card("All", worker_said(), operations_table("backfill", name or "", is_here=True), cli=_LIST),
            _card(
                "Again and again",
                html.P(
                    "A schedule asks for an operation, and its plan waits for somebody unless it confirms itself. What is asked "
                    "for is what stands in the form above.",
                    className="quiet",
                ),
                html.Div(**data(backfills_schedule="all")),
                html.P(role="status", className="scaling-said", **data(backfills_said="all")),
                _schedules(),
                cli="tidegate operations schedule ls",
            ),
        ],
        className="backfills",
        **data(topics="overview operations"),
    )


def _card(title: str, *inside: Component, cli: str = "") -> Component:
    said = [html.Div(copied(cli), className="verdict")] if cli else []
    return html.Section([html.Div([html.H2(title), *said], className="card-head"), *inside], className="card")


def _schedules() -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in _SCHEDULES]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(_SCHEDULES), className="is-unknown")))
    return html.Div(html.Table([head, body], **data(backfills_schedules="all")), className="scrolls")
