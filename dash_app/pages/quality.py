"""How good is the data? For each stream its gates: verdict, policy, suite, breaker; rule by rule; and how it was before.

`quality.js` fills it in: how the gates stand is pushed, how they have stood is asked of the control plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.figures import empty_figure
from dash_app.pages.elements import copied, data, no_such_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_GATES = (
    ("gate", "Where it stands: ingest judges each row, lake each micro-batch, rollup and serving closed windows"),
    ("verdict", "The last one; of what, and when"),
    ("policy", "What happens to what a critical rule does not let through"),
    ("suite", "Fingerprint of the suite in use, and since when"),
    ("breaker", "Pauses the stage when too much is turned away"),
    ("time", "The gate's share of its stage's time, over its last verdicts"),
    ("", ""),
)


def quality_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Every stream's gates, or one's."""
    if name is not None and name not in streams:
        return no_such_stream(streams, name)
    shown = streams if name is None else {name: streams[name]}
    others: list[Any] = [] if name is None else [" ", dcc.Link("All streams", href="/quality", className="more")]
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Quality"),
                    copied("tidegate gate ls"),
                    html.P(
                        ["What the gates let through, what they turn away, and by which rule.", *others],
                        className="quiet",
                    ),
                    html.Div(html.Span(className="docs", **data(quality_docs="all")), className="spans"),
                ]
            ),
            *(quality_card(stream) for stream in shown.values()),
        ],
        **data(topics="overview quality"),
    )


def quality_card(stream: StreamDefinition) -> Component:
    """One stream's gates, drawn by `quality.js`."""
    name = stream.name
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in _GATES]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(_GATES), className="is-unknown")))
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(stream.title, href=f"/quality/{name}")),
                    html.Code(name, className="quiet"),
                    html.Div(
                        dcc.Link("Quarantine", href=f"/quarantine/{name}", className="more quiet"), className="verdict"
                    ),
                ],
                className="card-head",
            ),
            html.Div(
                html.Table([head, body], className="gates", **data(quality_gates=name)),
                className="scrolls",
            ),
            html.Div(role="status", className="quality-said", **{"aria-live": "polite", **data(quality_said=name)}),
            html.Div(
                [html.H3("Verdicts over time"), html.Span(className="quiet", **data(quality_reason=name))],
                className="section-head",
            ),
            html.Div(**data(quality_strips=name)),
            _chart(name, stream.service_levels.validity),
            html.H3("Rules", className="section-head"),
            html.Div(**data(quality_rules=name)),
            html.Details(
                [html.Summary("Suites that were in use"), html.Div(**data(quality_suites=name))], className="subject"
            ),
        ],
        className="card quality",
        id=f"quality-{name}",
        **data(quality=name),
    )


def _chart(name: str, validity: float) -> Component:
    """The share of events that route turned away, by minute; the service level is a line in it."""
    return html.Div(
        [
            html.Div(
                [
                    "Turned away by route, share of each minute's events",
                    html.Span(f" (service level: at most {100 * (1 - validity):.3g} %)", className="quiet"),
                    html.Span(**data(quality_share=name)),
                ],
                className="chart-title",
            ),
            dcc.Graph(
                id=f"quality-chart-{name}",
                figure=empty_figure(),
                config={"displayModeBar": False, "responsive": True},
                className="chart",
            ),
        ],
        className="chart-box",
        **data(quality_chart=name, validity=str(validity)),
    )
