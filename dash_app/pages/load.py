"""How much does it carry, and how soon is it back afterwards? Load tests: one is begun, watched while it runs, and compared.

`load.js` has the form and the run that is watched, `load_runs.js` those that there were. A load test is an operation: the dialog of
operations shows its plan and takes the typed confirmation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dash_app.figures import empty_figure
from dash_app.pages.elements import copied, data
from dash_app.pages.operations import operations_table, worker_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_RUNS = (
    ("", "Two that are ticked are compared"),
    ("run", "Its operation has its plan, its stages and its log"),
    ("stream", ""),
    ("load", ""),
    ("begun", ""),
    ("sent", ""),
    ("accepted/s", "At the peak, the median of its seconds"),
    ("p99", "Response at the peak, since an event was due"),
    ("back after", "Until the last query's lag was what it had been, from the end of the peak on"),
    ("verdict", ""),
    ("", ""),
)


def load_page(streams: Mapping[str, StreamDefinition]) -> Component:
    """Load tests of every stream, of the console and of the hub."""
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Load tests"),
                    html.P(
                        "Real events, requests or watchers, as many as a shape says; what that does to every hop.",
                        className="quiet",
                    ),
                ]
            ),
            _card(
                "A further one",
                worker_said(),
                html.Div(**data(load_form=" ".join(streams))),
                html.P(role="status", className="load-said quiet", **data(load_said="form")),
                _chart("curve", "What it would look like"),
            ),
            html.Section(
                [
                    html.Div(
                        [html.H2("This run"), html.Span(className="quiet", **data(load_now="id"))],
                        className="card-head",
                    ),
                    _chart("rates", "Offered, accepted and refused a second; seconds behind (right)"),
                    _chart("times", "Milliseconds: response since an event was due, and event to pixel"),
                    _chart("scale", "Executors; events that wait in the collector (right)"),
                    html.P(role="status", className="load-said quiet", **data(load_said="run")),
                    html.Ul(className="load-judgements", **data(load_judged="run")),
                    html.Div(className="operation", **data(load_one="id")),
                ],
                className="card load-run",
                hidden=True,
            ),
            _card("Runs", _runs(), cli="tidegate load ls"),
            html.Section(
                [
                    html.Div([html.H2("Two runs"), html.Span(**data(load_compared="cli"))], className="card-head"),
                    html.Div(**data(load_compared="figures")),
                    _chart("compared", "Accepted a second; response p99 in milliseconds (right)"),
                ],
                className="card load-compared",
                hidden=True,
            ),
            _card(
                "All that were asked for", operations_table("load_test"), cli="tidegate operations ls --kind load_test"
            ),
        ],
        className="loads",
        **data(topics="overview operations"),
    )


def _card(title: str, *inside: Component, cli: str = "") -> Component:
    said = [html.Div(copied(cli), className="verdict")] if cli else []
    return html.Section([html.Div([html.H2(title), *said], className="card-head"), *inside], className="card")


def _runs() -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in _RUNS]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(_RUNS), className="is-unknown")))
    return html.Div(html.Table([head, body], **data(load_runs="all")), className="scrolls")


def _chart(name: str, title: str) -> Component:
    """Over seconds since the start, not over the time of day."""
    figure = empty_figure().update_xaxes(type="linear", ticksuffix=" s")
    graph = dcc.Graph(
        id=f"load-chart-{name}", figure=figure, config={"displayModeBar": False, "responsive": True}, className="chart"
    )
    return html.Div([html.Div(title, className="chart-title"), graph], className="chart-box", **data(load_chart=name))
