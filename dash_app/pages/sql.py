"""What does a query find, in ClickHouse or in the lake as it is or was? `sql.js` fills it in; nothing can be changed from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from dash_app.pages.elements import data
from dash_app.pages.grid import grid

if TYPE_CHECKING:
    from dash.development.base_component import Component

ENGINES = (("clickhouse", "ClickHouse"), ("lake", "Lake"))


def sql_page() -> Component:
    """Editor, what can be asked, the answer, what was asked before."""
    live: dict[str, Any] = {"aria-live": "polite"}
    what = "One statement that only reads. Every query is on the audit record; Ctrl+Enter runs it."
    engines = [
        html.Button(label, type="button", className="copy", **data(sql_engine=engine)) for engine, label in ENGINES
    ]
    return html.Div(
        [
            html.Header([html.H1("SQL"), html.P(what, className="quiet")]),
            html.Div(
                [
                    html.Section(
                        [
                            html.Div(
                                [
                                    html.Span(engines, className="choices"),
                                    html.Span(className="quiet", **data(sql_limits="all")),
                                ],
                                className="sql-head",
                            ),
                            html.Div(**data(sql_editor="text")),
                            html.Div(
                                [
                                    html.Button("Run", type="button", className="copy sql-run", **data(sql_run="run")),
                                    html.Span(**data(sql_fields="all")),
                                    html.Span(className="cli", **data(sql_cli="all")),
                                ],
                                className="asks",
                            ),
                        ],
                        className="card sql",
                    ),
                    html.Section(
                        [
                            html.Div([html.H2("Tables")], className="card-head"),
                            html.Div("Asking ...", className="quiet asking", **data(sql_tables="all")),
                        ],
                        className="card sql sql-tables",
                    ),
                ],
                className="sql-desk",
            ),
            html.Section(
                [
                    html.Div(
                        [html.H2("Answer"), html.Span(className="quiet", **data(sql_age="answer"))],
                        className="card-head",
                    ),
                    html.P(
                        "Nothing was asked yet.", className="quiet", role="status", **{**live, **data(sql_said="all")}
                    ),
                    html.Div(grid("sql", "Rows of the answer"), className="sql-rows", **data(sql_answer="all")),
                ],
                className="card sql",
            ),
            html.Section(
                [
                    html.Div([html.H2("Asked before")], className="card-head"),
                    html.Div("Asking ...", className="quiet asking", **data(sql_history="all")),
                ],
                className="card sql",
            ),
        ],
        **data(topics="overview"),
    )
