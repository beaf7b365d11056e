"""A process's numbers: counted once where the work is done, held while they are believed, absent when they are unknown."""

from __future__ import annotations

import re
import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.contract.facts import (
    BatchCommitted,
    HopMeasured,
    MaintenanceRan,
    MaintenanceStage,
    PartChanged,
    PartState,
    RangeInserted,
)
from controlplane.contract.gates import BreakerChanged, BreakerState, GateDecided, Outcome, Stage
from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict, PartitionLag
from controlplane.contract.metrics.meter import Meter
from controlplane.contract.metrics.serve import registry_of, serve_metrics
from controlplane.contract.metrics.table import LAG, LAKE, LIVE, MAINTENANCE, METRICS, PROCESSES, ROUTE, of_process
from controlplane.contract.metrics.told import Tally
from controlplane.contract.names import Hop
from controlplane.contract.reporting import Reporter
from controlplane.contract.spark import (
    ExecutorSeen,
    LatencyMeasured,
    QueryPhases,
    QueryProgressed,
    SparkObserved,
    StageSeen,
)
from controlplane.up.checks import free_port
from controlplane.up.part import Part
from controlplane.up.targets import targets

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

    from controlplane.contract.facts import Fact

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JUDGED = LagJudged(
    at=NOW,
    consumer="lake shop",
    consumer_kind=ConsumerKind.QUERY,
    topic="shop.valid",
    stream="shop",
    hop=Hop.LAKE,
    partitions=(PartitionLag(partition=0, position=7, end=9, lag_events=2, lag_s=1.5), PartitionLag(partition=1)),
    lag_s=1.5,
    verdict=LagVerdict.WARN,
)


def _labels(sample: Sample) -> tuple[str, ...]:
    metric = METRICS.get(sample.name)
    if metric is None:
        metric = METRICS[re.sub("_(bucket|sum|count)$", "", sample.name)]
    return (*metric.labels, *(["le"] if "le" in sample.labels else []))


class Process:
    """A process whose clock can be set."""

    def __init__(self, kind: str) -> None:
        self.kind, self.now = kind, NOW
        self.meter = Meter(lambda: self.now)
        self.tally = Tally(self.meter, NOW - timedelta(minutes=1))

    def scraped(self) -> dict[str, float]:
        """As `name{label values}` -> value."""
        text = generate_latest(registry_of(self.kind, meter=self.meter)).decode()
        return {
            f"{sample.name}{{{','.join(map(sample.labels.__getitem__, _labels(sample)))}}}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("tidegate_")
        }


def test_work_is_counted_by_each_fact_once() -> None:
    process = Process(LIVE)
    fact = RangeInserted(at=NOW, stream="shop", rows=40, inserts=2, took_s=0.5)
    process.tally.take([fact, fact, RangeInserted(at=NOW, stream="shop", rows=2, inserts=1, took_s=0.25)])
    found = process.scraped()
    assert found["tidegate_live_rows_total{shop}"] == 42
    assert found["tidegate_live_inserts_total{shop}"] == 3
    assert found["tidegate_live_insert_seconds_total{shop}"] == 0.75
    assert found["tidegate_facts_reported_total{range_inserted}"] == 2


def test_what_an_earlier_process_did_is_not_counted_again() -> None:
    process = Process(MAINTENANCE)
    ran = MaintenanceRan(
        at=NOW - timedelta(hours=1),
        run="1",
        stream=None,
        subject="t",
        stage=MaintenanceStage.VACUUM,
        what="w",
        took_s=3,
    )
    process.tally.take([ran])
    assert not any("_maintenance_stages" in name for name in process.scraped())
    process.tally.take([ran.model_copy(update={"at": NOW, "id": "new"})])
    assert process.scraped()["tidegate_maintenance_stages_total{vacuum,done}"] == 1


def test_commits_make_a_histogram() -> None:
    process = Process(LAKE)
    process.tally.take(
        BatchCommitted(at=NOW, stream="shop", table="t", version=number, rows=10, offsets={}, took_s=took)
        for number, took in enumerate([0.2, 3.0], 1)
    )
    found = process.scraped()
    assert found["tidegate_lake_commit_seconds_bucket{shop,0.25}"] == 1
    assert found["tidegate_lake_commit_seconds_bucket{shop,5.0}"] == 2
    assert found["tidegate_lake_commit_seconds_sum{shop}"] == 3.2
    assert found["tidegate_lake_version{shop}"] == 2


def test_a_measurement_is_absent_when_nobody_confirms_it() -> None:
    process = Process(LAG)
    process.tally.take([HopMeasured(at=NOW, stream="shop", hop=Hop.LAKE, events=5, lag_events=0, lag_s=0.0)])
    assert process.scraped()["tidegate_hop_lag_seconds{shop,lake}"] == 0
    process.now += timedelta(seconds=11)
    assert not any("_hop_lag" in name for name in process.scraped())


def test_a_measurement_that_becomes_unknown_is_absent_at_once() -> None:
    process = Process(LAG)
    process.tally.take([HopMeasured(at=NOW, stream="shop", hop=Hop.LAKE, events=5, lag_s=3.0)])
    process.tally.take([HopMeasured(at=NOW, stream="shop", hop=Hop.LAKE, reason="the broker is away")])
    assert not any("_hop_lag" in name for name in process.scraped())


def test_lag_is_exposed_by_consumer_and_by_partition() -> None:
    process = Process(LAG)
    process.tally.take([JUDGED])
    found = process.scraped()
    assert found["tidegate_consumer_lag_seconds{lake shop,shop.valid,shop,lake}"] == 1.5
    assert "tidegate_consumer_lag_events{lake shop,shop.valid,shop,lake}" not in found
    assert found["tidegate_consumer_verdict{lake shop,shop.valid,shop,lake,warn}"] == 1
    assert found["tidegate_consumer_verdict{lake shop,shop.valid,shop,lake,ok}"] == 0
    assert found["tidegate_partition_lag_events{lake shop,shop.valid,shop,0}"] == 2
    assert "tidegate_partition_lag_events{lake shop,shop.valid,shop,1}" not in found


def test_a_verdict_is_forgotten_after_ten_minutes_unless_it_halted() -> None:
    for outcome, is_kept in ((Outcome.DIVERTED, False), (Outcome.HALTED, True)):
        process = Process(LAKE)
        process.tally.take(
            [
                GateDecided(
                    at=NOW, stream="shop", stage=Stage.LAKE, subject="b", suite="s", outcome=outcome, rows=1, judged=1
                )
            ]
        )
        assert process.scraped()[f"tidegate_gate_outcome{{shop,lake,,{outcome}}}"] == 1
        process.now += timedelta(minutes=11)
        assert (f"tidegate_gate_outcome{{shop,lake,,{outcome}}}" in process.scraped()) is is_kept


def test_a_breaker_is_in_one_state() -> None:
    process = Process(ROUTE)
    process.tally.take([BreakerChanged(at=NOW, stream="shop", stage=Stage.INGEST, state=BreakerState.OPEN, since=NOW)])
    found = process.scraped()
    assert [found[f"tidegate_breaker_state{{shop,ingest,{state}}}"] for state in BreakerState] == [0, 1, 0]


def test_a_query_is_counted_by_its_batches() -> None:
    process, phases = Process(LAKE), QueryPhases(offsets_s=0.1, work_s=1.0)
    waits = QueryProgressed(at=NOW, query="lake shop", stream="shop", mode="microbatch", reason="it waits")
    process.tally.take(
        [
            waits.model_copy(update={"id": "1", "batch_id": 1, "rows": 5, "took_s": 2.0, "phases": phases}),
            waits,
        ]
    )  # fmt: skip
    found = process.scraped()
    assert found["tidegate_query_batches_total{lake shop}"] == 1
    assert found["tidegate_query_rows_total{lake shop}"] == 5
    assert found["tidegate_query_phase_seconds_total{lake shop,work}"] == 1
    assert "tidegate_query_phase_seconds_total{lake shop,log}" not in found


def test_a_latency_that_becomes_unknown_is_taken_back() -> None:
    process = Process(LAG)
    process.tally.take([LatencyMeasured(at=NOW, query="route shop", stream="shop", latency_ms=(5.0, 13.0, 90.0))])
    assert process.scraped()["tidegate_route_latency_seconds{route shop,99}"] == 0.013
    process.tally.take([LatencyMeasured(at=NOW, query="route shop", stream="shop", reason="nothing has come")])
    assert "tidegate_route_latency_seconds{route shop,99}" not in process.scraped()


def stage(number: int, state: str, longest: float) -> StageSeen:
    return StageSeen(
        stage=number, attempt=0, query="lake shop", name="s", state=state, tasks=4, active_tasks=0, completed_tasks=4,
        failed_tasks=0, run_s=8.0, cpu_s=6.0, gc_s=0.5, input_bytes=0, input_rows=0, output_bytes=0, output_rows=0,
        shuffle_read_bytes=7, shuffle_write_bytes=9, spilled_memory_bytes=0, spilled_disk_bytes=3, task_s=(1.0, 2.0, longest),
    )  # fmt: skip


def test_stages_are_summed_by_query_when_they_have_ended() -> None:
    process = Process(LAG)
    executor = ExecutorSeen(
        executor="1", is_active=True, cores=1, active_tasks=1, failed_tasks=0, completed_tasks=8, task_s=9.0, gc_s=0.7,
        input_bytes=0, shuffle_read_bytes=0, shuffle_write_bytes=0, memory_used_bytes=11, memory_bytes=20,
    )  # fmt: skip
    gone = executor.model_copy(update={"executor": "2", "is_active": False})
    stages = (stage(1, "complete", 4.0), stage(2, "active", 9.0))
    process.tally.take([SparkObserved(at=NOW, part="lake", app_id="a", executors=(executor, gone), stages=stages)])
    found = process.scraped()
    assert found["tidegate_spark_executors{lake}"] == 1
    assert found["tidegate_spark_executor_gc_seconds_total{lake,1}"] == 0.7
    assert found["tidegate_spark_stages_total{lake,lake shop,complete}"] == 1
    assert found["tidegate_spark_stage_cpu_seconds_total{lake,lake shop}"] == 6
    assert found["tidegate_spark_shuffle_bytes_total{lake,lake shop,written}"] == 9
    assert found["tidegate_spark_stage_skew_ratio{lake,lake shop}"] == 4


def test_what_a_process_reports_it_counts_also_when_nobody_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(ROUTE)
    monkeypatch.setattr("controlplane.contract.reporting.TALLY", process.tally)
    reporter = Reporter(f"http://127.0.0.1:{free_port()}", "")
    open_now = BreakerChanged(at=NOW, stream="shop", stage=Stage.INGEST, state=BreakerState.OPEN, since=NOW)
    reporter.stand("the breaker", [open_now])
    assert process.scraped()["tidegate_breaker_state{shop,ingest,open}"] == 1
    reporter._said_at -= 60
    reporter._say_again()
    found = process.scraped()
    assert found["tidegate_facts_reported_total{breaker_changed}"] == 2
    reporter._closing.set()
    reporter._wake.set()
    reporter._thread.join()


def test_facts_that_were_dropped_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter()
    monkeypatch.setattr("controlplane.contract.reporting.METER", meter)
    reporter = Reporter(f"http://127.0.0.1:{free_port()}", "")
    reporter._closing.set()  # nobody takes them
    reporter._wake.set()
    reporter._thread.join()
    facts: list[Fact] = [PartChanged(at=NOW, part="x", state=PartState.RUNNING)]
    reporter.report(*(facts * 1005))
    (sample,) = meter.family(METRICS["tidegate_facts_dropped_total"]).samples
    assert sample.value >= 5


@pytest.mark.parametrize("kind", PROCESSES)
def test_a_process_has_exactly_what_is_listed_for_it(kind: str) -> None:
    text = generate_latest(registry_of(kind, meter=Meter())).decode()
    named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE tidegate_")}
    assert named == {metric.name for metric in of_process(kind)}
    assert "process_resident_memory_bytes" in text
    assert "python_info" in text


def test_a_port_that_is_taken_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    address, before = f"127.0.0.1:{free_port()}", set(threading.enumerate())
    end = serve_metrics(address, LIVE)
    assert set(threading.enumerate()) > before
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            assert b"# TYPE tidegate_live_rows_total counter" in answer.read()
        serve_metrics(address, LAG)()
        assert f"TIDEGATE_METRICS={address}: lag has no metrics" in caplog.text
    finally:
        end()
    assert set(threading.enumerate()) <= before


def test_a_part_whose_work_is_done_is_no_target() -> None:
    parts = [
        Part("registry", (), metrics="127.0.0.1:9"),
        Part("kafka", ()),
        Part("feed-shop", (), metrics="127.0.0.1:8"),
    ]
    assert targets(parts, {"feed-shop": PartState.ENDED}, "127.0.0.1:7") == [
        {"targets": ["127.0.0.1:7"], "labels": {"part": "up"}},
        {"targets": ["127.0.0.1:9"], "labels": {"part": "registry"}},
    ]
