"""What does each page look like before the first number comes? Pure functions from definitions to components.

Numbers are not rendered here: each sits in an element that says by `data-*` what it shows, and `hub.js` fills it from the
push. An element that has had nothing says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from controlplane.contract.names import Hop
from dash_app.figures import empty_figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import Measure, Rollup, StreamDefinition

_HOPS = {
    Hop.RAW: ("Raw", "Kafka, as produced"),
    Hop.VALID: ("Valid", "decoded, checked, enriched"),
    Hop.DEAD: ("Dead", "could not be decoded"),
    Hop.QUARANTINE: ("Quarantine", "broke a rule"),
    Hop.LAKE: ("Lake", "Delta"),
    Hop.SERVING: ("Serving", "ClickHouse"),
}
_SIDE = (Hop.DEAD, Hop.QUARANTINE)


def _data(**attributes: str) -> dict[str, Any]:
    """`data-*` attributes; Dash takes them, its type hints do not know them."""
    return {f"data-{key.replace('_', '-')}": value for key, value in attributes.items()}


def _unknown(class_name: str, **data: str) -> Component:
    return html.Span("unknown", className=f"{class_name} is-unknown", **_data(**data))


def frame(streams: Mapping[str, StreamDefinition], page: Component) -> Component:
    """Navigation on the left, the page on the right."""
    return html.Div([navigation(streams), html.Main(page, className="page")], className="frame")


def navigation(streams: Mapping[str, StreamDefinition]) -> Component:
    """Pages, streams, the connection, the theme."""
    live = [
        dcc.Link([html.Span(className="dot"), name], href=f"/live/{name}", className="nav-link nav-sub")
        for name in streams
    ]
    return html.Nav(
        [
            html.Div([html.Div(className="mark"), html.Span("Tidegate")], className="brand"),
            dcc.Link(["Overview", html.Kbd("g o")], href="/", className="nav-link"),
            dcc.Link(["Live", html.Kbd("g l")], href=f"/live/{next(iter(streams), '')}", className="nav-link"),
            *live,
            html.Div(
                [
                    html.Div(
                        [html.Span(className="dot"), html.Span("connecting", id="connection-text")], id="connection"
                    ),
                    html.Div(["event → pixel ", _unknown("figure", latency="event_to_pixel")], className="quiet"),
                    html.Button("Dark", id="theme", type="button", title="Light or dark (t)"),
                ],
                className="nav-foot",
            ),
        ],
        className="nav",
    )


def overview_page(streams: Mapping[str, StreamDefinition]) -> Component:
    """Every stream's way, then the parts."""
    return html.Div(
        [
            html.Header([html.H1("Overview"), html.P("The way of every event, hop by hop.", className="quiet")]),
            *(stream_card(stream) for stream in streams.values()),
            html.Section(
                [
                    html.H2("Parts"),
                    html.Div(html.P("No supervisor has reported its parts.", className="quiet"), id="parts"),
                ],
                className="card",
            ),
        ],
        **_data(topics="overview"),
    )


def stream_card(stream: StreamDefinition) -> Component:
    """One stream: its way as a picture, its ledger's verdict."""
    chain = [Hop.RAW, Hop.VALID, Hop.LAKE, Hop.SERVING]
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(stream.title, href=f"/live/{stream.name}")),
                    html.Code(stream.name, className="quiet"),
                    html.Div(
                        [_unknown("badge", verdict=stream.name), _unknown("reason", verdict_reason=stream.name)],
                        className="verdict",
                    ),
                ],
                className="card-head",
            ),
            html.Div(
                [
                    hop_box(stream.name, chain[0]),
                    _pipe(stream.name, Hop.VALID, "route"),
                    html.Div(
                        [hop_box(stream.name, Hop.VALID), *(hop_box(stream.name, hop) for hop in _SIDE)],
                        className="stack",
                    ),
                    html.Div(
                        [_pipe(stream.name, Hop.LAKE, "lake"), _pipe(stream.name, Hop.SERVING, "live")],
                        className="forks",
                    ),
                    html.Div([hop_box(stream.name, Hop.LAKE), hop_box(stream.name, Hop.SERVING)], className="stack"),
                ],
                className="way",
            ),
        ],
        className="card",
        **_data(stream=stream.name),
    )


def hop_box(stream: str, hop: Hop) -> Component:
    """A hop: how many, how fast, how old."""
    title, what = _HOPS[hop]
    key = f"{stream}/{hop}"
    return html.Div(
        [
            html.Div(
                [html.Span(title, className="hop-title"), html.Span(what, className="quiet")], className="hop-head"
            ),
            _unknown("big", hop=key, show="events"),
            html.Div(
                [
                    _unknown("figure", hop=key, show="rate"),
                    html.Span(" · newest ", className="quiet"),
                    _unknown("figure", hop=key, show="age"),
                ],
                className="hop-foot",
            ),
        ],
        className=f"hop hop-{hop}",
        **_data(box=key),
    )


def _pipe(stream: str, hop: Hop, by: str) -> Component:
    """The work between two hops, and how far it is behind."""
    key = f"{stream}/{hop}"
    return html.Div(
        [
            html.Span(by, className="pipe-by"),
            html.Div(className="pipe-line"),
            html.Span([_unknown("figure", hop=key, show="lag"), html.Span(" lag", className="quiet")]),
        ],
        className="pipe",
        **_data(pipe=key),
    )


def live_page(streams: Mapping[str, StreamDefinition], name: str) -> Component:
    """A stream's rollups: headline totals, then a chart a measure."""
    stream = streams.get(name)
    if stream is None:
        there = ", ".join(streams) or "none"
        return html.Div([html.H1("No such stream"), html.P(f"There is no stream {name!r}. There are: {there}.")])
    topics = " ".join(["overview", *(f"live/{name}/{rollup}" for rollup in stream.rollups)])
    return html.Div(
        [
            html.Header(
                [
                    html.H1(stream.title),
                    html.P([stream.description], className="quiet"),
                    html.P(
                        ["newest event ", _unknown("figure", newest=name), " · event → pixel ",
                         _unknown("figure", latency="event_to_pixel")],
                        className="quiet",
                    ),
                ]
            ),
            *(rollup_card(name, key, rollup) for key, rollup in stream.rollups.items()),
        ],
        **_data(topics=topics),
    )  # fmt: skip


def rollup_card(stream: str, key: str, rollup: Rollup) -> Component:
    """One rollup: totals over its span, the first measure by key over time, the others below."""
    topic = f"live/{stream}/{key}"
    names = list(rollup.measures)
    return html.Section(
        [
            html.Div(
                [html.H2(rollup.title), html.Span(f"last {_span(rollup)} of event time", className="quiet")], className="card-head"
            ),
            html.Div([total(topic, name, rollup.measures[name]) for name in names], className="totals"),
            html.Div([chart(topic, name, rollup.measures[name], wide=number == 0) for number, name in enumerate(names)],
                     className="charts"),
        ],
        className="card",
        **_data(rollup=topic),
    )  # fmt: skip


def total(topic: str, name: str, measure: Measure) -> Component:
    """A headline number."""
    return html.Div(
        [
            html.Span(_label(name, measure), className="quiet"),
            html.Div([_unknown("big", total=topic, measure=name), html.Span(f" {measure.unit}", className="quiet")]),
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
        **_data(chart=topic, measure=name, unit=measure.unit, kind=measure.function),
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
