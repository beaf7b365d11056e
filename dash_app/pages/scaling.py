"""How many executors has each part, how many should it have, why, and who says so? `scaling.js` and `scaling_ask.js` fill it in.

What is scaled is known to the control plane; a part that it does not name is not scaled, and its card says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.figures import empty_figure
from dash_app.pages.elements import copied, data, unknown

if TYPE_CHECKING:
    from dash.development.base_component import Component

TARGETS = ("lake",)
_CHANGES = (
    ("when", "UTC"),
    ("executors", "How many there were, how many were wanted from then on"),
    ("by", "The autoscaler, or the operator who ordered it"),
    ("rule", "Number of the rule that decided"),
    ("done", "A dry run says what it would do, and does nothing"),
    ("because", ""),
)
_FIELDS = (
    ("least", "Least", "number", "Never fewer executors"),
    ("most", "Most", "number", "Never more executors"),
    ("low", "Busy from", "number", "Share of time that executors work, per cent: below it there are too many"),
    ("high", "to", "number", "Per cent: above it there are too few"),
    ("catch_up", "Caught up in", "text", "A backlog is to be gone after so long, such as 5m"),
    ("out_cool_down", "Out again after", "text", "Between a change and a further step out, such as 30s"),
    ("in_cool_down", "In after", "text", "So long there must have been too many before a step in, such as 3m"),
    ("out_step", "Steps out of", "number", "Executors that are added at once, at most"),
    ("in_step", "in of", "number", "Executors that are taken away at once, at most"),
    ("events_per_s", "Events/s an executor", "number", "What one executor is known to do; empty: it is measured"),
)


def scaling_page() -> Component:
    """Every target."""
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Scaling"),
                    copied("tidegate scaling ls"),
                    html.P(
                        "How many executors there are, how many there should be, and why. The part itself acts, at the end "
                        "of a micro-batch.",
                        className="quiet",
                    ),
                ]
            ),
            *(_card(target) for target in TARGETS),
        ],
        **data(topics="overview scaling lag"),
    )


def _card(target: str) -> Component:
    live: dict[str, Any] = {"aria-live": "polite"}
    return html.Section(
        [
            html.Div(
                [
                    html.H2(target),
                    html.Span(**data(scaling_port=target)),
                    html.Div([unknown("badge", scaling_mode=target)], className="verdict"),
                ],
                className="card-head",
            ),
            html.P(className="scaling-reason is-unknown", hidden=True, **data(scaling_reason=target)),
            html.Div(html.Span("Not known yet.", className="is-unknown"), **data(scaling_now=target)),
            html.Div(
                [html.H3("How it was"), html.Span(className="quiet", **data(scaling_history=target))],
                className="section-head",
            ),
            html.Div(
                [
                    _chart(target, "executors", "Executors: there, and wanted"),
                    _chart(target, "load", "Seconds behind, and events a second that arrive and that are taken"),
                ],
                className="charts scaling-charts",
            ),
            html.H3("Say how many", className="section-head"),
            _manual(target),
            html.H3("What the autoscaler may do", className="section-head"),
            _policy(target),
            html.Div(role="status", className="scaling-said", **{**live, **data(scaling_said=target)}),
            html.H3("Changes", className="section-head"),
            _table(target),
        ],
        className="card scaling",
        id=f"scaling-{target}",
        **data(scaling=target),
    )


def _chart(target: str, name: str, title: str) -> Component:
    graph = dcc.Graph(
        id=f"scaling-chart-{target}-{name}",
        figure=empty_figure(),
        config={"displayModeBar": False, "responsive": True},
        className="chart",
    )
    shown = data(scaling_chart=f"{target} {name}")
    return html.Div([html.Div(title, className="chart-title"), graph], className="chart-box", **shown)


def _manual(target: str) -> Component:
    """Two steps: what would change and what stands against it, then the order."""
    return html.Div(
        [
            html.Div(
                [
                    html.Label(["Executors ", _field(target, "executors", "number", "So many")]),
                    html.Label(
                        ["for ", _field(target, "for", "text", "How long, such as 30m; empty: until given back")]
                    ),
                    html.Button(
                        "Plan",
                        type="button",
                        className="copy",
                        **data(scaling_ask="plan", target=target, needs="operate"),
                    ),
                    html.Button(
                        "Give back",
                        type="button",
                        className="copy",
                        hidden=True,
                        **data(scaling_ask="release", target=target, needs="operate"),
                    ),
                    html.Span(className="cli", **data(scaling_cli=f"{target} scale")),
                ],
                className="asks",
            ),
            html.Div(role="status", **{"aria-live": "polite", **data(scaling_plan=target)}),
        ]
    )


def _policy(target: str) -> Component:
    switches = [
        html.Button(label, type="button", className="copy", **data(scaling_ask=ask, target=target, needs="approve"))
        for ask, label in (("on", "On"), ("dry-run", "Dry run"), ("off", "Off"))
    ]
    fields = [html.Label([f"{label} ", _field(target, name, kind, what)]) for name, label, kind, what in _FIELDS]
    return html.Div(
        [
            html.Div(
                [
                    html.Span(switches, className="spans"),
                    html.Span(className="quiet", **data(scaling_switch=target)),
                    html.Span(className="cli", **data(scaling_cli=f"{target} switch")),
                ],
                className="asks",
            ),
            html.Div(
                [
                    *fields,
                    html.Button(
                        "Set",
                        type="button",
                        className="copy",
                        **data(scaling_ask="set", target=target, needs="approve"),
                    ),
                    html.Button(
                        "As it is", type="button", className="copy", **data(scaling_ask="reset", target=target)
                    ),
                    html.Span(className="cli", **data(scaling_cli=f"{target} set")),
                ],
                className="asks scaling-fields",
            ),
        ]
    )


def _field(target: str, name: str, kind: str, what: str) -> Component:
    """Where `scaling_ask.js` puts an input of its own: what is typed is none of Dash's business."""
    return html.Span(**data(scaling_field=f"{target} {name}", kind=kind, what=what))


def _table(target: str) -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in _CHANGES]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(_CHANGES), className="is-unknown")))
    return html.Div(
        html.Table([head, body], className="scaling-changes", **data(scaling_changes=target)), className="scrolls"
    )
