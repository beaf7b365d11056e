"""What do the facts that a process reports say in numbers?

A fact says what was done, once it is durable, so counting facts where they are reported counts the work, and a scrape of the
process that did it agrees with what the control plane was told. Facts are said again: those of work are counted by their id, once,
and only if they are of this process's own time; those that say how things are are held for as long as such a fact is believed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.alerts import AlertsCounted
from controlplane.contract.facts import (
    BatchCommitted,
    EntitiesUpserted,
    Fact,
    FeedProgressed,
    HopMeasured,
    LedgerTaken,
    MaintenancePlanned,
    MaintenanceRan,
    PartChanged,
    RangeInserted,
    ReferencesLoaded,
    TableMeasured,
    WindowsClosed,
    WindowsPublished,
)
from controlplane.contract.gates import BreakerChanged, BreakerState, GateDecided, Outcome, Severity, SuiteFollowed
from controlplane.contract.lag import LagExplained, LagJudged, LagVerdict
from controlplane.contract.metrics.meter import FOR_EVER, METER
from controlplane.contract.metrics.spark import (
    executors_changed,
    latency_measured,
    query_progressed,
    spark_observed,
    spark_started,
)
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import LatencyMeasured, QueryProgressed, SparkObserved, SparkStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.metrics.meter import Meter

MEASURED_FOR = timedelta(seconds=10)
"""A measurement that is made every second or two, and was not confirmed for so long, is not known."""
SAID_FOR = timedelta(seconds=60)
"""What is said again every 15 s holds for so long."""
_TABLE_FOR = timedelta(minutes=3)
_VERDICT_FOR = timedelta(minutes=10)
_REMEMBERED = 5_000


class Tally:
    """Takes the numbers out of facts, of each once."""

    def __init__(self, meter: Meter, began: datetime | None = None) -> None:
        self._meter = meter
        self._began = began or datetime.now(UTC)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, facts: Iterable[Fact]) -> None:
        """Count what they say was done, hold what they say of how things are."""
        for fact in facts:
            held(fact, self._meter)
            if self._is_new(fact):
                self._meter.add("tidegate_facts_reported_total", fact.kind)
                done(fact, self._meter)

    def _is_new(self, fact: Fact) -> bool:
        with self._lock:
            if fact.id in self._seen or fact.at < self._began:
                return False
            self._seen[fact.id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return True


def done(fact: Fact, meter: Meter) -> None:  # noqa: C901 (a row a kind)
    """What grows by work that was done."""
    match fact:
        case RangeInserted(stream=stream):
            meter.add("tidegate_live_rows_total", stream, by=fact.rows)
            meter.add("tidegate_live_inserts_total", stream, by=fact.inserts)
            meter.add("tidegate_live_insert_seconds_total", stream, by=fact.took_s)
        case BatchCommitted(stream=stream):
            meter.add("tidegate_lake_rows_total", stream, by=fact.rows)
            meter.observe("tidegate_lake_commit_seconds", stream, value=fact.took_s)
        case EntitiesUpserted(stream=stream, table=table):
            meter.add("tidegate_entity_events_total", stream, table, by=fact.events)
            meter.observe("tidegate_entity_merge_seconds", stream, table, value=fact.took_s)
            meter.add("tidegate_entity_written_bytes_total", stream, table, by=fact.bytes_written)
        case WindowsClosed(stream=stream, table=table):
            meter.add("tidegate_rollup_windows_total", stream, table, by=fact.rows)
        case WindowsPublished(stream=stream, rollup=rollup):
            meter.add("tidegate_publish_rows_total", stream, rollup, by=fact.rows)
            meter.observe("tidegate_publish_seconds", stream, rollup, value=fact.took_s)
        case GateDecided():
            _decided(fact, meter)
        case LedgerTaken(stream=stream):
            meter.add("tidegate_ledger_accounts_total", stream, fact.verdict)
        case MaintenanceRan(stage=stage):
            meter.add("tidegate_maintenance_stages_total", stage, "done" if fact.error is None else "failed")
            meter.add("tidegate_maintenance_seconds_total", stage, by=fact.took_s)
        case QueryProgressed():
            query_progressed(fact, meter)
        case SparkObserved():
            spark_observed(fact, meter)


def _decided(fact: GateDecided, meter: Meter) -> None:
    meter.add("tidegate_gate_verdicts_total", fact.stream, fact.stage, fact.outcome)
    if fact.took_s is not None:
        meter.add("tidegate_gate_seconds_total", fact.stream, fact.stage, by=fact.took_s)
    if fact.stage_took_s is not None:
        meter.add("tidegate_gate_stage_seconds_total", fact.stream, fact.stage, by=fact.stage_took_s)


def held(fact: Fact, meter: Meter) -> None:  # noqa: C901, PLR0912 (a row a kind)
    """What holds for a while."""
    soon, later = fact.at + MEASURED_FOR, fact.at + SAID_FOR
    match fact:
        case PartChanged(part=part):
            meter.hold("tidegate_part_memory_bytes", part, value=fact.memory_bytes, until=soon)
        case HopMeasured(stream=stream, hop=hop):
            meter.hold("tidegate_hop_events_total", stream, hop, value=fact.events, until=soon)
            meter.hold("tidegate_hop_lag_events", stream, hop, value=fact.lag_events, until=soon)
            meter.hold("tidegate_hop_lag_seconds", stream, hop, value=fact.lag_s, until=soon)
        case LagJudged():
            _judged(fact, meter)
        case LagExplained():
            for suspect in fact.suspects if fact.is_slow else ():
                meter.hold("tidegate_slow_cause_ratio", fact.consumer, suspect.cause, value=suspect.share, until=soon)
        case BatchCommitted(stream=stream):
            meter.hold("tidegate_lake_version", stream, value=fact.version, until=FOR_EVER)
        case WindowsPublished(stream=stream, rollup=rollup):
            horizon = fact.horizon.timestamp()
            meter.hold("tidegate_publish_horizon_timestamp_seconds", stream, rollup, value=horizon, until=FOR_EVER)
        case GateDecided():
            _verdict(fact, meter)
        case BreakerChanged(stream=stream, stage=stage):
            for state in BreakerState:
                meter.hold("tidegate_breaker_state", stream, stage, state, value=state is fact.state, until=later)
        case SuiteFollowed(stream=stream, stage=stage):
            meter.hold("tidegate_suite_refused", stream, stage, value=fact.refused is not None, until=later)
        case ReferencesLoaded(stream=stream):
            meter.hold("tidegate_references_refused", stream, value=fact.refused is not None, until=later)
        case TableMeasured():
            _table(fact, meter)
        case MaintenancePlanned(stream=stream):
            meter.hold("tidegate_maintenance_due", stream, value=fact.due, until=later)
            meter.hold("tidegate_maintenance_failed", stream, value=fact.reason is not None, until=later)
        case FeedProgressed(stream=stream):
            meter.hold("tidegate_feed_events_total", stream, value=fact.produced, until=FOR_EVER)
        case AlertsCounted():
            meter.hold("tidegate_outbox_waiting", value=fact.waiting, until=soon)
        case LatencyMeasured():
            latency_measured(fact, meter)
        case SparkStarted():
            spark_started(fact, meter, later)
        case ExecutorsChanged():
            executors_changed(fact, meter, later)
        case _:
            pass


def _verdict(fact: GateDecided, meter: Meter) -> None:
    of, until = (fact.stream, fact.stage, fact.table or ""), fact.at + _VERDICT_FOR
    until = FOR_EVER if fact.outcome is Outcome.HALTED else until
    for outcome in Outcome:
        meter.hold("tidegate_gate_outcome", *of, outcome, value=outcome is fact.outcome, until=until)
    critical = [rule for rule in fact.rules if rule.severity is Severity.CRITICAL and rule.judged]
    broken = max(((rule.unexpected or 0) / (rule.judged or 1) for rule in critical), default=0.0)
    meter.hold("tidegate_gate_broken_ratio", *of, value=broken, until=until)


def _judged(fact: LagJudged, meter: Meter) -> None:
    until, stream = fact.at + MEASURED_FOR, fact.stream or ""
    of = (fact.consumer, fact.topic, stream, fact.hop or "")
    moved = max((each.moved_at.timestamp() for each in fact.partitions if each.moved_at is not None), default=None)
    known = {
        "moved_timestamp_seconds": moved,
        "lag_events": fact.lag_events,
        "lag_seconds": fact.lag_s,
        "lag_error_seconds": fact.error_s,
        "taken_per_second": fact.taken_per_s,
        "arriving_per_second": fact.arriving_per_s,
        "catch_up_seconds": fact.catch_up_s,
        "retention_seconds": fact.retention_s,
        "idle": float(fact.is_idle),
    }
    for name, value in known.items():
        meter.hold(f"tidegate_consumer_{name}", *of, value=value, until=until)
    for verdict in LagVerdict:
        meter.hold("tidegate_consumer_verdict", *of, verdict, value=verdict is fact.verdict, until=until)
    for each in fact.partitions:
        where = (fact.consumer, fact.topic, stream, str(each.partition))
        meter.hold("tidegate_partition_lag_events", *where, value=each.lag_events, until=until)
        meter.hold("tidegate_partition_lag_seconds", *where, value=each.lag_s, until=until)
        meter.hold("tidegate_partition_position_offsets", *where, value=each.position, until=until)
        meter.hold("tidegate_partition_end_offsets", *where, value=each.end, until=until)


def _table(fact: TableMeasured, meter: Meter) -> None:
    until, of = fact.at + _TABLE_FOR, (fact.stream, fact.table)
    meter.hold("tidegate_table_bytes", *of, value=fact.bytes, until=until)
    meter.hold("tidegate_table_files", *of, value=fact.files, until=until)
    meter.hold("tidegate_table_small_files", *of, value=fact.small_files, until=until)


TALLY = Tally(METER)
"""Of what this process reports."""
