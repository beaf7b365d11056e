"""What does the overview look like? The way of every event, then the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from controlplane.contract.names import Hop
from dash_app.pages.elements import copied, data, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_HOPS = {
    Hop.RAW: ("Raw", "Kafka, as produced"),
    Hop.VALID: ("Valid", "decoded, checked, enriched"),
    Hop.DEAD: ("Dead", "could not be decoded"),
    Hop.QUARANTINE: ("Quarantine", "broke a rule"),
    Hop.LAKE: ("Lake", "Delta"),
    Hop.SERVING: ("Serving", "ClickHouse"),
}
_SIDE = (Hop.DEAD, Hop.QUARANTINE)


def overview_page(streams: Mapping[str, StreamDefinition]) -> Component:
    """Every stream's way, then the parts."""
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Overview"),
                    copied("tidegate status"),
                    html.P("Not known yet.", id="overview-said", className="is-unknown"),
                ]
            ),
            *(stream_card(stream) for stream in streams.values()),
            html.Section(
                [
                    html.H2("Parts"),
                    html.Div(
                        html.P("No supervisor has reported its parts.", className="quiet"),
                        id="parts",
                        className="scrolls",
                    ),
                ],
                className="card",
            ),
        ],
        **data(topics="overview"),
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
                        [unknown("badge", verdict=stream.name), unknown("reason", verdict_reason=stream.name)],
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
        **data(stream=stream.name),
    )


def hop_box(stream: str, hop: Hop) -> Component:
    """A hop: how many, how fast, how old."""
    title, what = _HOPS[hop]
    key = f"{stream}/{hop}"
    return html.Div(
        [
            html.Div([_title(stream, hop, title), html.Span(what, className="quiet")], className="hop-head"),
            unknown("big", hop=key, show="events"),
            html.Div(
                [
                    unknown("figure", hop=key, show="rate"),
                    html.Span(" · newest ", className="quiet"),
                    unknown("figure", hop=key, show="age"),
                ],
                className="hop-foot",
            ),
        ],
        className=f"hop hop-{hop}",
        **data(box=key),
    )


def _title(stream: str, hop: Hop, title: str) -> Component:
    """What was turned away has a page of its own."""
    if hop not in _SIDE:
        return html.Span(title, className="hop-title")
    return dcc.Link(title, href=f"/quarantine/{stream}?hop={hop}", className="hop-title more")


def _pipe(stream: str, hop: Hop, by: str) -> Component:
    """The work between two hops, and how far it is behind."""
    key = f"{stream}/{hop}"
    return html.Div(
        [
            html.Span(by, className="pipe-by"),
            html.Div(className="pipe-line"),
            dcc.Link(
                [unknown("figure", hop=key, show="lag"), html.Span(" lag", className="quiet")],
                href=f"/lag/{by} {stream}",
                title="By partition, with its verdict and why",
            ),
        ],
        className="pipe",
        **data(pipe=key),
    )
