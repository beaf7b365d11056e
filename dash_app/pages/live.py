"""What does a stream's live page look like? Its rollups: headline totals, and a chart a measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dash_app.figures import empty_figure
from dash_app.pages.elements import copied, data, no_such_stream, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import Measure, Rollup, StreamDefinition


def live_page(streams: Mapping[str, StreamDefinition], name: str) -> Component:
    """A stream's rollups: headline totals, then a chart a measure."""
    stream = streams.get(name)
    if stream is None:
        return no_such_stream(streams, name)
    topics = " ".join(["overview", *(f"live/{name}/{rollup}" for rollup in stream.rollups)])
    return html.Div(
        [
            html.Header(
                [
                    html.H1(stream.title),
                    copied(f"tidegate streams show {stream.name}"),
                    html.P([stream.description], className="quiet"),
                    html.P(
                        ["newest event ", unknown("figure", newest=name), " · event → pixel ",
                         unknown("figure", latency="event_to_pixel"), " · ",
                         html.A("Wall board", href="/live", target="_blank", className="more")],
                        className="quiet",
                    ),
                ]
            ),
            *(rollup_card(name, key, rollup) for key, rollup in stream.rollups.items()),
        ],
        **data(topics=topics),
    )  # fmt: skip


def rollup_card(stream: str, key: str, rollup: Rollup) -> Component:
    """One rollup: totals over its span, the first measure by key over time, the others below."""
    topic = f"live/{stream}/{key}"
    names = list(rollup.measures)
    return html.Section(
        [
            html.Div(
                [
                    html.H2(rollup.title),
                    html.Span(f"last {_span(rollup)} of event time", className="quiet"),
                    html.Span(className="card-reason", hidden=True, **data(rollup_reason=topic)),
                ],
                className="card-head",
            ),
            html.Div([total(topic, name, rollup.measures[name]) for name in names], className="totals"),
            html.Div([chart(topic, name, rollup.measures[name], wide=number == 0) for number, name in enumerate(names)],
                     className="charts"),
        ],
        className="card",
        **data(rollup=topic),
    )  # fmt: skip


def total(topic: str, name: str, measure: Measure) -> Component:
    """A headline number."""
    return html.Div(
        [
            html.Span(_label(name, measure), className="quiet"),
            html.Div([unknown("big", total=topic, measure=name), html.Span(f" {measure.unit}", className="quiet")]),
        ],
        className="total",
    )


def chart(topic: str, name: str, measure: Measure, *, wide: bool) -> Component:
    """A measure over event time, a line a key."""
    return html.Div(
        [
            html.Div(f"{_label(name, measure)}{f', {measure.unit}' if measure.unit else ''}", className="chart-title"),
            dcc.Graph(
                id=f"chart-{topic.replace('/', '-')}-{name}",
                figure=empty_figure(),
                config={"displayModeBar": False, "responsive": True},
                className="chart",
            ),
        ],
        className="chart-box wide" if wide else "chart-box",
        **data(chart=topic, measure=name, unit=measure.unit, kind=measure.function),
    )


def _label(name: str, measure: Measure) -> str:
    words = name.replace("_", " ")
    return f"{words}, p{measure.at * 100:g}" if measure.function == "quantile" else words


def _span(rollup: Rollup) -> str:
    seconds = int(rollup.span.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
