"""What do the facts about Spark say in numbers? Sums a query and a part, not a series a stage: stages are without number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.contract.metrics.meter import Meter
    from controlplane.contract.scaling import ExecutorsChanged
    from controlplane.contract.spark import (
        ExecutorSeen,
        LatencyMeasured,
        QueryProgressed,
        SparkObserved,
        SparkStarted,
        StageSeen,
    )

_OBSERVED_FOR = timedelta(seconds=30)
_PROGRESS_FOR = timedelta(seconds=60)
_ENDED = ("complete", "failed")
_DRIVER = "driver"
_PERCENTILES = ("50", "99", "100")


def query_progressed(fact: QueryProgressed, meter: Meter) -> None:
    """A micro-batch has ended; a fact without one only says that the query runs."""
    query = fact.query
    until = fact.at + _PROGRESS_FOR + 2 * timedelta(seconds=fact.trigger_s or 0)
    meter.hold("tidegate_query_behind_events", query, value=fact.behind_events, until=until)
    meter.hold("tidegate_query_state_rows", query, value=fact.state_rows, until=until)
    meter.hold("tidegate_query_state_bytes", query, value=fact.state_bytes, until=until)
    if fact.rows is None or fact.took_s is None:
        return
    meter.add("tidegate_query_batches_total", query)
    meter.add("tidegate_query_rows_total", query, by=fact.rows)
    meter.observe("tidegate_query_batch_seconds", query, value=fact.took_s)
    if fact.phases is not None:
        for phase in ("offsets", "planning", "log", "work"):
            if (took := getattr(fact.phases, f"{phase}_s")) is not None:
                meter.add("tidegate_query_phase_seconds_total", query, phase, by=took)


def latency_measured(fact: LatencyMeasured, meter: Meter) -> None:
    """How long route takes with an event; one that says that nothing is known takes back what was."""
    until = fact.at + _OBSERVED_FOR
    for percentile, ms in zip(_PERCENTILES, fact.latency_ms or (None, None, None), strict=True):
        seconds = None if ms is None else ms / 1000
        meter.hold("tidegate_route_latency_seconds", fact.query, percentile, value=seconds, until=until)


def spark_started(fact: SparkStarted, meter: Meter, until: datetime) -> None:
    """An application runs."""
    meter.hold("tidegate_spark_slots", fact.part, value=fact.slots, until=until)


def executors_changed(fact: ExecutorsChanged, meter: Meter, until: datetime) -> None:
    """A part has, and wants, so many executors."""
    meter.hold("tidegate_executors", fact.target, value=fact.have, until=until)
    meter.hold("tidegate_executors_wanted", fact.target, value=fact.want, until=until)
    meter.hold("tidegate_executor_failures_total", fact.target, value=fact.failed, until=until)


def spark_observed(fact: SparkObserved, meter: Meter) -> None:
    """What Spark's REST API said; stages that have ended are in one fact each."""
    if fact.reason is not None:
        return
    until = fact.at + _OBSERVED_FOR
    active = [each for each in fact.executors if each.is_active]
    workers = sum(each.executor != _DRIVER for each in active)
    meter.hold("tidegate_spark_executors", fact.part, value=workers, until=until)
    running = sum(stage.state == "active" for stage in fact.stages)
    meter.hold("tidegate_spark_active_stages", fact.part, value=running, until=until)
    for executor in active:
        _executor(fact.part, executor, meter, until)
    for stage in fact.stages:
        if stage.state in _ENDED:
            _stage(fact.part, stage, meter, until)


def _executor(part: str, seen: ExecutorSeen, meter: Meter, until: datetime) -> None:
    of = (part, seen.executor)
    meter.hold("tidegate_spark_executor_active_tasks", *of, value=seen.active_tasks, until=until)
    meter.hold("tidegate_spark_executor_tasks_total", *of, "completed", value=seen.completed_tasks, until=until)
    meter.hold("tidegate_spark_executor_tasks_total", *of, "failed", value=seen.failed_tasks, until=until)
    meter.hold("tidegate_spark_executor_task_seconds_total", *of, value=seen.task_s, until=until)
    meter.hold("tidegate_spark_executor_gc_seconds_total", *of, value=seen.gc_s, until=until)
    meter.hold("tidegate_spark_executor_memory_used_bytes", *of, value=seen.memory_used_bytes, until=until)


def _stage(part: str, seen: StageSeen, meter: Meter, until: datetime) -> None:
    of = (part, seen.query or "")
    meter.add("tidegate_spark_stages_total", *of, seen.state)
    meter.add("tidegate_spark_stage_run_seconds_total", *of, by=seen.run_s)
    meter.add("tidegate_spark_stage_cpu_seconds_total", *of, by=seen.cpu_s)
    meter.add("tidegate_spark_stage_gc_seconds_total", *of, by=seen.gc_s)
    meter.add("tidegate_spark_shuffle_bytes_total", *of, "read", by=seen.shuffle_read_bytes)
    meter.add("tidegate_spark_shuffle_bytes_total", *of, "written", by=seen.shuffle_write_bytes)
    meter.add("tidegate_spark_spilled_bytes_total", *of, by=seen.spilled_disk_bytes)
    if seen.task_s is not None and seen.tasks > 1 and seen.task_s[0] > 0:
        meter.hold("tidegate_spark_stage_skew_ratio", *of, value=seen.task_s[2] / seen.task_s[0], until=until)
