"""Who is behind, since when, why, and when will it have caught up? `lag.js` says it in sentences and rows; `lag_open.js` opens one.

Which consumer is open is in the address (`/lag/lake shop`), and so is the time range of its charts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.figures import empty_figure
from dash_app.pages.elements import copied, data

if TYPE_CHECKING:
    from dash.development.base_component import Component

_ROWS = (
    ("consumer", "Who reads, and which topic; the shadow group says to any Kafka tool where it stands"),
    ("verdict", "Over the last minutes, by Burrow's rules; and since when"),
    (
        "behind",
        "Age of the oldest record that it has not taken, by the record's own timestamp, with its error; and how many",
    ),
    ("in → out, events/s", "What arrives in its topic and what it takes, over the window"),
    ("caught up in", "At these rates; never, if more arrives than is taken"),
    ("may be deleted in", "Until the oldest record that was not taken may be deleted from the topic"),
    ("last 15 min", "Seconds behind"),
)
_PARTITIONS = (
    ("partition", ""),
    ("verdict", "And the number of the rule that decided"),
    ("behind", "With its error; how it was had is in the tooltip"),
    ("events", "Offsets between its place and the end; a transaction's marker takes one too"),
    ("position", "Offset of the next record that it will take"),
    ("end", "Offset of the next record that a producer will write"),
    ("in → out, /s", ""),
    ("caught up in", ""),
    ("may be deleted in", ""),
    ("last moved", "When its position last changed"),
)


def lag_page() -> Component:
    """Every consumer."""
    live: dict[str, Any] = {"aria-live": "polite"}
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Lag"),
                    copied("tidegate lag"),
                    html.P("Who is behind, since when, why, and when it will have caught up.", className="quiet"),
                ]
            ),
            html.Section(
                html.P("Not known yet.", className="is-unknown"),
                id="lag-said",
                role="status",
                className="lag-said",
                **live,
            ),
            _consumers("query", "Queries", "The parts of Tidegate, from what they have written."),
            _open(),
            _consumers(
                "group", "Consumer groups", "Whoever else reads from this Kafka, from the offsets that it commits."
            ),
        ],
        className="lag",
        **data(topics="overview lag"),
    )


def _consumers(kind: str, title: str, what: str) -> Component:
    return html.Section(
        [
            html.Div([html.H2(title), html.Span(what, className="quiet")], className="card-head"),
            _table(_ROWS, "lag-rows", lag_rows=kind),
        ],
        className="card",
    )


def _table(columns: tuple[tuple[str, str], ...], class_name: str, **shown: str) -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in columns]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(columns), className="is-unknown")))
    return html.Div(html.Table([head, body], className=class_name, **data(**shown)), className="scrolls")


def _open() -> Component:
    """The consumer that the address names; hidden while it names none."""
    return html.Section(
        [
            html.Div(className="card-head", **data(lag_open="head")),
            html.P(className="sentence", **data(lag_open="reason")),
            html.H3("Why is it slow?", className="section-head"),
            html.Div(**data(lag_open="why")),
            html.Div(
                [html.H3("How it was"), html.Span(className="quiet", **data(lag_open="history"))],
                className="section-head",
            ),
            html.Div(
                [_chart("behind", "Seconds behind"), _chart("rates", "Events a second that arrive and that are taken")],
                className="charts",
            ),
            html.H3("Partitions", className="section-head"),
            _table(_PARTITIONS, "lag-partitions", lag_open="partitions"),
        ],
        className="card lag-open",
        id="lag-open",
        hidden=True,
    )


def _chart(name: str, title: str) -> Component:
    graph = dcc.Graph(
        id=f"lag-chart-{name}",
        figure=empty_figure(),
        config={"displayModeBar": False, "responsive": True},
        className="chart",
    )
    strip: list[Any] = [html.Div(className="strip", **data(lag_open="strip"))] if name == "behind" else []
    return html.Div(
        [html.Div(title, className="chart-title"), graph, *strip], className="chart-box", **data(lag_chart=name)
    )
