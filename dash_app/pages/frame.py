"""What is around every page? Navigation, the connection, the theme; what is wrong now is above them all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.pages.elements import data, unknown
from dash_app.pages.places import GROUPS, PLACES, Place, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition


def frame(streams: Mapping[str, StreamDefinition], push_port: str, plan_holds: str) -> Component:
    """What stays while pages come and go; they are put into `page`."""
    return html.Div(
        [
            dcc.Location(id="location"),
            html.A("To the page", href="#page", className="skip"),
            banner(),
            html.Div([navigation(streams), html.Main(id="page", className="page", tabIndex=-1)], className="frame"),
            html.Div(id="help", hidden=True),
        ],
        id="console",
        **data(
            push_port=push_port, plan_holds=plan_holds, places=json.dumps(told()), streams=json.dumps(list(streams))
        ),
    )


def banner() -> Component:
    """Where `problems.js` says what is wrong now; outside the page, so that a screen reader hears it once, not at every page."""
    live: dict[str, Any] = {"aria-live": "polite"}
    return html.Div(id="banner", role="status", hidden=True, **live)


def navigation(streams: Mapping[str, StreamDefinition]) -> Component:
    """Pages by group, the connection, the theme."""
    groups = [
        html.Div(
            [_link(place, next(iter(streams), "")) for place in PLACES if place.group == group], className="nav-group"
        )
        for group in GROUPS
    ]
    named: dict[str, Any] = {"aria-label": "Pages"}
    return html.Nav(
        [
            html.Div([html.Div(className="mark"), html.Span("Tidegate")], className="brand"),
            *groups,
            html.Div(
                [
                    html.Div(
                        [html.Span(className="dot"), html.Span("connecting", id="connection-text")], id="connection"
                    ),
                    html.Div(["event → pixel ", unknown("figure", latency="event_to_pixel")], className="quiet"),
                    html.Div(
                        [
                            html.Div(
                                [
                                    html.Span(**data(session_name="me")),
                                    html.Span(className="quiet", **data(session_role="me")),
                                ]
                            ),
                            html.Button("Sign out", type="button", className="copy", **data(session_end="me")),
                        ],
                        id="signed-in",
                        hidden=True,
                    ),
                    html.Button("Dark", id="theme", type="button", title="Light or dark (t)"),
                ],
                className="nav-foot",
            ),
        ],
        className="nav",
        **named,
        **data(topics_too="operations"),
    )


def _link(place: Place, stream: str) -> Component:
    """Live is of a stream always: its own address is the wall board's."""
    count = (
        [html.Span(className="count", hidden=True, **data(**{f"{place.counts}_count": "all"}))] if place.counts else []
    )
    href = f"{place.path}/{stream}" if place.path == "/live" else place.path
    return dcc.Link([place.name, *count, html.Kbd(f"g {place.key}")], href=href, className="nav-link")
