"""How old is an event when each hop has it, up to the pixel, and what is left of what was promised? `latency.js` fills it in.

One card a stream, and one for the probes. An address may name a stream, and one of its hops: `/latency/shop?hop=served`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from controlplane.contract.latency import PROBE, WINDOWS
from dash_app.figures import empty_figure
from dash_app.pages.elements import data, no_such_stream, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

PROBES = "probes"
"""What an address calls them."""


def latency_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Every stream and the probes, or the one that is named."""
    if name is not None and name not in (*streams, PROBES):
        return no_such_stream(streams, name)
    titles = {**{each: stream.title for each, stream in streams.items()}, PROBES: "Probes"}
    shown = titles if name is None else {name: titles[name]}
    others: list[Any] = [] if name is None else [" ", dcc.Link("All streams", href="/latency", className="more")]
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Latency"),
                    html.P(
                        ["How old an event is when each hop has it, from the producer to the pixel.", *others],
                        className="quiet",
                    ),
                    html.Div(
                        [
                            html.Span("of the last ", className="quiet"),
                            *(
                                html.Button(each, type="button", className="copy", **data(latency_window=each))
                                for each in WINDOWS
                            ),
                        ],
                        className="spans",
                    ),
                ]
            ),
            html.P(["In this browser now: ", unknown("figure", latency_here="here")], className="latency-here"),
            *(_card(each, title) for each, title in shown.items()),
        ],
        **data(topics="overview latency"),
    )


def _card(name: str, title: str) -> Component:
    stream = PROBE if name == PROBES else name
    return html.Section(
        [
            html.Div(
                [
                    html.H2(title),
                    html.Span(className="quiet", **data(latency_since=stream)),
                    html.Div(html.Span(**data(latency_cli=stream)), className="verdict"),
                ],
                className="card-head",
            ),
            html.Div(html.Span("Not known yet.", className="is-unknown"), **data(latency_bars=stream)),
            html.Div(className="scrolls", tabIndex="0", **data(latency_hops=stream)),
            html.Div(
                [
                    html.H3(className="section-head", **data(latency_opened=stream)),
                    html.Div(**data(latency_histogram=stream)),
                    _chart(stream),
                    html.P(className="quiet", **data(latency_history=stream)),
                ],
                className="latency-open",
            ),
            html.Div(className="scrolls", tabIndex="0", **data(latency_burns=stream)),
        ],
        className="card latency",
        id=f"latency-{name}",
        **data(latency_card=stream),
    )


def _chart(stream: str) -> Component:
    graph = dcc.Graph(
        id=f"latency-chart-{stream}",
        figure=empty_figure(),
        config={"displayModeBar": False, "responsive": True},
        className="chart",
    )
    return html.Div(
        [html.Div("Median and 99th percentile over time", className="chart-title"), graph],
        className="chart-box",
        **data(latency_chart=stream),
    )
