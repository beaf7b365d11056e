"""Do entities and rollups come out right, whatever the order in which events reach the lake? Real Delta tables, a real Spark.

Events come in commits, some of them late. After each commit the tables follow, and each time they must be what a few lines of
pandas make of all the events so far.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from delta.tables import DeltaTable as SparkTable
from deltalake import DeltaTable

from controlplane.contract.folders import load_stream
from controlplane.contract.names import EVENT_DATE, lake_entity, lake_rollup, lake_table
from pipeline.lake.append import table_options
from pipeline.lake.lineage import with_backfill, with_rollback
from pipeline.tables.cursor import commits_of
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition

SAYS = "spark.databricks.delta.commitInfo.userMetadata"
BEGAN = datetime(2026, 3, 1, 22, tzinfo=UTC)
"""Two hours before midnight: windows and sessions cross into another partition."""
YAML = """
title: Orders
key: [customer]
event_time: {field: at}
lateness: 30s
rollups:
  minutes:
    title: By minute
    window: {tumbling: 1m}
    dimensions: [kind]
    measures:
      orders: {count: true}
      total: {sum: amount}
      least: {min: amount}
      most: {max: amount}
      mean: {average: price}
      customers: {distinct: customer}
      middle: {quantile: price, at: 0.9}
  sliding:
    title: Ten minutes, every five
    window: {sliding: 10m, every: 5m}
    where: {kind: [a, b]}
    measures:
      orders: {count: true}
  visits:
    title: Visits
    window: {session: 3m}
    dimensions: [customer]
    measures:
      orders: {count: true}
      total: {sum: amount}
entities:
  customer:
    key: [customer]
    ordering: at
    deleted_when: {kind: [gone]}
"""
SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "customer", "type": ["null", "string"], "default": None},
        {"name": "kind", "type": "string"},
        {"name": "amount", "type": "int"},
        {"name": "price", "type": ["null", "double"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


@pytest.fixture
def orders(tmp_path: Path) -> StreamDefinition:
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "stream.yaml").write_text(YAML)
    (folder / "schema.avsc").write_text(json.dumps(SCHEMA))
    (folder / "suite.json").write_text("{}")
    return load_stream(folder)


class Lake:
    """Commits of events, as lake leaves them, and the tables that follow."""

    def __init__(self, session: SparkSession, stream: StreamDefinition, root: Path) -> None:
        self.session, self.stream, self.root = session, stream, str(root)
        self.offsets = {0: 0, 1: 0}
        self.events = pd.DataFrame()
        self.following = Following(session, stream, self.root)

    def commit(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["tg_partition"] = hash(row["customer"] or "") % 2
            row["tg_offset"] = self.offsets[row["tg_partition"]]
            self.offsets[row["tg_partition"]] += 1
        self._write(rows)

    def swap(self, rows: list[dict[str, Any]], customer: str) -> None:
        """As a backfill commits rows that have no place in Kafka."""
        placed = [{**row, "customer": customer, "tg_partition": -1, "tg_offset": at} for at, row in enumerate(rows)]
        self._write(placed, userMetadata=with_backfill(None, "op2"))

    def forget(self, count: int) -> None:
        """All but the first events: the lake no longer has them."""
        self.events = self.events.iloc[:count]
        self.offsets = {each: int((self.events.tg_partition == each).sum()) for each in self.offsets}

    def _write(self, rows: list[dict[str, Any]], **options: str) -> None:
        fresh = pd.DataFrame(rows).astype({"price": "float64"})
        self.events = pd.concat([self.events, fresh], ignore_index=True)
        frame = self.session.createDataFrame(pa.Table.from_pandas(fresh, preserve_index=False))
        (
            frame.selectExpr("*", f"to_date(at) AS {EVENT_DATE}")
            .write.format("delta")
            .mode("append")
            .partitionBy(EVENT_DATE)
            .options(**table_options(self.stream), **options)
            .save(lake_table(self.root, self.stream.name))
        )

    def follow(self, *, anew: bool = False) -> list[Any]:
        if anew:
            self.following = Following(self.session, self.stream, self.root)
        return list(self.following.beat())

    def table(self, name: str) -> pd.DataFrame:
        return DeltaTable(lake_table(self.root, self.stream.name, name)).to_pandas()

    def roll_back(self, table: str, to: int) -> None:
        """As a rollback commits it."""
        path = lake_table(self.root, self.stream.name, table)
        metadata = {int(each["version"]): each.get("userMetadata") for each in DeltaTable(path).history()}
        self.session.conf.set(SAYS, with_rollback(metadata[to], "op1", to))
        try:
            SparkTable.forPath(self.session, path).restoreToVersion(to)
        finally:
            self.session.conf.unset(SAYS)


def made(random_: random.Random, count: int, since_s: float, until_s: float, arrived_s: float) -> list[dict[str, Any]]:
    """Events at random times between two moments, all taken by the raw topic at a third."""
    return [
        {
            "customer": random_.choice([None, "ann", "bob", "cid", "dee"]),
            "kind": random_.choice(["a", "b", "c", "gone"]),
            "amount": random_.randint(-5, 50),
            "price": random_.choice([None, 0.5, 1.25, 7.75]),
            "at": BEGAN + timedelta(milliseconds=int(random_.uniform(since_s, until_s) * 1000)),
            "tg_raw_at": BEGAN + timedelta(seconds=arrived_s),
        }
        for _ in range(count)
    ]


def by_windows(events: pd.DataFrame, starts: pd.Series, length: str, horizon: pd.Timestamp) -> pd.DataFrame:
    framed = events.assign(window_start=starts)
    return framed[framed.window_start + pd.Timedelta(length) <= horizon]


def minutes_of(events: pd.DataFrame, horizon: pd.Timestamp) -> pd.DataFrame:
    framed = by_windows(events, events["at"].dt.floor("1min"), "1min", horizon)
    return framed.groupby(["window_start", "kind"], as_index=False).agg(
        orders=("kind", "size"),
        total=("amount", "sum"),
        least=("amount", "min"),
        most=("amount", "max"),
        mean=("price", "mean"),
        customers=("customer", "nunique"),
        middle=("price", lambda prices: prices.quantile(0.9)),
    )


def sliding_of(events: pd.DataFrame, horizon: pd.Timestamp) -> pd.DataFrame:
    wanted = events[events.kind.isin(["a", "b"])]
    pane = wanted["at"].dt.floor("5min")
    both = pd.concat([by_windows(wanted, pane - pd.Timedelta(back), "10min", horizon) for back in ("0min", "5min")])
    return both.groupby("window_start", as_index=False).agg(orders=("kind", "size"))


def visits_of(events: pd.DataFrame, horizon: pd.Timestamp) -> pd.DataFrame:
    gap = pd.Timedelta("3min")
    framed = events.assign(customer=events.customer.fillna(""), second=events["at"].dt.floor("s"))
    framed = framed.sort_values(["customer", "second"])
    begins = framed.groupby("customer").second.diff().isna() | (framed.groupby("customer").second.diff() >= gap)
    framed["visit"] = begins.cumsum()
    found = framed.groupby(["customer", "visit"], as_index=False).agg(
        window_start=("second", "min"), last=("second", "max"), orders=("kind", "size"), total=("amount", "sum")
    )
    return found[found["last"] + gap <= horizon].drop(columns=["visit", "last"])


EXPECTED = {"minutes": minutes_of, "sliding": sliding_of, "visits": visits_of}


def agrees(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    columns = list(expected.columns)
    keys = [each for each in columns if each in ("window_start", "kind", "customer")]
    one, other = (each[columns].sort_values(keys).reset_index(drop=True) for each in (found, expected))
    for each in (one, other):
        each["window_start"] = each["window_start"].astype("datetime64[us, UTC]")
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


@pytest.mark.parametrize("seed", [1, 2])
def test_tables_are_what_pandas_makes_of_all_events_so_far(
    spark: SparkSession, orders: StreamDefinition, tmp_path: Path, seed: int
) -> None:
    random_ = random.Random(seed)  # noqa: S311 (a drawing)
    lake, horizons = Lake(spark, orders, tmp_path / "lake"), {}
    for round_ in range(6):
        on_time = made(random_, 60, round_ * 1800, (round_ + 1) * 1800, (round_ + 1) * 1800)
        late = made(random_, 5 * (round_ % 3), 0, max(1, round_ * 1800), (round_ + 1) * 1800)
        lake.commit(on_time + late)
        for fact in lake.follow(anew=round_ % 2 == 1):
            if fact.kind == "windows_closed":
                horizons[fact.table] = pd.Timestamp(fact.horizon)
        for name, expected in EXPECTED.items():
            agrees(lake.table(lake_rollup(name)), expected(lake.events, horizons[lake_rollup(name)]))
    late_so_far = lake.table(lake_rollup("minutes")).late.sum()
    assert 0 < late_so_far <= 5 * (0 + 1 + 2 + 0 + 1 + 2)
    known = lake.events.dropna(subset=["customer"])
    newest = known.sort_values(["at", "tg_raw_at", "tg_partition", "tg_offset"]).groupby("customer").tail(1)
    entities = lake.table(lake_entity("customer")).sort_values("customer").reset_index(drop=True)
    expected_rows = newest.sort_values("customer").reset_index(drop=True)
    assert entities.tg_offset.tolist() == expected_rows.tg_offset.tolist()
    assert entities.tg_deleted.tolist() == (expected_rows.kind == "gone").tolist()


def test_following_twice_writes_nothing(spark: SparkSession, orders: StreamDefinition, tmp_path: Path) -> None:
    lake = Lake(spark, orders, tmp_path / "lake")
    lake.commit(made(random.Random(3), 50, 0, 1800, 1800))  # noqa: S311
    assert lake.follow()
    assert lake.follow() == []
    assert lake.follow(anew=True) == []


def test_a_table_begins_with_the_first_event_and_not_before(
    spark: SparkSession, orders: StreamDefinition, tmp_path: Path
) -> None:
    lake = Lake(spark, orders, tmp_path / "lake")
    random_ = random.Random(4)  # noqa: S311
    lake.commit(made(random_, 5, 0, 60, 60))
    DeltaTable(lake_table(lake.root, orders.name)).delete()
    lake.offsets, lake.events = {0: 0, 1: 0}, pd.DataFrame()
    assert lake.follow() == []
    lake.commit(made(random_, 20, 0, 600, 600))
    lake.follow()
    assert len(lake.table(lake_entity("customer"))) == lake.events.customer.nunique()


def test_tables_follow_past_a_rollback_and_past_a_swap(
    spark: SparkSession, orders: StreamDefinition, tmp_path: Path
) -> None:
    random_, lake = random.Random(5), Lake(spark, orders, tmp_path / "lake")  # noqa: S311
    for round_ in range(4):
        lake.commit(made(random_, 40, round_ * 1800, (round_ + 1) * 1800, (round_ + 1) * 1800))
        lake.follow()
    lake.roll_back("events", 1)
    for each in (*map(lake_rollup, EXPECTED), lake_entity("customer")):
        commits = commits_of(lake_table(lake.root, orders.name, each))
        assert commits is not None
        lake.roll_back(each, max(at for at, cursor in commits.by_version.items() if cursor.events_version <= 1))
    lake.forget(80)
    lake.commit(made(random_, 10, 0, 1800, 5400))
    swapped = made(random_, 7, 3600, 5000, 5400)
    lake.swap(swapped, customer="eve")
    lake.commit(made(random_, 40, 3600, 5400, 5400))
    facts = lake.follow(anew=True)
    [upserted] = [each for each in facts if each.kind == "entities_upserted"]
    assert upserted.events == 50, "what was rolled back and what was swapped in is not followed"
    assert "eve" not in set(lake.table(lake_entity("customer")).customer)
    horizons = {each.table: pd.Timestamp(each.horizon) for each in facts if each.kind == "windows_closed"}
    for name, expected in EXPECTED.items():
        agrees(lake.table(lake_rollup(name)), expected(lake.events, horizons[lake_rollup(name)]))


def test_a_table_that_followed_what_was_rolled_back_is_computed_anew(
    spark: SparkSession, orders: StreamDefinition, tmp_path: Path
) -> None:
    random_, lake = random.Random(6), Lake(spark, orders, tmp_path / "lake")  # noqa: S311
    for round_ in range(3):
        lake.commit(made(random_, 30, round_ * 1800, (round_ + 1) * 1800, (round_ + 1) * 1800))
        lake.follow()
    kept = lake.events.iloc[:30]
    lake.roll_back("events", 0)
    assert lake.follow() == [], "it is seen that what was followed is gone"
    facts = lake.follow()
    horizons = {each.table: pd.Timestamp(each.horizon) for each in facts if each.kind == "windows_closed"}
    for name, expected in EXPECTED.items():
        agrees(lake.table(lake_rollup(name)), expected(kept, horizons[lake_rollup(name)]))
