"""Does maintenance change nothing but files? A real Delta table, the ledger that counts it and the tables that follow it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as sf

from controlplane.contract.facts import Extent
from controlplane.contract.folders import load_stream
from controlplane.contract.names import (
    EVENT_DATE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIME,
    lake_entity,
    lake_rollup,
    lake_table,
)
from controlplane.contract.settings import Settings
from pipeline.lake.append import write_events
from pipeline.lake.keeping import CHANGED_MEANWHILE
from pipeline.ledger.kept import Kept as LedgerKept
from pipeline.ledger.lake import DeltaFiles, LakeCount
from pipeline.maintenance.act import SparkActs
from pipeline.maintenance.kept import Kept
from pipeline.maintenance.look import Looker
from pipeline.maintenance.measure import Measures
from pipeline.maintenance.run import run
from pipeline.maintenance.tables import DeltaLake, tables_of
from pipeline.maintenance.topics import FakeTopics
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.facts import MaintenanceRan
    from controlplane.contract.streams import StreamDefinition

BEGAN = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
YAML = """
title: Orders
key: [customer]
event_time: {field: at}
rollups:
  minutes:
    title: By minute
    window: {tumbling: 1m}
    dimensions: [customer]
    measures: {orders: {count: true}}
entities:
  customer: {key: [customer], ordering: at}
maintenance: {small_files: 3, cluster_by: [customer]}
"""
SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "customer", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
BATCH = 300
NONE = Extent(files=0, bytes=0)


class Lake:
    """Commits of one event every two seconds, the tables that follow, and their maintenance."""

    def __init__(self, session: SparkSession, root: Path) -> None:
        folder = root / "orders"
        folder.mkdir()
        (folder / "stream.yaml").write_text(YAML)
        (folder / "schema.avsc").write_text(json.dumps(SCHEMA))
        (folder / "suite.json").write_text("{}")
        self.session, self.stream, self.count = session, load_stream(folder), 0
        self.settings = Settings(data=root, api="")
        self.kept = Kept(root / "maintenance")
        self.following = Following(session, self.stream, self.settings.lake_root)

    def path(self, table: str = "events") -> str:
        return lake_table(self.settings.lake_root, self.stream.name, table)

    def commit(self, through: Callable[[DataFrame], DataFrame] = lambda rows: rows) -> None:
        at = sf.timestamp_millis(sf.lit(int(BEGAN.timestamp() * 1000)) + sf.col("id") * 2000)
        rows = self.session.range(self.count, self.count + BATCH).select(
            sf.concat(sf.lit("c"), sf.col("id") % 7).alias("customer"),
            at.alias("at"),
            (sf.col("id") % 2).alias(SOURCE_PARTITION),
            sf.expr("id div 2").alias(SOURCE_OFFSET),
            at.alias(SOURCE_TIME),
            sf.to_date(at).alias(EVENT_DATE),
        )
        write_events(through(rows), self.stream, self.path(), files=1)
        self.count += BATCH

    def follow(self) -> list[Any]:
        return list(self.following.beat())

    def maintain(self, **policy: Any) -> list[MaintenanceRan]:
        stream: StreamDefinition = self.stream.model_copy(
            update={"maintenance": self.stream.maintenance.model_copy(update=policy)}
        )
        looks = Looker(self.settings, DeltaLake(), FakeTopics(None), self.kept)
        told: list[MaintenanceRan] = []
        acts = SparkActs(lambda: self.session, looks.topics, self.kept)
        run(looks.plan([stream], datetime.now(UTC)), acts, told.append, threading.Event())
        return told

    def files(self, table: str = "events") -> int:
        return len(DeltaTable(self.path(table)).file_uris())


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, tmp_path)


def test_files_change_and_nothing_else(lake: Lake, tmp_path: Path) -> None:
    ledger = LakeCount(DeltaFiles(lake.path()), LedgerKept(tmp_path / "ledger.sqlite"))
    for _ in range(5):
        lake.commit()
        assert lake.follow()
        ledger.read()
    counted, was = deepcopy(ledger.read()), {name: lake.files(name) for name in ("events", lake_rollup("minutes"))}
    properties = DeltaTable(lake.path()).metadata().configuration
    assert properties["delta.deletedFileRetentionDuration"] == properties["delta.logRetentionDuration"]
    assert properties["delta.dataSkippingStatsColumns"].endswith(",customer")

    told = lake.maintain()
    assert [each.error for each in told] == [None] * len(told)
    assert {(each.subject, each.stage.value) for each in told} >= {
        ("events", "cluster"),
        (lake_rollup("minutes"), "compact"),
    }
    [first_day] = [each for each in DeltaTable(lake.path()).file_uris() if f"{EVENT_DATE}={BEGAN:%Y-%m-%d}" in each]
    customers = pq.ParquetFile(first_day).read(["customer"])["customer"].to_pylist()
    assert customers == sorted(customers), "rows are in order within a file as well"
    assert all(each.before and each.after and each.after.files < each.before.files for each in told)
    assert "vacuum" not in {each.stage.value for each in told}
    assert all(lake.files(name) < count for name, count in was.items())
    assert lake.follow() == []
    assert ledger.read() == counted
    assert lake.maintain() == []

    # The promise is broken here on purpose, so that vacuum has something to do; the plan is not allowed to by itself.
    broken = {"time_travel": timedelta(0), "small_files": 2}
    assert {(each.stage.value, each.error) for each in lake.maintain(**broken)} == {("promise", None)}
    told = lake.maintain(**broken)
    assert {(each.stage.value, each.error) for each in told} == {("vacuum", None)}
    assert {each.subject for each in told} >= {"events", lake_rollup("minutes")}
    assert [(each.subject, each.after and each.after.files) for each in told if each.after != NONE] == []
    assert all(each.before and each.before.files for each in told)
    assert lake.maintain(**broken) == []
    assert lake.follow() == []
    assert ledger.read() == counted
    offsets = [ledger.offsets(partition, 0) for partition in (0, 1)]
    assert offsets == [Counter(range(lake.count // 2))] * 2

    lake.commit()
    assert {fact.kind for fact in lake.follow()} == {"entities_upserted", "windows_closed"}
    assert sum(sum(blocks.values()) for blocks in ledger.read().values()) == lake.count
    customers = DeltaTable(lake.path(lake_entity("customer"))).to_pandas().set_index("customer")
    newest = {f"c{number % 7}": number for number in range(lake.count)}
    assert {each: row.tg_offset * 2 + row.tg_partition for each, row in customers.iterrows()} == newest
    windows = DeltaTable(lake.path(lake_rollup("minutes"))).to_pandas()
    assert windows.groupby("window_start").orders.sum().unique().tolist() == [30]
    [events, *_] = Measures([(each, lake.stream) for each in tables_of(lake.stream, lake.settings.lake_root)]).take(
        datetime.now(UTC)
    )
    assert (events.files, events.small_files, events.reason) == (lake.files(), lake.files(), None)


def test_an_upsert_that_meets_a_concurrent_optimize_is_done_at_the_next_beat(lake: Lake) -> None:
    lake.commit()
    lake.follow()
    lake.commit()
    path, stop, rewritten = lake.path(lake_entity("customer")), threading.Event(), list[int]()

    def optimize() -> None:
        while not stop.is_set():
            DeltaTable(path).optimize.z_order(["customer"])
            rewritten.append(1)

    thread = threading.Thread(target=optimize)
    thread.start()
    try:
        told = lake.follow()
    finally:
        stop.set()
        thread.join()
    assert rewritten
    assert [fact.kind for fact in told] == ["windows_closed"]
    [fact] = lake.follow()
    assert (fact.kind, fact.events) == ("entities_upserted", BATCH)
    customers = DeltaTable(path).to_pandas()
    assert customers.tg_offset.max() == lake.count // 2 - 1


def test_an_append_under_way_while_a_property_is_set_fails_as_lake_knows_it_and_leaves_nothing(
    lake: Lake, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    lake.commit()
    begun, may_end = tmp_path / "begun", tmp_path / "may-end"
    paths = (str(begun), str(may_end))

    def held(rows: DataFrame) -> DataFrame:
        def hold(frames: Iterable[Any]) -> Iterable[Any]:
            import pathlib
            import threading
            import time

            pathlib.Path(paths[0]).touch()
            deadline = time.monotonic() + 60
            while not pathlib.Path(paths[1]).exists() and time.monotonic() < deadline:
                threading.Event().wait(0.05)
            yield from frames

        return rows.mapInPandas(hold, rows.schema)

    with ThreadPoolExecutor(1) as aside:
        append = aside.submit(lake.commit, held)
        eventually(begun.exists, "the append has begun")
        DeltaTable(lake.path()).alter.set_table_properties({"delta.logRetentionDuration": "interval 8 days"})
        may_end.touch()
        failure = str(append.exception(60))
    assert CHANGED_MEANWHILE.search(failure), failure
    assert DeltaTable(lake.path()).count() == BATCH
    lake.commit()
    assert DeltaTable(lake.path()).count() == 2 * BATCH
