"""What do the tables behind the lake's events cost: upserts, closed windows, publishing?

Each is the real code on a Delta table of the bench's valid events, written as lake writes it; once to warm up, once to be measured.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake
from pyspark.sql import functions as sf

from controlplane.contract.names import lake_rollup, lake_table
from controlplane.contract.streams import Entity, Window
from pipeline.lake.append import write_events
from pipeline.publish.publish import Publisher
from pipeline.tables.cursor import Cursor
from pipeline.tables.entities import EntityTable
from pipeline.tables.news import Events, News
from pipeline.tables.rollups import RollupTable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.stage import Bench, Figures

_UPSERT_SHARE = 0.01
"""Part of the events that one MERGE folds in: of 160,000 sessions an eighth."""
_PUBLISHED_ROWS = 500_000


def upserts(spark: SparkSession, bench: Bench, events: DataFrame, root: str) -> Figures:
    """MERGE of later events into an entity that has their keys already, without deletion vectors and with them."""
    name, entity = "session", Entity(key=("session_id",), ordering=bench.stream.event_time.field)
    found: Figures = {}
    for is_marked in (True, False):
        marked = entity.model_copy(update={"deletion_vectors": is_marked})
        path = lake_table(root, bench.stream.name, f"bench_{name}_{is_marked}")
        table = EntityTable(spark, bench.stream, marked, path)
        cursor = Cursor(table.definition, -1)
        for version in range(3):
            news = _news(bench.stream, events, version)
            with bench.timed() as timed:
                done = table.follow(cursor, news)
            cursor = cursor if done is None else done.cursor
        if done is None:
            raise RuntimeError(f"{name} had nothing to follow")
        rows = done.figures["numTargetRowsUpdated"] + done.figures["numTargetRowsInserted"]
        suffix = "_with_deletion_vectors" if is_marked else ""
        found |= {
            f"upserts_per_s{suffix}": round(rows / timed.seconds),
            f"bytes_per_upsert{suffix}": round(done.figures["numTargetBytesAdded"] / max(1, rows), 1),
        }
    return {**timed.of(news.rows), **found}


def _news(stream: StreamDefinition, events: DataFrame, version: int) -> News:
    """All events at first, then a share of them again, each dated a day later than the last time."""
    happened = stream.event_time.field
    mine = events if version == 0 else events.sample(_UPSERT_SHARE, seed=version)
    added = mine.withColumn(happened, sf.col(happened) + sf.make_dt_interval(sf.lit(version))).persist()
    return News(version, {}, added.count(), None, added, events)


def windows(spark: SparkSession, bench: Bench, root: str) -> Figures:
    """A rollup's windows, of a second each, computed from all of its events."""
    name, rollup = next(iter(bench.stream.rollups.items()))
    seconds = rollup.model_copy(update={"window": Window(tumbling=timedelta(seconds=1))})
    stream = bench.stream.model_copy(update={"lateness": timedelta(), "rollups": {name: seconds}})
    events = Events(spark, stream, lake_table(root, stream.name))
    version = events.version()
    if version is None:
        raise RuntimeError("there is no events table")
    for run in range(2):
        table = RollupTable(spark, stream, seconds, lake_table(root, stream.name, f"bench_{name}_{run}"))
        with bench.timed() as timed:
            news = events.since(Cursor(table.definition, -1), version)
            table.follow(Cursor(table.definition, -1), news)
    return timed.of(news.rows)


def published(bench: Bench, client: Client, root: str) -> Figures:
    """Closed windows of one partition from the lake to ClickHouse; the figures are by window, not by event."""
    name = next(iter(bench.stream.rollups))
    path = lake_table(root, bench.stream.name, lake_rollup(name))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    starts = [began + timedelta(seconds=number % 86_400) for number in range(_PUBLISHED_ROWS)]
    rows = {
        "window_start": pa.array(starts, pa.timestamp("us", "UTC")),
        "window_end": pa.array(starts, pa.timestamp("us", "UTC")),
        **{
            each: pa.array([f"d{number}" for number in range(_PUBLISHED_ROWS)])
            for each in bench.stream.rollups[name].dimensions
        },
        **{each: pa.array(range(_PUBLISHED_ROWS), pa.int64()) for each in bench.stream.rollups[name].measures},
        "late": pa.array([0] * _PUBLISHED_ROWS, pa.int64()),
        "period": pa.array(["20260101"] * _PUBLISHED_ROWS),
    }
    publisher = Publisher(client, bench.stream, name, root)
    for _ in range(2):
        cursor = Cursor("bench", 0, {}, int(began.timestamp()) + 86_400, int(began.timestamp()), ("20260101",))
        said = CommitProperties(custom_metadata={"userMetadata": cursor.written()})
        write_deltalake(path, pa.table(rows), mode="overwrite", partition_by=["period"], commit_properties=said)
        with bench.timed() as timed:
            publisher.publish()
    return timed.of(_PUBLISHED_ROWS)


def write(events: DataFrame, bench: Bench, root: str) -> None:
    """The events table, anew."""
    files = len(bench.partitions)
    write_events(events, bench.stream, lake_table(root, bench.stream.name), files=files, mode="overwrite")
