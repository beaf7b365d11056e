"""What does Spark do? For each part its application, queries, executors and stages; `spark.js` and `spark_tables.js` fill them in.

An address may name a part or a query (`/spark/lake`, `/spark/lake shop`): suspects of the lag page lead there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.figures import empty_figure
from dash_app.pages.elements import data, message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dash.development.base_component import Component

PARTS = {
    "route": "decodes, checks, enriches: raw topic to valid, dead and quarantine",
    "lake": "writes micro-batches to Delta",
}
_EXECUTORS = (
    ("executor", "Spark's id; the driver runs tasks only in a local session"),
    ("cores", ""),
    ("tasks now", ""),
    ("done", "Tasks since it started"),
    ("failed", "Tasks since it started"),
    ("task time", "Of all its tasks since it started"),
    ("GC", "Share of the task time that the JVM collected garbage"),
    ("input", "Read by its tasks since it started"),
    ("shuffle in / out", "Read and written since it started"),
    ("storage", "Memory that cached blocks use, of what Spark may use"),
    ("heap peak", "Highest use of the JVM's heap"),
    ("there", "Since when; or why it is gone"),
)
_STAGES = (
    ("stage", "Leads to Spark's own page of it"),
    ("query, batch", ""),
    ("what", "The call that Spark planned it for"),
    ("state", ""),
    ("tasks", "Done of all, and how many failed"),
    ("a task", "Median and longest time; marked when the longest is much longer than the mean: the stage waits for it"),
    ("run", "Time of all tasks together"),
    ("CPU", "Share of the run time that its tasks were on a CPU"),
    ("GC", "Share of the run time that the JVM collected garbage"),
    ("input", "Read from outside of Spark; rows are in the tooltip"),
    ("shuffle in / out", ""),
    ("spill", "Written to disk because memory was short"),
)


def spark_page(streams: Mapping[str, object], name: str | None) -> Component:
    """Every part, or the one that is named, or whose query is."""
    part, _, stream = (name or "").partition(" ")
    if name is not None and (part not in PARTS or (stream and stream not in streams)):
        return message("No such query", f"{name!r} is no part and no query of one. Parts are: {', '.join(PARTS)}.")
    shown = (stream,) if stream else tuple(streams)
    others: list[Any] = [] if name is None else [" ", dcc.Link("All parts", href="/spark", className="more")]
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Spark"),
                    html.P(
                        ["Applications, queries, executors and stages, as Spark tells of them.", *others],
                        className="quiet",
                    ),
                ]
            ),
            *(_card(each, shown) for each in PARTS if name is None or each == part),
        ],
        **data(topics="overview spark"),
    )


def _card(part: str, streams: Iterable[str]) -> Component:
    queries = [f"{part} {stream}" for stream in streams]
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(part, href=f"/spark/{part}")),
                    html.Span(PARTS[part], className="quiet"),
                    html.Div(className="verdict", **data(spark_side=part)),
                ],
                className="card-head",
            ),
            html.P("Not known yet.", className="sentence is-unknown", **data(spark_reason=part)),
            html.Div(className="spark-facts", **data(spark_facts=part)),
            html.Div([_query(part, each) for each in queries], className="charts"),
            html.H3("Executors", className="section-head"),
            _table(_EXECUTORS, "spark-executors", spark_executors=part),
            html.Div(
                [html.H3("Stages"), html.Span(className="quiet", **data(spark_stages_said=part))],
                className="section-head",
            ),
            _table(_STAGES, "spark-stages", spark_stages=part, queries="|".join(queries)),
        ],
        className="card spark-part",
        id=f"spark-{part}",
        **data(spark=part),
    )


def _query(part: str, name: str) -> Component:
    """One query: how its last batch went, and how the ones before it did."""
    graph = dcc.Graph(
        id=f"spark-chart-{name.replace(' ', '-')}",
        figure=empty_figure(),
        config={"displayModeBar": False, "responsive": True},
        className="chart",
    )
    return html.Article(
        [
            html.Div(
                [
                    dcc.Link(name, href=f"/spark/{name}", className="spark-name"),
                    html.Span(**data(spark_mode=name)),
                    html.Span(className="quiet", **data(spark_batch=name)),
                    dcc.Link("lag", href=f"/lag/{name}", className="more quiet"),
                ],
                className="spark-head",
            ),
            html.Div(html.Span("Not known yet.", className="is-unknown"), **data(spark_query=name)),
            html.Div(
                [
                    html.Div(
                        ["Batches: time and rows ", html.Span(**data(spark_history=name))], className="chart-title"
                    ),
                    graph,
                ],
                className="chart-box",
                **data(spark_chart=name),
            ),
        ],
        className="spark-query",
        **data(of_part=part),
    )


def _table(columns: tuple[tuple[str, str], ...], class_name: str, **shown: str) -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in columns]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(columns), className="is-unknown")))
    return html.Div(html.Table([head, body], className=class_name, **data(**shown)), className="scrolls")
