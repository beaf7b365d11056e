"""What does the lake look like? For each stream its Delta tables, then what maintenance did last; `lake.js` fills them in.

A stream has a page of its own: every version of its tables as a timeline, rows as of one, what differs between two, and the way
back (`lake_versions.js`, `lake_version.js`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from controlplane.contract.durations import format_duration
from dash_app.pages.elements import copied, data, no_such_stream, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_TABLE = (
    ("table", "Delta table below the stream's folder of the lake"),
    ("files", "Active Parquet files of the newest version"),
    ("bytes", "Of the active files"),
    (
        "small files",
        "Active files below the policy's `small_file_bytes`; compacted when a partition has enough of them",
    ),
    ("version", "The newest one; how many of them can still be read is in the tooltip"),
    ("newest commit", "How long ago the newest version was committed"),
    ("closed until", "Rollups: up to where windows are closed in the lake, event time"),
    ("in ClickHouse until", "Rollups: up to where readers of ClickHouse get closed windows, event time"),
    ("last maintenance", "The last stage that was about this table"),
)
_RUNS = (
    ("when", "When the stage ended, UTC"),
    ("stream", ""),
    ("subject", "Table, topic or folder"),
    ("stage", ""),
    ("what", "What the plan said"),
    ("before", "Files that the stage was about"),
    ("after", ""),
    ("took", ""),
)


def lake_page(streams: Mapping[str, StreamDefinition], name: str | None = None) -> Component:
    """Every stream's tables, and the last stages; or one stream's with their versions."""
    if name is None:
        return _overview(streams)
    return _versions(streams[name]) if name in streams else no_such_stream(streams, name)


def _versions(stream: StreamDefinition) -> Component:
    live: dict[str, Any] = {"aria-live": "polite"}
    reading = html.P("Reading the log of the lake …", className="quiet")
    return html.Div(
        [
            html.Header(
                [
                    html.H1(f"Lake: {stream.title}"),
                    copied(f"tidegate lake history {stream.name}"),
                    html.P(
                        [
                            dcc.Link("All streams", href="/lake", className="more"),
                            " · what was written, what can be read as of then, and the way back.",
                        ],
                        className="quiet",
                    ),
                ]
            ),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("Versions"),
                            html.Code(stream.name, className="quiet"),
                            html.Div(className="verdict", **data(lake_at=stream.name)),
                        ],
                        className="card-head",
                    ),
                    html.Div(reading, **data(lake_versions=stream.name)),
                ],
                className="card",
            ),
            html.Section(html.Div(**live, **data(lake_version=stream.name)), className="card operation"),
            html.Section(html.Div(**data(lake_shown=stream.name)), className="card operation lake-shown"),
            _card(stream, is_alone=True),
        ],
        **data(topics="overview lake operations"),
    )


def _overview(streams: Mapping[str, StreamDefinition]) -> Component:
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Lake"),
                    html.P(
                        "Delta tables, and what keeps them few, large and readable as of the past.", className="quiet"
                    ),
                ]
            ),
            *(_card(stream) for stream in streams.values()),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("What maintenance did"),
                            html.Div(copied("tidegate maintain run"), className="verdict"),
                        ],
                        className="card-head",
                    ),
                    _table(_RUNS, "Not known yet.", "runs", lake_runs="all"),
                ],
                className="card",
            ),
        ],
        **data(topics="overview lake"),
    )


def _card(stream: StreamDefinition, *, is_alone: bool = False) -> Component:
    name = stream.name
    versions = [] if is_alone else [dcc.Link("Versions", href=f"/lake/{name}", className="more")]
    said = f"looked at every {format_duration(stream.maintenance.every)}, next "
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(stream.title, href=f"/live/{name}")),
                    html.Code(name, className="quiet"),
                    *versions,
                    html.Div([said, unknown("figure", lake_next=name)], className="verdict quiet"),
                ],
                className="card-head",
            ),
            html.P(**data(lake_reason=name), className="sentence", hidden=True),
            html.Div(
                [
                    html.Button(
                        "Do what is due now …",
                        type="button",
                        className="copy",
                        title="Compact, put in order, vacuum: a plan first",
                        **data(lake_do="maintain", lake_stream=name, needs="plan", needs_stream=name),
                    ),
                    copied(f"tidegate maintain run --stream {name}"),
                ],
                className="asks",
            ),
            _table(_TABLE, "No table has been measured yet.", "tables", lake_tables=name),
        ],
        className="card lake",
        id=f"lake-{name}",
    )


def _table(columns: tuple[tuple[str, str], ...], empty: str, kind: str, **shown: str) -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=what) for title, what in columns]))
    body = html.Tbody(html.Tr(html.Td(empty, colSpan=len(columns), className="quiet")))
    return html.Div(html.Table([head, body], className=f"lake-{kind}", **data(**shown)), className="scrolls")
