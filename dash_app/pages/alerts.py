"""What is wrong enough to wake somebody? Open and past incidents, what keeps one from paging, and whether pages arrive.

`incidents.js` fills it in: that something has changed is pushed with the overview, what it is is asked of alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.pages.elements import copied, data, unknown

if TYPE_CHECKING:
    from dash.development.base_component import Component

_OPEN = (
    ("severity", "As PagerDuty is told"),
    ("incident", "The cause: what rule, about what"),
    ("since", ""),
    ("state", "Is somebody woken, and by whom is it taken on?"),
    ("", ""),
)
_PAST = (("severity", ""), ("incident", ""), ("began", "UTC"), ("lasted", ""), ("ended", "Why or by whom"))
_QUIETS = (
    ("what", "A silence is of one cause; a window is planned"),
    ("of", "Shell patterns of rule and subject"),
    ("until", "UTC"),
    ("by", ""),
    ("", ""),
)
_SENT = (
    ("event", "What PagerDuty is asked to do"),
    ("of", ""),
    ("made", "UTC"),
    ("state", "Taken, waiting for the next attempt, or refused for good"),
    ("attempts", ""),
    ("PagerDuty says", ""),
)


def alerts_page(incident: str | None) -> Component:
    """All incidents, or one."""
    body = _all() if incident is None else _one(incident)
    others: list[Any] = [] if incident is None else [" ", dcc.Link("All incidents", href="/alerts", className="more")]
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Alerts"),
                    copied("tidegate alerts ls" if incident is None else f"tidegate alerts show {incident}"),
                    html.P(
                        ["What is wrong enough to wake somebody, one incident a cause.", *others], className="quiet"
                    ),
                    html.Div(
                        html.Span(role="status", className="alerts-said", **_polite(alerts_said="all")),
                        className="alerts-who",
                    ),
                    html.P(role="status", className="is-unknown", hidden=True, **data(alerts_reason="all")),
                ]
            ),
            *body,
        ],
        className="alerts",
        **data(topics="overview", alerts="all" if incident is None else incident),
    )


def _all() -> list[Component]:
    return [
        _card("Open", _table(_OPEN, "Not known yet.", alerts_open="all"), unknown("badge", alerts_open_count="all")),
        _card(
            "PagerDuty",
            html.Details(
                [html.Summary("The last events"), _table(_SENT, "Not known yet.", alerts_sent="all")],
                className="subject",
                **data(alerts_events="all", kept="sent"),
            ),
            unknown("", alerts_delivery="all"),
            html.Span(
                [
                    html.Button(
                        "Send a test page", type="button", className="copy", **data(alerts_ask="test", needs="operate")
                    ),
                    " ",
                ],
                className="asks",
                **data(alerts_cli="tidegate alerts test"),
            ),
        ),
        _card("Silences and maintenance windows", _table(_QUIETS, "Not known yet.", alerts_quiets="all"), _planned()),
        _card("Past", _table(_PAST, "Not known yet.", alerts_past="all")),
    ]


def _planned() -> Component:
    """Plan a window."""
    return html.Details(
        [
            html.Summary("Plan a maintenance window"),
            html.Div(
                [
                    html.Label(["Rule ", _field("rule", value="*", at_most=100)]),
                    html.Label(["Subject ", _field("subject", value="*", at_most=200)]),
                    html.Label(["From (UTC, empty: now) ", _field("start", kind="datetime-local")]),
                    html.Label(["For ", _field("window_for", kind="select")]),
                    html.Label(["Because ", _field("reason", at_most=500)]),
                    html.Button(
                        "Plan it", type="button", className="copy", **data(alerts_ask="window", needs="operate")
                    ),
                    html.Span(**data(alerts_window_cli="all")),
                ],
                className="asks",
            ),
        ],
        className="subject planned",
        **data(kept="plan"),
    )


def _one(incident: str) -> list[Component]:
    asks = html.Div(
        [
            html.Button(
                "Acknowledge", type="button", className="copy", **data(alerts_ask="acknowledge", needs="operate")
            ),
            html.Span(**data(alerts_cli=f"tidegate alerts ack {incident}")),
            html.Button("Silence it", type="button", className="copy", **data(alerts_ask="silence", needs="operate")),
            html.Label(["for ", _field("silence_for", kind="select")]),
            html.Label(["because ", _field("because", at_most=500)]),
            html.Span(**data(alerts_cli=f"tidegate alerts silence {incident}")),
            html.Button("Resolve", type="button", className="copy", **data(alerts_ask="resolve", needs="operate")),
            html.Span(**data(alerts_cli=f"tidegate alerts resolve {incident}")),
        ],
        className="asks",
        hidden=True,
        **data(alerts_asks=incident),
    )
    return [
        html.Section(
            [html.Div("Asking alerts ...", className="is-unknown asking", **data(alerts_one=incident)), asks],
            className="card",
            id="alerts-incident",
        ),
        _card("What happened", html.Ol(className="moments", **data(alerts_moments=incident))),
        _card("What was sent", _table(_SENT, "Nothing.", alerts_sent=incident)),
        _card("What to do", html.Div(className="runbook", **data(alerts_runbook=incident))),
    ]


def _card(title: str, body: Component, *more: Component) -> Component:
    """A card; short things stand beside its title, others below."""
    short = [each for each in more if isinstance(each, html.Span)]
    head = html.Div([html.H2(title), html.Div(short, className="verdict")], className="card-head")
    return html.Section([head, body, *(each for each in more if each not in short)], className="card")


def _table(columns: tuple[tuple[str, str], ...], empty: str, **shown: str) -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in columns]))
    body = html.Tbody(html.Tr(html.Td(empty, colSpan=len(columns), className="is-unknown")))
    return html.Div(html.Table([head, body], **data(**shown)), className="scrolls")


def _field(name: str, kind: str = "text", value: str = "", at_most: int = 0) -> Component:
    """Where `incidents.js` puts an input of its own: what is typed is none of Dash's business."""
    return html.Span(**data(alerts_field=name, kind=kind, value=value, at_most=str(at_most)))


def _polite(**shown: str) -> dict[str, Any]:
    return {"aria-live": "polite", **data(**shown)}
