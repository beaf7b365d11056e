"""Is the cause that is provoked the one that is named first? Real queries, tables and topics, slow on purpose, each in its own way.

What is known of them comes on the same way as in the platform: listener, REST API, gate, tables and lag monitor make facts, the
control plane folds them, and `lag_monitor.why` explains what is known then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.errors import StreamingQueryException

from controlplane.contract.facts import EntitiesUpserted, Fact, PartChanged, PartState
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import GateDecided, Stage
from controlplane.contract.lag import Cause, LagExplained
from controlplane.contract.names import EVENT_DATE, lake_entity, lake_table
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.spark import SparkObserved, SparkStarted
from controlplane.service.observed import Observed
from controlplane.service.spark import spark_frame
from controlplane.service.state import Known
from controlplane.up import Platform
from controlplane.up.part import Part
from controlplane.up.supervisor import Supervisor
from lag_monitor.heard import Heard
from lag_monitor.kafka.cluster import Cluster
from lag_monitor.kafka.records import Records
from lag_monitor.lag import Lag
from lag_monitor.positions.groups import LIVE_GROUP
from lag_monitor.positions.lake import LakeEnds
from lag_monitor.spark.ask import Application
from lag_monitor.why.explain import explained
from lag_monitor.why.observe import Answers, observe
from lag_monitor.why.past import Past
from pipeline.lake.append import table_options
from pipeline.lake.gate import Batch, BatchGate, ClosingError, FakeOrders
from pipeline.listener import Listening
from pipeline.maintenance.measure import Measures
from pipeline.maintenance.tables import Table
from pipeline.progress import progressed
from pipeline.spark import started
from pipeline.suites import FollowedSuites
from pipeline.tables.follow import Following
from quality.gate import ExpectationsGate
from quality.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition

SHOP = load_stream(SHIPPED_STREAMS / "shop")
YAML = """
title: Clicks
key: [who]
event_time: {field: at}
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


class Seen:
    """What the control plane has been told, and what is made of it."""

    def __init__(self) -> None:
        self.known, self.observed, self.past = Known(), Observed(), Past()

    def fold(self, *facts: Fact) -> None:
        self.known.fold(facts)
        self.observed.fold(facts)
        self.past.fold(facts)

    def explain(self, part: str, stream: StreamDefinition, trigger_s: float = 20.0) -> LagExplained:
        """Why a query is slow now."""
        now, facts = datetime.now(UTC), tuple(self.known.facts.values())
        answers = Answers(now, facts, spark_frame(self.known, self.observed, now))
        settings = Settings(tables_trigger=timedelta(seconds=trigger_s))
        found = observe(answers, self.past, [stream], settings)
        return next(explained(each) for each in found if each.query.part == part)


def first(found: LagExplained) -> Cause | None:
    return found.suspects[0].cause if found.suspects else None


@pytest.fixture(scope="module")
def explanations(
    tmp_path_factory: pytest.TempPathFactory, looked: Callable[[Application, SparkStarted], SparkObserved]
) -> dict[str, LagExplained]:
    """Scenario -> what was said when it had run."""
    scratch, program = tmp_path_factory.mktemp("why"), Path(__file__).with_name("why_scenarios.py")
    command = [sys.executable, "-P", str(program), str(scratch)]
    found: dict[str, LagExplained] = {}
    seen, application = Seen(), None
    with (
        (scratch / "stderr").open("w") as errors,
        httpx.Client(trust_env=False) as client,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as child,
    ):
        assert child.stdout is not None
        assert child.stdin is not None
        for line in child.stdout:
            told = json.loads(line)
            assert not told["error"]
            begun = SparkStarted.model_validate(told["application"]).model_copy(update={"at": datetime.now(UTC)})
            application = application or Application(begun.app_id, client)
            seen.fold(begun, looked(application, begun))
            seen.fold(*progressed(told["said"], "lake", "microbatch", timedelta(seconds=told["trigger_s"])))
            name = told["scenario"]
            found[name] = seen.explain("lake", SHOP.model_copy(update={"name": name}))
            if name == "quiet":
                child.stdin.close()
    assert child.returncode == 0, (scratch / "stderr").read_text()[-4000:]
    return found


@pytest.mark.parametrize(
    "cause",
    [Cause.TOO_FEW_SLOTS, Cause.SKEWED_PARTITION, Cause.GARBAGE_COLLECTION, Cause.SINK, Cause.SLOW_PLANNING],
)
def test_what_makes_a_query_slow_is_named_first(cause: Cause, explanations: dict[str, LagExplained]) -> None:
    found = explanations[cause]
    assert found.is_slow
    assert first(found) is cause, found


def test_a_quiet_query_is_not_slow_and_nothing_is_suspected(explanations: dict[str, LagExplained]) -> None:
    assert not explanations["quiet"].is_slow
    assert explanations["quiet"].suspects == ()


def clicks(folder: Path, policy: str = "pass", suite: list[dict[str, Any]] | None = None) -> StreamDefinition:
    folder = folder / "clicks"
    folder.mkdir()
    (folder / "stream.yaml").write_text(YAML.replace("POLICY", policy))
    (folder / "schema.avsc").write_text(json.dumps(SCHEMA))
    (folder / "suite.json").write_text(json.dumps({"lake": {"name": "lake", "expectations": suite}} if suite else {}))
    return load_stream(folder)


def upserted(
    spark: SparkSession, stream: StreamDefinition, root: str, following: Following, since: int
) -> EntitiesUpserted:
    """Fold one event of each of three hundred people in, those of the raw topic's next three hundred offsets."""
    rows = spark.range(since, since + 300).selectExpr(
        "concat('person ', id % 300) AS who", "CAST(id AS int) AS amount", "current_timestamp() AS at",
        "0 AS tg_partition", "id AS tg_offset", "current_timestamp() AS tg_raw_at", f"current_date() AS {EVENT_DATE}",
    )  # fmt: skip
    events = rows.write.format("delta").mode("append").partitionBy(EVENT_DATE).options(**table_options(stream))
    events.save(lake_table(root, stream.name))
    return next(fact for fact in following.beat() if isinstance(fact, EntitiesUpserted))


def test_a_merge_into_many_small_files_is_named_first(spark: SparkSession, tmp_path: Path) -> None:
    stream, root, seen = clicks(tmp_path), str(tmp_path / "lake"), Seen()
    following = Following(spark, stream, root)
    path = lake_table(root, stream.name, lake_entity("person"))
    measures = Measures([(Table(stream.name, lake_entity("person"), path), stream)])
    upserted(spark, stream, root, following, 0)
    many = spark.read.format("delta").load(path).repartition(150)
    many.write.format("delta").mode("overwrite").option("dataChange", "false").save(path)
    seen.fold(*measures.take(datetime.now(UTC)), upserted(spark, stream, root, following, 300))
    scattered = seen.explain("lake", stream, trigger_s=0.5)
    assert first(scattered) is Cause.SMALL_FILES, scattered
    assert scattered.suspects[0].numbers["files_read"] >= 100


class Reports:
    """What the gate says."""

    def __init__(self) -> None:
        self.facts: list[Any] = []

    def report(self, *facts: Any) -> None:
        self.facts.extend(facts)


@pytest.fixture
def gated(
    spark: SparkSession, tmp_path: Path, looked: Callable[[Application, SparkStarted], SparkObserved]
) -> Iterator[Callable[..., tuple[Seen, Reports, StreamDefinition]]]:
    """Runs a query whose batches pass lake's own gate; says what was told when that is enough."""
    closing, listening, queries = threading.Event(), Listening(spark), []

    def run(
        suite: list[dict[str, Any]], policy: str, is_enough: Callable[[Reports], bool], eventually: Callable[..., Any]
    ) -> tuple[Seen, Reports, StreamDefinition]:
        stream, reports = clicks(tmp_path, policy, suite), Reports()
        reporter: Any = reports
        judge, suites = ExpectationsGate(Results(tmp_path / "results")), FollowedSuites(stream, (Stage.LAKE,))
        gate = BatchGate(stream.name, stream.gates.lake, judge, suites, FakeOrders(), reporter, closing)

        def work(batch: DataFrame, number: int) -> None:
            began = time.monotonic()
            with suppress(ClosingError):  # the test is over while it waits
                decision = gate.decide(Batch(number, 500, lambda _: batch.toPandas()))
                batch.write.format("noop").mode("append").save()
                assert decision is not None
                gate.done(decision, time.monotonic() - began)

        source = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 500).load()
        query = (
            source.selectExpr("CAST(value AS string) AS who", "CAST(value AS int) AS amount")
            .writeStream.queryName(f"lake {stream.name}")
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .trigger(processingTime="100 milliseconds")
            .foreachBatch(work)
            .start()
        )
        queries.append(query)
        eventually(lambda: is_enough(reports) or not query.isActive, "the gate has decided")
        seen, begun = Seen(), started(spark, "lake")
        with httpx.Client(trust_env=False) as client:
            seen.fold(begun, looked(Application(begun.app_id, client), begun))
        seen.fold(*reports.facts, *progressed(listening.take(), "lake", "microbatch", timedelta(milliseconds=100)))
        return seen, reports, stream

    yield run
    closing.set()
    for query in queries:
        with suppress(StreamingQueryException):
            query.stop()
    list(listening.close())


def rule(number: int, **bounds: int) -> dict[str, Any]:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "amount", **bounds},
        "meta": {"name": f"rule_{number}"},
    }


def decided(reports: Reports) -> list[GateDecided]:
    return [fact for fact in reports.facts if isinstance(fact, GateDecided)]


def test_a_gate_with_far_too_many_rules_is_named_first(gated: Any, eventually: Callable[..., Any]) -> None:
    rules = [rule(number, min_value=-number) for number in range(120)]
    seen, _, stream = gated(rules, "pass", lambda reports: len(decided(reports)) >= 3, eventually)
    found = seen.explain("lake", stream)
    assert found.is_slow
    assert first(found) is Cause.GATE, found
    assert found.suspects[0].numbers["rules"] == 120


def test_a_batch_that_its_gate_holds_is_the_only_cause(gated: Any, eventually: Callable[..., Any]) -> None:
    rules = [rule(1, max_value=-1)]
    seen, _, stream = gated(rules, "halt", lambda reports: bool(decided(reports)), eventually)
    found = seen.explain("lake", stream)
    assert [each.cause for each in found.suspects] == [Cause.GATE]
    assert found.suspects[0].share == 1.0
    assert "rule_1" in found.suspects[0].evidence


def test_a_part_that_keeps_dying_is_the_only_cause(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    part = Part("live", (sys.executable, "-c", "raise SystemExit('OSError: no luck today')"))
    supervisor = Supervisor([part], tmp_path, tmp_path, dict(os.environ), lambda _: None)

    def is_dead() -> bool:
        supervisor.beat(datetime.now(UTC))
        return supervisor.state(part, datetime.now(UTC))[0] is PartState.BACKING_OFF

    eventually(is_dead, "it has died")
    state, reason = supervisor.state(part, datetime.now(UTC))
    supervisor.stop()
    seen = Seen()
    seen.fold(PartChanged(at=datetime.now(UTC), part="live", state=state, reason=reason))
    found = seen.explain("live", SHOP)
    assert [each.cause for each in found.suspects] == [Cause.NOT_RUNNING]
    assert "no luck today" in found.suspects[0].evidence
    assert seen.explain("lake", SHOP).suspects == ()


class Burst:
    """A consumer that can take 400 records a second, of which 200 a second come, and then for a while 3,000."""

    topic, can_take = "shop.valid", 400
    phases = ((200, 16.0), (3_000, 19.0))

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.seen, self.settings = Seen(), settings
        self.said: list[tuple[bool, LagExplained]] = []
        """Whether the burst had begun, and how it was explained then; once a second."""
        admin = AdminClient({"bootstrap.servers": settings.kafka})
        admin.create_topics([NewTopic(self.topic, 1)])[self.topic].result(10)
        cluster, records = Cluster(settings.kafka), Records(settings.kafka)
        heard = Heard("http://127.0.0.1:1", "")
        self._lag = Lag([SHOP.name], cluster, records, LakeEnds(str(folder)), heard, None, lambda: datetime.now(UTC))
        self._bursts, self._over = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=each, daemon=True) for each in (self._produce, self._consume, self._look)
        ]
        for thread in self._threads:
            thread.start()

    def _produce(self) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka, "linger.ms": 20})
        for rate, seconds in self.phases:
            if rate > self.can_take:
                self._bursts.set()
            began, sent = time.monotonic(), 0
            while (passed := time.monotonic() - began) < seconds:
                for _ in range(int(passed * rate) - sent):
                    producer.produce(self.topic, b"event")
                    sent += 1
                producer.poll(0)
                self._over.wait(0.05)
            producer.flush(10)
        self._over.set()

    def _consume(self) -> None:
        options = {"bootstrap.servers": self.settings.kafka, "group.id": f"{LIVE_GROUP}{SHOP.name}"}
        consumer = Consumer({**options, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        consumer.subscribe([self.topic])
        began, taken = time.monotonic(), 0
        while not self._over.wait(0.1):
            may = int((time.monotonic() - began) * self.can_take) - taken
            messages = consumer.consume(min(may, 100), timeout=0.05) if may > 0 else []
            taken += may if len(messages) < min(may, 100) else len(messages)  # what was not there can't be made up for
            if messages:
                consumer.commit(asynchronous=False)
        consumer.close()

    def _look(self) -> None:
        while not self._over.wait(1.0):
            is_burst = self._bursts.is_set()
            self.seen.fold(*self._lag.look())
            self.said.append((is_burst, self.seen.explain("live", SHOP)))

    def wait(self) -> None:
        """Until it is over."""
        for thread in self._threads:
            thread.join(60)


@pytest.fixture(scope="module", autouse=True)
def burst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Burst]:
    """It mostly waits, so it begins with the first test and is looked at by the last."""
    folder = tmp_path_factory.mktemp("burst")
    with Platform(folder, only=("kafka",), told=lambda _: None) as platform:
        platform.start()
        yield Burst(platform.settings, folder)


def test_a_burst_is_named_first_and_nothing_before_it(burst: Burst) -> None:
    burst.wait()
    quiet = [explained for is_burst, explained in burst.said if not is_burst]
    assert len(quiet) > 5
    assert not [each for each in quiet if each.is_slow or each.suspects]
    _, found = burst.said[-1]
    assert found.is_slow
    assert first(found) is Cause.INPUT_BURST, found
    assert found.suspects[0].numbers["now_per_s"] > 2_000
    assert found.suspects[0].numbers["usual_per_s"] < 1_000
