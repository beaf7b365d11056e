"""In which tables is it kept, and which rows is a fact? Pure.

A fact may come twice, and an insert may be tried twice: rows of one fact have one sorting key, of which
ReplacingMergeTree keeps one, and who reads asks for one of each. A day is a partition, and is dropped whole when it is old.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.facts import Fact
from controlplane.contract.lag import LagJudged
from controlplane.contract.latency import LatencyKept, PromiseCounted
from controlplane.contract.scaling import ExecutorsChanged, ScalingDecided
from controlplane.contract.spark import QueryPhases, QueryProgressed, SparkObserved
from controlplane.contract.spread import MEDIAN, P99

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlplane.contract.spark import StageSeen

KEPT_DAYS = 30
_DEDUPLICATED = 1000
"""So many of the last inserts of a table are known again."""
_MOMENT = "DateTime64(3, 'UTC')"
_WORD = "LowCardinality(String)"
_WORD_OR_NULL = "LowCardinality(Nullable(String))"
_PHASES = tuple(QueryPhases.model_fields)
_COUNTS = {
    **dict.fromkeys(("tasks", "active_tasks", "completed_tasks", "failed_tasks"), "UInt32"),
    **dict.fromkeys(("run_s", "cpu_s", "gc_s"), "Float64"),
    **dict.fromkeys(("input_bytes", "input_rows", "output_bytes", "output_rows"), "Int64"),
    **dict.fromkeys(
        ("shuffle_read_bytes", "shuffle_write_bytes", "spilled_memory_bytes", "spilled_disk_bytes"), "Int64"
    ),
}

Kept = Fact | LatencyKept | PromiseCounted
"""What history is made of: facts, and what the control plane itself has summed up of them."""
Cell = object
Row = tuple[Cell, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """A table of ClickHouse."""

    name: str
    columns: Mapping[str, str]
    """Name -> type."""
    key: tuple[str, ...]
    """By which it is sorted, and of which one row is kept."""

    @property
    def statement(self) -> str:
        """Makes it where it is missing."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}) ENGINE = ReplacingMergeTree "
            f"PARTITION BY toDate(at) ORDER BY ({', '.join(self.key)}) TTL toDateTime(at) + INTERVAL {KEPT_DAYS} DAY "
            f"SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = {_DEDUPLICATED}, "
            "allow_nullable_key = 1"
        )


LAG = Table(
    "tidegate_lag",
    {
        "at": _MOMENT,
        **dict.fromkeys(("consumer", "topic"), _WORD),
        "lag_events": "Nullable(Int64)",
        **dict.fromkeys(("lag_s", "error_s", "taken_per_s", "arriving_per_s", "catch_up_s"), "Nullable(Float64)"),
        "verdict": _WORD,
        "reason": "Nullable(String)",
    },
    ("consumer", "topic", "at"),
)
BATCHES = Table(
    "tidegate_batches",
    {
        "at": _MOMENT,
        **dict.fromkeys(("query", "stream", "mode"), _WORD),
        "run_id": "String",
        "batch_id": "Int64",
        "rows": "Nullable(Int64)",
        **dict.fromkeys(("took_s", "rows_per_s", "input_rows_per_s"), "Nullable(Float64)"),
        **dict.fromkeys(_PHASES, "Nullable(Float64)"),
        "behind_events": "Nullable(Int64)",
        "state_rows": "Nullable(Int64)",
    },
    ("query", "at", "run_id", "batch_id"),
)
STAGES = Table(
    "tidegate_stages",
    {
        "at": _MOMENT,
        "part": _WORD,
        "app_id": _WORD,
        "stage": "UInt32",
        "attempt": "UInt32",
        "query": _WORD_OR_NULL,
        "batch_id": "Nullable(Int64)",
        "name": "String",
        "state": _WORD,
        "submitted_at": f"Nullable({_MOMENT})",
        "completed_at": f"Nullable({_MOMENT})",
        **_COUNTS,
        **dict.fromkeys(("task_s", "task_rows"), "Array(Float64)"),
        "failure": "Nullable(String)",
    },
    ("part", "at", "app_id", "stage", "attempt"),
)
EXECUTORS = Table(
    "tidegate_executors",
    {
        "at": _MOMENT,
        **dict.fromkeys(("part", "app_id", "executor"), _WORD),
        "is_active": "Bool",
        **dict.fromkeys(("cores", "active_tasks", "failed_tasks", "completed_tasks"), "UInt32"),
        **dict.fromkeys(("task_s", "gc_s"), "Float64"),
        **dict.fromkeys(("input_bytes", "shuffle_read_bytes", "shuffle_write_bytes"), "Int64"),
        **dict.fromkeys(("memory_used_bytes", "memory_bytes"), "Int64"),
        "heap_peak_bytes": "Nullable(Int64)",
    },
    ("part", "at", "executor"),
)
SCALING = Table(
    "tidegate_scaling",
    {
        "at": _MOMENT,
        **dict.fromkeys(("target", "kind"), _WORD),
        **dict.fromkeys(("have", "want", "rule"), "Nullable(Int32)"),
        "reason": "Nullable(String)",
        **dict.fromkeys(("is_acted_on", "is_dry_run"), "Bool"),
        "by": _WORD_OR_NULL,
        "inputs": "String",
    },
    ("target", "at", "kind"),
)
LATENCY = Table(
    "tidegate_latency",
    {
        "at": _MOMENT,
        **dict.fromkeys(("stream", "hop", "since"), _WORD),
        "samples": "UInt32",
        **dict.fromkeys(("p50_ms", "p99_ms", "max_ms"), "Float64"),
        "buckets": "Array(Int32)",
        "weights": "Array(Float64)",
    },
    ("stream", "hop", "at"),
)
PROMISES = Table(
    "tidegate_promises",
    {
        "at": _MOMENT,
        **dict.fromkeys(("stream", "level", "hop"), _WORD),
        **dict.fromkeys(("bad_s", "total_s"), "Float64"),
    },
    ("stream", "level", "hop", "at"),
)
TABLES = (LAG, BATCHES, STAGES, EXECUTORS, SCALING, LATENCY, PROMISES)


def rows_of(fact: Kept) -> Iterator[tuple[Table, Row]]:
    """What is kept of a fact; nothing of most kinds."""
    match fact:
        case LagJudged():
            yield LAG, _of(LAG, fact.model_dump())
        case QueryProgressed() if fact.batch_id is not None:
            phases = QueryPhases() if fact.phases is None else fact.phases
            said = {**fact.model_dump(exclude={"offsets"}), **phases.model_dump(), "run_id": fact.run_id or ""}
            yield BATCHES, _of(BATCHES, said)
        case SparkObserved():
            yield from ((STAGES, _stage(fact, each)) for each in fact.stages if each.completed_at is not None)
            for executor in fact.executors:
                yield EXECUTORS, _of(EXECUTORS, {**executor.model_dump(), **_where(fact)})
        case ScalingDecided():
            said = {**fact.model_dump(), "kind": "decided", "inputs": json.dumps(fact.inputs)}
            yield SCALING, _of(SCALING, said)
        case ExecutorsChanged():
            said = {"at": fact.at, "target": fact.target, "kind": "executors", "have": fact.have, "want": fact.want}
            said |= {"is_acted_on": False, "is_dry_run": False, "reason": fact.waits_for, "inputs": "{}"}
            yield SCALING, _of(SCALING, said)
        case LatencyKept():
            yield LATENCY, _of(LATENCY, _spread(fact))
        case PromiseCounted():
            yield PROMISES, _of(PROMISES, {**fact.model_dump(), "hop": fact.hop or ""})
        case _:
            pass


def _spread(fact: LatencyKept) -> dict[str, Cell]:
    spread, ordered = fact.spread, sorted(fact.spread.weights.items())
    return {
        **fact.model_dump(exclude={"spread"}),
        **spread.model_dump(include={"samples", "max_ms"}),
        "p50_ms": spread.quantile(MEDIAN) or 0.0,
        "p99_ms": spread.quantile(P99) or 0.0,
        "buckets": [bucket for bucket, _ in ordered],
        "weights": [weight for _, weight in ordered],
    }


def _stage(fact: SparkObserved, stage: StageSeen) -> Row:
    said = {**stage.model_dump(), **_where(fact)}
    said |= {"at": stage.completed_at, "task_s": [*(stage.task_s or ())], "task_rows": [*(stage.task_rows or ())]}
    return _of(STAGES, said)


def _where(fact: SparkObserved) -> dict[str, Cell]:
    return {"at": fact.at, "part": fact.part, "app_id": fact.app_id}


def _of(table: Table, said: Mapping[str, Cell]) -> Row:
    return tuple(said.get(column) for column in table.columns)
