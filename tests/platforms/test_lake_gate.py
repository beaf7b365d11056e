"""Is a micro-batch that its gate turns away in exactly one place, whoever dies when? Real Kafka, Spark, Delta and suites."""

from __future__ import annotations

import io
import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from pyspark.errors import StreamingQueryException

from controlplane.contract.facts import EntitiesUpserted
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import GateDecided, GateOrdered, Order, Outcome, Stage
from controlplane.contract.names import Hop, topic
from controlplane.contract.rejects import REJECT_COLUMNS
from controlplane.contract.valid import valid_schema
from controlplane.up import Platform
from pipeline.kafka import ensure_topics
from pipeline.lake import release
from pipeline.lake.gate import BatchGate, FakeOrders
from pipeline.lake.held import held_in
from pipeline.lake.keeping import kept_running
from pipeline.lake.lineage import with_rollback
from pipeline.lake.release import Releases
from pipeline.lake.writer import LakeWriter
from pipeline.ledger.kept import Kept
from pipeline.ledger.lake import DeltaFiles, LakeCount, WithDiverted
from pipeline.registry import Learned
from pipeline.rollback.commit import commit_content_of
from pipeline.suites import FollowedSuites
from pipeline.tables.follow import Following
from quality.gate import ExpectationsGate
from quality.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

    from controlplane.contract.settings import Settings

YAML = """
title: Clicks
key: [who]
event_time: {field: at}
topics: {partitions: 2}
entities: {person: {key: [who], ordering: at}}
gates: {lake: {policy: POLICY, sample: 500}}
"""
SCHEMA = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "who", "type": "string"},
        {"name": "amount", "type": ["null", "int"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
AMOUNTS = {
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "amount", "min_value": 0},
    "meta": {"name": "amount_not_negative"},
}
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with Platform(tmp_path_factory.mktemp("platform"), only=("kafka",), told=lambda _: None) as platform:
        platform.start()
        yield platform.settings


class Reports:
    """What the lake says."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.said: dict[str, Any] = {}

    def report(self, *facts: Any) -> None:
        self.facts.extend(facts)

    def stand(self, what: str, facts: Any) -> None:
        self.said[what] = facts

    def decided(self) -> list[GateDecided]:
        return [each for each in self.facts if isinstance(each, GateDecided)]


class Clicks:
    """A stream of its own, whose lake is started and stopped as a test wants."""

    def __init__(self, name: str, folder: Path, spark: SparkSession, settings: Settings, policy: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        (self.folder / "stream.yaml").write_text(YAML.replace("POLICY", policy))
        (self.folder / "schema.avsc").write_text(json.dumps(SCHEMA))
        self.write_suite(AMOUNTS)
        self.stream = load_stream(self.folder)
        self.spark, self.settings = (
            spark,
            settings.model_copy(update={"lake": str(folder / "lake"), "lake_trigger": timedelta(milliseconds=100)}),
        )
        self.schema = valid_schema(self.stream)
        self.known = Learned(self.stream, {}, {1: json.dumps(self.schema)}, (), frozenset())
        self.orders, self.reports, self.results = FakeOrders(), Reports(), Results(folder / "results")
        self.next = [0, 0]
        ensure_topics(AdminClient({"bootstrap.servers": settings.kafka}), self.stream)

    def write_suite(self, *expectations: dict[str, Any]) -> None:
        (self.folder / "suite.json").write_text(
            json.dumps({"lake": {"name": "lake", "expectations": list(expectations)}})
        )

    def produce(self, partition: int, *amounts: int | None) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka})
        for amount in amounts:
            offset, self.next[partition] = self.next[partition], self.next[partition] + 1
            event = {
                "who": "ann", "amount": amount, "at": AT,
                "tg_partition": partition, "tg_offset": offset, "tg_raw_at": AT,
            }  # fmt: skip
            body = io.BytesIO()
            fastavro.schemaless_writer(body, self.schema, event)
            value = b"\0\0\0\0\1" + body.getvalue()
            producer.produce(topic(self.stream.name, Hop.VALID), value, b"ann", partition=partition)
            producer.poll(0)
        producer.flush(10)

    def start(self) -> None:
        self.closing = threading.Event()
        self.suites = FollowedSuites(load_stream(self.folder), (Stage.LAKE,))
        reports: Any = self.reports
        gate = BatchGate(
            self.stream.name,
            self.stream.gates.lake,
            ExpectationsGate(self.results),
            self.suites,
            self.orders,
            reports,
            self.closing,
        )
        self.writer = LakeWriter(self.spark, lambda: self.known, self.known, (0, 1), self.settings, reports, gate)
        self.query = self.writer.start()

    def goes_on(self) -> bool:
        """Spark fails a query that has run again what a crash left open; lake's loop starts the next."""
        tables: Any = None
        self.query = kept_running(self.writer, self.query, tables)
        return True

    def stop(self) -> None:
        self.closing.set()
        self.query.stop()

    def run_what_is_there(self) -> None:
        """Until the lake has what the topic has, wherever it went."""
        self.start()
        with suppress(StreamingQueryException):
            self.query.processAllAvailable()
        self.goes_on()
        self.query.processAllAvailable()
        self.stop()

    def amounts(self, table: str) -> list[int | None]:
        path = {"events": self.writer.table, "diverted": self.writer.diverted}[table]
        if not DeltaTable.is_deltatable(path):
            return []
        rows = DeltaTable(path).to_pyarrow_table().to_pylist()
        if table == "events":
            return sorted((each["amount"] for each in rows), key=str)
        read = (fastavro.schemaless_reader(io.BytesIO(each["value"][5:]), self.schema, None) for each in rows)
        return sorted((each["amount"] for each in read), key=str)

    def forget_the_last_commit(self) -> None:
        """What a crash leaves that comes after the write and before Spark has noted the batch as done."""
        from pathlib import Path

        commits = Path(self.writer.checkpoint) / "commits"
        last = max((each for each in commits.iterdir() if each.name.isdigit()), key=lambda each: int(each.name))
        for each in (last, commits / f".{last.name}.crc"):
            each.unlink(missing_ok=True)

    def order(self, order: Order, subject: str | None = None) -> None:
        said = {"stream": self.stream.name, "stage": Stage.LAKE, "at": datetime.now(UTC), "by": "ana"}
        self.orders.given.append(GateOrdered(**said, order=order, subject=subject))

    def releases(self) -> Releases:
        return Releases(self.spark, lambda: self.known, self.settings.lake_root, self.orders)


@pytest.fixture
def clicks(tmp_path: Path, spark: SparkSession, settings: Settings, request: pytest.FixtureRequest) -> Iterator[Clicks]:
    name, policy = request.param
    found = Clicks(name, tmp_path, spark, settings, policy)
    yield found
    found.stop()
    found.results.close()


@pytest.mark.parametrize("clicks", [("diverting", "divert")], indirect=True)
def test_a_batch_is_diverted_whole_and_stays_where_it_is_when_run_again(clicks: Clicks) -> None:
    clicks.write_suite({"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}, AMOUNTS)
    clicks.run_what_is_there()
    assert clicks.reports.decided() == [], "an empty micro-batch, as Spark begins with, is no data to judge"
    clicks.produce(0, 1, 2, None)
    clicks.run_what_is_there()
    clicks.produce(0, 3, -4)
    clicks.produce(1, 5)
    clicks.run_what_is_there()
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([1, 2, None], [-4, 3, 5])
    table = DeltaTable(clicks.writer.diverted).to_pyarrow_table()
    assert table.column_names == list(REJECT_COLUMNS)
    [row] = table.filter(pa.compute.equal(table["id"], "valid:0:4")).to_pylist()
    assert (row["reason"], row["stage"], row["rules"]) == ("gate_failed", "lake", "amount_not_negative")
    assert (row["tg_partition"], row["tg_offset"], row["schema_id"], row["seen_at"]) == (0, 4, 1, AT)
    assert row["suite"] == clicks.suites.fingerprint(Stage.LAKE)
    assert held_in(clicks.writer.table, clicks.writer.diverted) == (True, {0: 5, 1: 1})
    decided = clicks.reports.decided()
    assert [each.outcome for each in decided] == [Outcome.PASSED, Outcome.DIVERTED]
    assert decided[1].reason == "amount_not_negative is broken by 1 of 3 rows"
    clicks.forget_the_last_commit()
    clicks.write_suite()
    clicks.produce(1, 6)
    clicks.run_what_is_there()
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([1, 2, 6, None], [-4, 3, 5])
    clicks.forget_the_last_commit()
    clicks.write_suite({**AMOUNTS, "kwargs": {"column": "amount", "min_value": 100}})
    clicks.run_what_is_there()
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([1, 2, 6, None], [-4, 3, 5])


@pytest.mark.parametrize("clicks", [("halting", "halt")], indirect=True)
def test_a_halted_batch_waits_for_an_order_or_another_suite(clicks: Clicks, eventually: Callable[..., Any]) -> None:
    clicks.produce(0, 1, -2)
    clicks.start()
    eventually(clicks.reports.decided, "a halt")
    clicks.stop()
    assert clicks.amounts("events") == []
    clicks.start()
    eventually(lambda: len(clicks.reports.decided()) == 2, "the same halt")
    clicks.order(Order.PASS)
    eventually(lambda: clicks.amounts("events") == [-2, 1], "it in the lake")
    clicks.produce(0, -3)
    eventually(lambda: clicks.goes_on() and len(clicks.reports.decided()) == 4, "another halt")
    clicks.write_suite({**AMOUNTS, "kwargs": {"column": "amount", "min_value": -10}})
    eventually(clicks.suites.look, "the new suite")
    eventually(lambda: len(clicks.reports.decided()) == 5, "a verdict, told once all of it is in the lake")
    assert clicks.amounts("events") == [-2, -3, 1]
    assert [each.outcome for each in clicks.reports.decided()] == [
        Outcome.HALTED, Outcome.HALTED, Outcome.LET_THROUGH, Outcome.HALTED, Outcome.PASSED,
    ]  # fmt: skip


@pytest.mark.parametrize("clicks", [("sampled", "divert")], indirect=True)
def test_a_large_batch_is_judged_by_a_sample_that_is_counted_whole(clicks: Clicks) -> None:
    clicks.write_suite(
        AMOUNTS, {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1200, "max_value": 1200}}
    )
    clicks.produce(0, *range(1000))
    clicks.produce(1, *range(200))
    clicks.run_what_is_there()
    [fact] = clicks.reports.decided()
    assert (fact.outcome, fact.rows, fact.judged) == (Outcome.PASSED, 1200, 450)
    assert [each.judged for each in fact.rules] == [450, None]
    assert len(clicks.amounts("events")) == 1200


def killed(*_: Any, **__: Any) -> None:
    raise RuntimeError("killed")


@pytest.mark.parametrize("clicks", [("releasing", "divert")], indirect=True)
def test_a_diverted_batch_is_released_once_whoever_is_killed_and_tables_follow(
    clicks: Clicks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clicks.produce(0, 1, -2)
    clicks.run_what_is_there()
    clicks.forget_the_last_commit()
    clicks.write_suite()
    clicks.produce(0, 3)
    clicks.run_what_is_there()
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([3], [-2, 1])
    counted = LakeCount(
        WithDiverted(DeltaFiles(clicks.writer.table), DeltaFiles(clicks.writer.diverted)),
        Kept(tmp_path / "kept.sqlite"),
    )
    assert counted.read() == {0: {0: 3}}, "the ledger has what was diverted in the lake"
    following = Following(clicks.spark, clicks.stream, clicks.settings.lake_root)
    list(following.beat())
    [batch] = set(DeltaTable(clicks.writer.diverted).to_pyarrow_table()["batch"].to_pylist())
    clicks.order(Order.RELEASE, batch)
    with monkeypatch.context() as patched:
        patched.setattr(release, "write_events", killed)
        with pytest.raises(RuntimeError):
            list(clicks.releases().beat())
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([3], [])
    assert counted.read() == {0: {0: 1}}
    clicks.orders.given.clear()
    [fact] = clicks.releases().beat()
    assert fact.rows == 2
    clicks.order(Order.RELEASE, batch)
    assert list(clicks.releases().beat()) == []
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([-2, 1, 3], [])
    assert counted.read() == {0: {0: 3}}
    [upserts] = (fact for fact in following.beat() if isinstance(fact, EntitiesUpserted))
    assert upserts.events == 2
    assert held_in(clicks.writer.table, clicks.writer.diverted) == (True, {0: 3, 1: 0})


@pytest.mark.parametrize("clicks", [("taking_back", "divert")], indirect=True)
def test_a_release_that_is_rolled_back_is_done_again_only_when_it_is_ordered_again(clicks: Clicks) -> None:
    clicks.produce(0, 1, -2)
    clicks.run_what_is_there()
    [batch] = set(DeltaTable(clicks.writer.diverted).to_pyarrow_table()["batch"].to_pylist())
    versions = {path: DeltaTable(path).version() for path in (clicks.writer.table, clicks.writer.diverted)}
    clicks.order(Order.RELEASE, batch)
    assert [fact.rows for fact in clicks.releases().beat()] == [2]
    for path, version in versions.items():
        commit_content_of(path, version, with_rollback(None, "op1", version), lambda: clicks.spark)
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([], [-2, 1])
    assert list(clicks.releases().beat()) == [], "what was ordered before counts no more, and nothing was begun"
    clicks.order(Order.RELEASE, batch)
    assert [fact.rows for fact in clicks.releases().beat()] == [2], "though Delta remembers the first one"
    assert (clicks.amounts("events"), clicks.amounts("diverted")) == ([-2, 1], [])
    assert list(clicks.releases().beat()) == []
