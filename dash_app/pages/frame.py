"""What is around every page? Navigation, the connection, the theme; what is wrong now is above them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.pages.elements import data, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition


def banner() -> Component:
    """Where `banner.js` says what is wrong now; outside the page, so that a screen reader hears it once, not at every page."""
    live: dict[str, Any] = {"aria-live": "polite"}
    return html.Div(id="banner", role="status", hidden=True, **live)


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
            dcc.Link(["Lag", html.Kbd("g d")], href="/lag", className="nav-link"),
            dcc.Link(["Spark", html.Kbd("g p")], href="/spark", className="nav-link"),
            dcc.Link(["Scaling", html.Kbd("g c")], href="/scaling", className="nav-link"),
            dcc.Link(["Ledger", html.Kbd("g b")], href="/ledger", className="nav-link"),
            dcc.Link(["Quality", html.Kbd("g u")], href="/quality", className="nav-link"),
            dcc.Link(["Quarantine", html.Kbd("g q")], href="/quarantine", className="nav-link"),
            dcc.Link(["Schemas", html.Kbd("g s")], href="/schemas", className="nav-link"),
            dcc.Link(
                ["Alerts", html.Span(className="count", hidden=True, **data(alerts_count="all")), html.Kbd("g a")],
                href="/alerts",
                className="nav-link",
            ),
            dcc.Link(["Lake", html.Kbd("g k")], href="/lake", className="nav-link"),
            dcc.Link(["Backfills", html.Kbd("g f")], href="/backfills", className="nav-link"),
            dcc.Link(["Trials", html.Kbd("g x")], href="/trials", className="nav-link"),
            dcc.Link(
                [
                    "Operations",
                    html.Span(className="count", hidden=True, **data(operations_count="all")),
                    html.Kbd("g w"),
                ],
                href="/operations",
                className="nav-link",
            ),
            dcc.Link(["SQL", html.Kbd("g e")], href="/sql", className="nav-link"),
            dcc.Link(["Audit", html.Kbd("g r")], href="/audit", className="nav-link"),
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
        **data(topics_too="operations"),
    )
