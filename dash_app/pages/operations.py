"""What is done to the platform, and what was? Every operation, and one with its plan, stages, log and buttons (`operate*.js`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.pages.elements import copied, data
from dash_app.pages.grid import grid

if TYPE_CHECKING:
    from dash.development.base_component import Component

_COLUMNS = (
    ("operation", "Its own page has its plan, its stages and its log"),
    ("kind", ""),
    ("stream", ""),
    ("state", ""),
    ("stages done", ""),
    ("rows/s", "Of the last 20 seconds, while it runs"),
    ("what", "What it does, waits for, or why it ended"),
    ("by", "Who asked for it"),
    ("asked", "When"),
)


def operations_page() -> Component:
    """Every operation, the newest first."""
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Operations"),
                    html.P(
                        "Backfills, rollbacks, trials, promotions, load tests and maintenance: what runs, and what has run.",
                        className="quiet",
                    ),
                ]
            ),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("All"),
                            html.Div(copied("tidegate operations ls"), className="verdict"),
                        ],
                        className="card-head",
                    ),
                    worker_said(),
                    html.P("Not known yet.", className="quiet asking", role="status", **data(operations_said="all")),
                    grid("operations", "Operations"),
                ],
                className="card",
            ),
        ],
        **data(topics="overview operations"),
    )


def operation_page(name: str) -> Component:
    """One operation."""
    return html.Div(
        [
            html.Header([html.P(dcc.Link("Operations", href="/operations", className="more"), className="quiet")]),
            html.Section(
                [worker_said(), html.Div(className="operation", **data(operation_page=name))], className="card"
            ),
        ],
        **data(topics="overview operations"),
    )


def operations_table(kinds: str, stream: str = "", *, is_here: bool = False) -> Component:
    """A list of operations, of some kinds (`all`, or names with spaces between) and of one stream or all.

    `is_here`: its page shows the one that is chosen, instead of leading to the operation's own page.
    """
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in _COLUMNS]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(_COLUMNS), className="is-unknown")))
    here = data(here="yes") if is_here else {}
    table = html.Table([head, body], className="operations-table", **data(operations=kinds, stream=stream), **here)
    return html.Div(table, className="scrolls")


def worker_said() -> Component:
    """Where it is said that nobody is there to plan or run."""
    live: dict[str, Any] = {"aria-live": "polite"}
    return html.P(
        hidden=True, role="status", className="part-reason is-unknown", **live, **data(operations_worker="all")
    )
