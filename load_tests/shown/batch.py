"""Lag with its cause, Spark and executors: a MERGE into small files makes shop's micro-batches longer than their trigger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controlplane.contract.lag import (
    Cause,
    ConsumerKind,
    LagExplained,
    LagJudged,
    LagSource,
    LagVerdict,
    PartitionLag,
    Suspect,
)
from controlplane.contract.names import Hop
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import (
    ExecutorSeen,
    LatencyMeasured,
    QueryPhases,
    QueryProgressed,
    SparkObserved,
    SparkStarted,
    StageSeen,
)
from load_tests.shown.moment import AT
from load_tests.shown.past import lag_of, wave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.facts import Fact

_MIB = 1024 * 1024
_LAKE_APP = "app-20261126082012-0000"
_HOPS = {"route": Hop.VALID, "lake": Hop.LAKE, "live": Hop.SERVING}
_MERGE = Suspect(
    cause=Cause.SMALL_FILES, share=0.62, advice="Compact the table: `tidegate maintain run shop`.", page="/lake/shop",
    evidence="MERGE into entity_visitor opened 412 of 640 files for 90 rows, 6.1 of 9.8 s.",
)  # fmt: skip
_GATE = Suspect(
    cause=Cause.GATE, share=0.14, advice="Lower `gates.lake.sample`, or take costly rules out.", page="/quality/shop",
    evidence="The lake's gate took 1.4 s of each of the last 5 batches.",
)  # fmt: skip


def facts() -> list[Fact]:
    """As of the moment."""
    return [*_lag(), *_explained(), *_spark(), *_batches(), _executors(AT)]


def looks() -> Iterator[tuple[datetime, list[Fact]]]:
    """What the autoscaler has heard before, a batch at a time: by these it knows what an executor does."""
    for number in range(12):
        at = AT - timedelta(seconds=12 * (12 - number))
        batches = [each for each in _batches() if isinstance(each, QueryProgressed) and each.at == at]
        task_s = 9000.0 + 11.5 * number
        lake = {"at": at, "part": "lake", "app_id": _LAKE_APP}
        executors = (_executor("0", task_s=task_s), _executor("1", task_s=task_s))
        yield at, [*batches, SparkObserved(**lake, executors=executors, stages=(), took_s=0.04), _executors(at)]


def _lag() -> list[Fact]:
    said: list[Fact] = []
    for stream in ("shop", "flights"):
        for part, hop in _HOPS.items():
            said.append(_judged(part, stream, hop))
    group = {"consumer_kind": ConsumerKind.GROUP, "topic": "shop.valid", "since": AT - timedelta(minutes=15)}
    stalled = _partitions(900.0, LagVerdict.STALL)
    said.append(
        LagJudged(
            at=AT, consumer="billing", verdict=LagVerdict.STALL, lag_s=900.0, error_s=1.0, lag_events=432_000,
            taken_per_s=0.0, arriving_per_s=489.0, partitions=stalled, stream="shop",
            reason="its offset has not moved for 15 min although there is something to take", **group,
        )
    )  # fmt: skip
    return said


def _judged(part: str, stream: str, hop: Hop) -> LagJudged:
    consumer = f"{part} {stream}"
    lag_s = lag_of(consumer, 0)
    is_behind = consumer == "lake shop"
    verdict = LagVerdict.WARN if is_behind else LagVerdict.OK
    more: dict[str, Any] = {"hot_partition": 2, "retention_s": 165_000.0} if is_behind else {"catch_up_s": 0.2}
    return LagJudged(
        at=AT, consumer=consumer, consumer_kind=ConsumerKind.QUERY, stream=stream, hop=hop, verdict=verdict,
        topic=f"{stream}.{'raw' if part == 'route' else 'valid'}", partitions=_partitions(lag_s, verdict),
        lag_s=lag_s, error_s=0.5, lag_events=int(lag_s * 480), taken_per_s=450.0 if is_behind else 489.0,
        arriving_per_s=489.0, since=AT - timedelta(minutes=8 if is_behind else 340), shadow=f"tidegate.{part}.{stream}",
        reason="no batch takes all that was there, and lag has grown from 12 to 42 s over 7 min" if is_behind else None,
        **more,
    )  # fmt: skip


def _partitions(lag_s: float, verdict: LagVerdict) -> tuple[PartitionLag, ...]:
    shares = (0.5, 0.6, 1.0, 0.4)
    return tuple(
        PartitionLag(
            partition=number, position=407_000 + number, end=407_000 + number + int(lag_s * share * 120),
            lag_events=int(lag_s * share * 120), lag_s=round(lag_s * share, 1), error_s=0.5, source=LagSource.BETWEEN,
            taken_per_s=112.0, arriving_per_s=122.0, retention_s=165_000.0, moved_at=AT - timedelta(seconds=4),
            verdict=verdict, rule=8 if verdict is LagVerdict.WARN else 9,
        )
        for number, share in enumerate(shares)
    )  # fmt: skip


def _explained() -> list[Fact]:
    slow = LagExplained(at=AT, consumer="lake shop", stream="shop", is_slow=True, suspects=(_MERGE, _GATE))
    others = [(part, stream) for part in _HOPS for stream in ("shop", "flights") if (part, stream) != ("lake", "shop")]
    well = [LagExplained(at=AT, consumer=f"{part} {stream}", stream=stream, is_slow=False) for part, stream in others]
    return [slow, *well]


def _spark() -> list[Fact]:
    began = AT - timedelta(hours=6, minutes=10)
    lake: dict[str, Any] = {"at": AT, "part": "lake", "app_id": _LAKE_APP}
    route: dict[str, Any] = {"at": AT, "part": "route", "app_id": "local-1795681210412"}
    stages = tuple(_stage(number) for number in range(2210, 2222))
    executors = (_executor("0"), _executor("1", gc_s=31.0), _executor("driver", cores=0, active_tasks=0, task_s=0.0))
    ui, master = "http://127.0.0.1:4040", "spark://127.0.0.1:7077"
    return [
        SparkStarted(**lake, ui=ui, master=master, slots=2, began_at=began),
        SparkObserved(**lake, executors=executors, stages=stages, took_s=0.04),
        SparkStarted(**route, ui="http://127.0.0.1:4041", master="local[8]", slots=8, began_at=began),
        SparkObserved(**route, executors=(_executor("driver", cores=8),), took_s=0.02),
        *(
            LatencyMeasured(
                at=AT, query=f"route {stream}", stream=stream, latency_ms=(9.2, 21.0, 48.0), samples=200, newest_at=AT
            )
            for stream in ("shop", "flights")
        ),
    ]


def _executor(name: str, **more: Any) -> ExecutorSeen:  # noqa: ANN401 (fields of a row)
    said: dict[str, Any] = {
        "is_active": True, "cores": 1, "active_tasks": 1, "failed_tasks": 0, "completed_tasks": 61_234, "task_s": 9100.0,
        "gc_s": 94.0, "input_bytes": 3300 * _MIB, "shuffle_read_bytes": 220 * _MIB, "shuffle_write_bytes": 220 * _MIB,
        "memory_used_bytes": 41 * _MIB, "memory_bytes": 400 * _MIB, "heap_peak_bytes": 310 * _MIB,
        "added_at": AT - timedelta(hours=6),
    }  # fmt: skip
    return ExecutorSeen(executor=name, **{**said, **more})


def _stage(number: int) -> StageSeen:
    is_merge = number % 3 == 0
    name = "MERGE into entity_visitor: findTouchedFiles" if is_merge else "append to events"
    run_s = 6.1 if is_merge else 1.2
    return StageSeen(
        stage=number, attempt=0, query="lake shop", batch_id=number // 3, name=name, state="complete", tasks=4,
        active_tasks=0, completed_tasks=4, failed_tasks=0, run_s=run_s, cpu_s=run_s * 0.7, gc_s=0.1, input_bytes=30 * _MIB,
        input_rows=90_000, output_bytes=0, output_rows=0, shuffle_read_bytes=0, shuffle_write_bytes=3 * _MIB,
        spilled_memory_bytes=0, spilled_disk_bytes=0, task_s=(0.2, 0.9, run_s / 2), task_rows=(900.0, 1000.0, 9000.0),
    )  # fmt: skip


def _batches() -> list[Fact]:
    def lake(stream: str, number: int, took_s: float, work_s: float) -> Fact:
        return QueryProgressed(
            at=AT - timedelta(seconds=12 * (39 - number)), query=f"lake {stream}", stream=stream, mode="microbatch",
            batch_id=8960 + number, rows=4800 + int(900 * wave(number)), rows_per_s=401.0, input_rows_per_s=489.0,
            took_s=took_s + wave(number), run_id="run-1", trigger_s=10.0, behind_events=5200,
            phases=QueryPhases(offsets_s=0.1, planning_s=0.6, log_s=0.2, work_s=work_s),
        )  # fmt: skip

    def route(stream: str) -> Fact:
        return QueryProgressed(
            at=AT - timedelta(seconds=80), query=f"route {stream}", stream=stream, mode="realtime", batch_id=74,
            rows=146_700, rows_per_s=489.0, input_rows_per_s=489.0, took_s=300.0, run_id="run-1", trigger_s=300.0,
        )  # fmt: skip

    lakes = (("shop", 11.9, 11.0), ("flights", 2.1, 1.4))
    return [
        *(lake(stream, number, took_s, work_s) for stream, took_s, work_s in lakes for number in range(40)),
        *(route(stream) for stream, _, _ in lakes),
    ]


def _executors(at: datetime) -> Fact:
    return ExecutorsChanged(
        at=at, target="lake", have=2, want=4, port="spark standalone", cores=1, least=1, most=8,
        waits_for="2 of 4 are not there yet, asked for 6 s ago",
    )  # fmt: skip
