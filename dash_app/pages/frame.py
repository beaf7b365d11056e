"""What is around every page? Navigation, and a header: whether all is well, of what and of when the page is, who looks.

It stays while pages come and go, so that it never flashes and a screen reader hears it once. `top.js`, `range.js`, `problems.js`,
`palette.js` and `news.js` fill it in; nothing of it asks the server.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.pages.elements import data, unknown
from dash_app.pages.icons import icon
from dash_app.pages.places import GROUPS, PLACES, Place, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition


def frame(streams: Mapping[str, StreamDefinition], push_port: str, plan_holds: str) -> Component:
    """What stays; pages are put into `page`."""
    return html.Div(
        [
            dcc.Location(id="location"),
            html.A("To the page", href="#page", className="skip"),
            html.Div(
                [
                    navigation(streams),
                    html.Div([top(), html.Main(id="page", className="page", tabIndex=-1)], className="beside"),
                ],
                className="frame",
            ),
            html.Div(id="toasts", role="status", **_aria(live="polite", label="News")),
            html.Div(id="help", hidden=True),
        ],
        id="console",
        **data(
            push_port=push_port, plan_holds=plan_holds, places=json.dumps(told()), streams=json.dumps(_told(streams))
        ),
    )


def _told(streams: Mapping[str, StreamDefinition]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "title": each.title, "tables": ["events", *each.entities, *each.rollups]}
        for each in streams.values()
    ]


def _aria(**attributes: str) -> dict[str, Any]:
    return {f"aria-{name}": value for name, value in attributes.items()}


def _icon(name: str) -> Component:
    return html.Span(className="icon", style={"--icon": icon(name)}, **_aria(hidden="true"))


def top() -> Component:
    """The header: health, stream, range, search, connection, news, who is signed in, theme."""
    return html.Header(
        [
            _button("menu", "menu", "Pages", controls="nav"),
            health(),
            html.Div(
                [
                    html.Div(id="stream-pick", hidden=True),
                    html.Button(type="button", id="range-open", className="top-button", hidden=True),
                    html.Button(
                        [_icon("search"), html.Span("Search", className="top-word"), html.Kbd("/")],
                        type="button",
                        id="palette-open",
                        className="top-button",
                        title="Pages, streams, incidents, operations, commands (/ or Ctrl-K)",
                        **_aria(haspopup="dialog", label="Search"),
                    ),
                    _connection(),
                    _button("news-open", "news", "News"),
                    _person(),
                    _button("theme", "theme", "Light or dark (t)"),
                ],
                className="top-tools",
            ),
        ],
        className="top",
        id="top",
    )


def _button(name: str, drawn: str, title: str, **aria: str) -> Component:
    return html.Button(
        _icon(drawn), type="button", id=name, className="top-button is-icon", title=title, **_aria(label=title, **aria)
    )


def health() -> Component:
    """Whether all is well, in words, and what is wrong now, the worst first."""
    return html.Div(
        [html.A("Not known yet", id="health-said", href="/"), html.Span(id="health-why"), banner()],
        id="health",
        **data(state="unknown"),
    )


def banner() -> Component:
    """Where `problems.js` says what is wrong now; outside the page, so that a screen reader hears it once, not at every page."""
    return html.Div(id="banner", role="status", hidden=True, **_aria(live="polite"))


def _connection() -> Component:
    return html.Div(
        [
            html.Span(className="dot"),
            html.Span("connecting", id="connection-text"),
            html.Span(
                ["pixel ", unknown("figure", latency="event_to_pixel")],
                className="quiet",
                id="connection-pixel",
                title="From an event to its picture on this and other screens, over the last minutes",
            ),
        ],
        id="connection",
    )


def _person() -> Component:
    return html.Div(
        [
            html.Button(
                [_icon("person"), html.Span(className="top-word", **data(session_name="me"))],
                type="button",
                id="person-open",
                className="top-button",
            ),
            html.Div(
                [
                    html.Div(["signed in as ", html.Strong(**data(session_role="me"))], className="quiet"),
                    html.Button("Sign out", type="button", className="copy", **data(session_end="me")),
                ],
                id="person",
                className="panel",
            ),
        ],
        id="signed-in",
        hidden=True,
    )


def navigation(streams: Mapping[str, StreamDefinition]) -> Component:
    """Pages, by what one does with them."""
    first = next(iter(streams), "")
    return html.Nav(
        [
            html.Div([html.Div(className="mark"), html.Span("Tidegate")], className="brand"),
            *(
                html.Div(
                    [
                        html.Div(group, className="nav-title"),
                        *(_link(place, first) for place in PLACES if place.group == group),
                    ],
                    className="nav-group",
                )
                for group in GROUPS
            ),
            html.Button(
                [_icon("fold"), html.Span("Fold", className="nav-name")],
                type="button",
                id="fold",
                className="nav-link",
                title="Fold the navigation, or keep it open",
            ),
        ],
        className="nav",
        id="nav",
        **_aria(label="Pages"),
        **data(topics_too="overview operations"),
    )


def _link(place: Place, stream: str) -> Component:
    count = (
        [html.Span(className="count", hidden=True, **data(**{f"{place.counts}_count": "all"}))] if place.counts else []
    )
    return dcc.Link(
        [_icon(place.path), html.Span(place.name, className="nav-name"), *count, html.Kbd(f"g {place.key}")],
        href=f"{place.path}/{stream}" if place.must_name else place.path,
        className="nav-link",
        title=place.name,
    )
