"""What is a week of small commits worth putting in order? Files, bytes and query times before and after `tidegate maintain run`.

A week of the shop, made by Spark's Columns, is written as lake writes it: a commit for each ten minutes of event time. The
windows of its rollup are computed by the real code, and written again in as many commits. Queries are asked by Spark and by
deltalake, which opens the table for each, once to warm up and three times to be measured; the median counts.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable, QueryBuilder, write_deltalake
from pyspark.sql import functions as sf

from controlplane.contract.folders import load_stream
from controlplane.contract.names import (
    EVENT_DATE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIME,
    lake_rollup,
    lake_table,
)
from controlplane.contract.rollups import PERIOD, WINDOW_START
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.valid import type_name, valid_schema
from controlplane.setup.jars import JarCache
from pipeline.lake.append import write_events
from pipeline.lake.run import SPARK_SETTINGS
from pipeline.maintenance.folders import extent
from pipeline.maintenance.promise import promised
from pipeline.spark import build_session, session_options
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column, DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition

STREAM, ROLLUP = "shop", "traffic"
_WEEK = timedelta(days=7)
_COMMIT = timedelta(minutes=10)
_COMMITS_WITHIN_S = 240.0
_WARM_UP, _LOOK_AFTER = 40, 60
"""Commits between which it is measured how long all would take."""
_TIMES = 3
_SPANS = {"week": _WEEK, "day": timedelta(days=1), "hour": timedelta(hours=1)}
_EVENTS_SQL = (
    "SELECT date_trunc('minute', event_time) AS minute, event_type, count(*) AS events, count(DISTINCT user_id) AS visitors "
    "FROM {table} WHERE event_time >= {since} AND event_time < {until} GROUP BY 1, 2"
)
_ROLLUP_SQL = "SELECT * FROM {table} WHERE window_start >= {since} AND window_start < {until}"
Report = dict[str, Any]


@dataclass(frozen=True)
class Week:
    """Seven whole days, the last of which ended today."""

    began: datetime
    events: int

    def at(self) -> Column:
        """Event time by `id`."""
        step_us = _WEEK / timedelta(microseconds=1) / self.events
        return sf.timestamp_micros(sf.lit(int(self.began.timestamp() * 1e6)) + (sf.col("id") * step_us).cast("bigint"))


def measure(events: int, told: Callable[[str], None]) -> Report:
    """Write, ask, put in order, ask again."""
    stream = load_stream(SHIPPED_STREAMS / STREAM)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    week = Week(today - _WEEK, events)
    jars = ",".join(map(str, JarCache(Settings().cache / "jars").classpath("spark")))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), spark_jars=jars)
        options: dict[str, Any] = {**session_options(settings, "bench"), **SPARK_SETTINGS}
        session = build_session("tidegate bench", slots=2, **options)
        try:
            found: Report = {"events": events, **_written(session, stream, settings, week, told)}
            told("asking before")
            found["before"] = _looked(session, settings, week)
            told("maintenance")
            found["maintenance"] = _maintained(settings)
            told("asking after")
            found["after"] = _looked(session, settings, week)
        finally:
            session.stop()
    return found


def _written(
    session: SparkSession, stream: StreamDefinition, settings: Settings, week: Week, told: Callable[[str], None]
) -> Report:
    """Both tables; in fewer commits if all would take too long, which the figure says."""
    path, commits = lake_table(settings.lake_root, STREAM), int(_WEEK / _COMMIT)
    told(f"writing {week.events:,} events")
    began, warm_at, done, next_id = time.monotonic(), 0.0, 0, 0
    while next_id < week.events:
        if done == _WARM_UP:
            warm_at = time.monotonic()
        if done == _LOOK_AFTER:
            each_s = (time.monotonic() - warm_at) / (_LOOK_AFTER - _WARM_UP)
            commits = min(commits, done + int((_COMMITS_WITHIN_S - (time.monotonic() - began)) / each_s))
        left = max(1, commits - done)
        until = week.events if left == 1 else next_id + -(-(week.events - next_id) // left)
        write_events(_rows(session, stream, week, next_id, until), stream, path, files=1)
        done, next_id = done + 1, until
    took = time.monotonic() - began
    told("computing its windows")
    rolled = stream.model_copy(update={"rollups": {ROLLUP: stream.rollups[ROLLUP]}, "entities": {}})
    list(Following(session, rolled, settings.lake_root).beat())
    _in_commits(stream, lake_table(settings.lake_root, STREAM, lake_rollup(ROLLUP)), week, done)
    return {"commits": done, "seconds_a_commit": round(took / done, 3)}


def _rows(session: SparkSession, stream: StreamDefinition, week: Week, first: int, until: int) -> DataFrame:
    columns = [_column(field, week).alias(field["name"]) for field in valid_schema(stream)["fields"]]
    frame = session.range(first, until, numPartitions=1).select(*columns)
    return frame.withColumn(EVENT_DATE, sf.to_date(stream.event_time.field))


def _column(field: dict[str, Any], week: Week) -> Column:
    """Values as various as the shop's: 20,000 visitors, 200 products, a few kinds, countries and regions."""
    name, kind, number = field["name"], type_name(field["type"]), sf.xxhash64(sf.lit(field["name"]), sf.col("id"))
    if name == SOURCE_PARTITION:
        return (sf.col("id") % 4).cast("bigint")
    if name == SOURCE_OFFSET:
        return sf.expr("id div 4")
    if kind.startswith("timestamp"):
        return week.at() + sf.make_dt_interval(secs=sf.lit(0.02)) if name == SOURCE_TIME else week.at()
    distinct = {"user_id": 20_000, "product_id": 200, "event_id": 2**62}.get(name, 5)
    if kind in ("int", "double"):
        return sf.pmod(number, sf.lit(5_000)).cast({"int": "bigint"}.get(kind, kind))
    return sf.concat(sf.lit(f"{name}-"), sf.pmod(number, sf.lit(distinct)))


def _in_commits(stream: StreamDefinition, path: str, week: Week, commits: int) -> None:
    """The rollup's rows again, in small commits, as they come when windows close one after another."""
    rows = DeltaTable(path).to_pandas().sort_values(WINDOW_START)
    shutil.rmtree(path)
    number = (rows[WINDOW_START] - week.began) // (_WEEK / commits)
    for _, some in rows.groupby(number):
        write_deltalake(
            path,
            some.reset_index(drop=True),
            mode="append",
            partition_by=[PERIOD],
            configuration=promised(stream.maintenance),
        )


def _looked(session: SparkSession, settings: Settings, week: Week) -> Report:
    """Files, bytes and query seconds of each table."""
    found: Report = {}
    for table, sql in (("events", _EVENTS_SQL), (lake_rollup(ROLLUP), _ROLLUP_SQL)):
        path = lake_table(settings.lake_root, STREAM, table)
        sizes = DeltaTable(path).get_add_actions(flatten=True)["size_bytes"].to_pylist()
        kept = extent(Path(path))
        found[table] = {"files": len(sizes), "bytes": sum(sizes), "bytes_on_disk": kept.bytes}
        for span, length in _SPANS.items():
            since, until = week.began + _WEEK - length, week.began + _WEEK
            moments = {"since": _moment(since), "until": _moment(until)}
            spark_sql = sql.format(table=f"delta.`{path}`", **moments)
            found[table][f"{span}_spark_s"] = _median(partial(_asked_spark, session, spark_sql))
            other_sql = sql.format(table="asked", **moments)
            found[table][f"{span}_deltalake_s"] = _median(partial(_asked, path, other_sql))
    return found


def _moment(at: datetime) -> str:
    return f"timestamp '{at:%Y-%m-%dT%H:%M:%S}Z'"


def _asked_spark(session: SparkSession, sql: str) -> None:
    session.sql(sql).collect()


def _asked(path: str, sql: str) -> None:
    QueryBuilder().register("asked", DeltaTable(path)).execute(sql).read_all()


def _median(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(1 + _TIMES):
        began = time.monotonic()
        ask()
        took.append(time.monotonic() - began)
    return round(statistics.median(took[1:]), 3)


def _maintained(settings: Settings) -> Report:
    """As an operator would, in a process of its own."""
    environment = {
        **os.environ,
        "TIDEGATE_DATA": str(settings.data),
        "TIDEGATE_SPARK_JARS": settings.spark_jars,
        "TIDEGATE_API": "",
        "TIDEGATE_KAFKA": "",
    }
    command = [sys.executable, "-P", "-m", "pipeline", "maintain", "run", "--stream", STREAM]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    took = round(time.monotonic() - began, 1)
    if done.returncode:
        raise RuntimeError(f"maintenance ended with code {done.returncode}: {done.stdout}{done.stderr[-2000:]}")
    return {"took_s": took, "stages": done.stdout.splitlines()}
