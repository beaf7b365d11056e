"""Which cause is named first, for which observation? A table of cases; `tests/integration/test_why.py` provokes them for real."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.contract.facts import EntitiesUpserted, PartChanged, PartState, RangeInserted, TableMeasured
from controlplane.contract.gates import BreakerChanged, BreakerState, GateDecided, Outcome, Stage
from controlplane.contract.lag import Cause, ConsumerKind, LagJudged, LagVerdict, PartitionLag
from controlplane.contract.names import Hop
from controlplane.contract.spark import QueryPhases, QueryProgressed, StageSeen
from lag_monitor.why.explain import explained, slow_because
from lag_monitor.why.observed import Batch, Observed, Query

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
LAKE, ROUTE, LIVE = (
    Query("lake", "shop", Hop.LAKE),
    Query("route", "shop", Hop.VALID),
    Query("live", "shop", Hop.SERVING),
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def stage(lasted: float = 10.0, ended: float = 1.0, **more: Any) -> StageSeen:
    """A stage of one task that worked all the time and ended a second ago."""
    fields: dict[str, Any] = {
        "stage": 7, "attempt": 0, "query": "lake shop", "batch_id": 3, "name": "save", "state": "complete", "tasks": 1,
        "submitted_at": ago(lasted + ended), "completed_at": ago(ended), "active_tasks": 0, "completed_tasks": 1,
        "failed_tasks": 0, "run_s": lasted, "cpu_s": lasted, "gc_s": 0.0, "input_bytes": 0, "input_rows": 0,
        "output_bytes": 0, "output_rows": 0, "shuffle_read_bytes": 0, "shuffle_write_bytes": 0,
        "spilled_memory_bytes": 0, "spilled_disk_bytes": 0,
    }  # fmt: skip
    return StageSeen.model_validate({**fields, **more})


def batch(*stages: StageSeen, took: float = 10.0, phases: QueryPhases | None = None) -> Batch:
    """Nearly all of it work that its stages cover."""
    told = QueryProgressed(
        at=ago(1), query="lake shop", stream="shop", mode="microbatch", batch_id=3, took_s=took, trigger_s=1.0,
        phases=phases or QueryPhases(offsets_s=0.1, planning_s=0.1, log_s=0.1, work_s=took - 0.3),
    )  # fmt: skip
    return Batch(3, took, told, stages)


def observed(*stages: StageSeen, query: Query = LAKE, **more: Any) -> Observed:
    """A lake whose last batch took 10 s, and one is to begin every second."""
    fields: dict[str, Any] = {"batches": (batch(*stages),), "slots": 2, "trigger_s": 1.0, **more}
    return Observed(query, NOW, **fields)


def lag(age_s: float = 0, query: Query = LAKE, **more: Any) -> LagJudged:
    fields: dict[str, Any] = {"verdict": LagVerdict.WARN, "lag_events": 1000, "lag_s": 60.0, **more}
    kind = ConsumerKind.QUERY
    return LagJudged(
        at=ago(age_s), consumer=query.name, consumer_kind=kind, topic="shop.valid", stream="shop", **fields
    )


def lagging(query: Query = LAKE, **more: Any) -> Observed:
    """It has no batches and is behind."""
    one = lag(query=query)
    return Observed(query, NOW, **{"lag": one, "lags": (one,), **more})


def gate(age_s: float = 1, outcome: Outcome = Outcome.PASSED, **more: Any) -> GateDecided:
    fields: dict[str, Any] = {"suite": "f" * 12, "rows": 100, "judged": 100, "subject": "micro-batch 3", **more}
    return GateDecided(at=ago(age_s), stream="shop", stage=Stage.LAKE, outcome=outcome, **fields)


def upsert(**more: Any) -> EntitiesUpserted:
    fields: dict[str, Any] = {
        "stream": "shop", "table": "entity_cart", "version": 9, "events": 20, "inserted": 0, "updated": 20,
        "files_read": 400, "files_there": 400, "bytes_written": 2**20, "took_s": 30.0,
    }  # fmt: skip
    return EntitiesUpserted(at=ago(2), **{**fields, **more})


def table(files: int, size: int) -> dict[str, TableMeasured]:
    return {
        "entity_cart": TableMeasured(at=ago(2), stream="shop", table="entity_cart", files=files, bytes=files * size)
    }


def part(state: PartState, name: str = "lake") -> PartChanged:
    return PartChanged(at=NOW, part=name, state=state, reason="exited with code 1")


def behind(lags: tuple[LagJudged, ...]) -> Observed:
    return lagging(lag=lags[-1], lags=lags)


def lumps(every: int) -> tuple[LagJudged, ...]:
    """A thousand offsets every so many seconds, taken a second later."""
    places = (
        PartitionLag(partition=0, end=1000 * (s // every) + 9000, position=1000 * ((s - 1) // every) + 9000)
        for s in range(0, 61, 2)
    )
    return tuple(lag(60 - 2 * n, partitions=(place,), lag_events=1000) for n, place in enumerate(places))


def still(verdict: LagVerdict, moved_s: float = 50.0) -> LagJudged:
    stuck = PartitionLag(partition=0, lag_events=1000, moved_at=ago(moved_s), verdict=verdict)
    return lag(verdict=verdict, partitions=(stuck,), since=ago(40))


def rates(usual: int, burst: int, *, taken: int = 100, burst_taken: int | None = None) -> tuple[LagJudged, ...]:
    """A minute of the usual, then 20 s of more, looked at every 2 s; offsets a second."""
    found, end, position = [], 10_000, 9_900
    for n in range(40, -1, -1):
        is_burst = n < 10
        end += 2 * (burst if is_burst else usual)
        position += 2 * (taken if burst_taken is None or not is_burst else burst_taken)
        place = PartitionLag(partition=0, end=end, position=min(end, position))
        found.append(lag(2 * n, partitions=(place,), lag_events=max(0, end - position)))
    return tuple(found)


EIGHT = {"tasks": 8, "completed_tasks": 8, "run_s": 20.0, "cpu_s": 20.0, "task_s": (2.5, 2.6, 2.6)}
SKEWED = {
    "tasks": 4,
    "completed_tasks": 4,
    "run_s": 10.6,
    "cpu_s": 10.6,
    "task_s": (0.2, 9.8, 9.8),
    "task_rows": (1e3, 9e5, 9e5),
}
OPEN = {"state": "active", "completed_at": None}
RTM = {
    "stage": 1, "query": "route shop", "batch_id": 0, "tasks": 8, "active_tasks": 5, "completed_tasks": 0,
    "run_s": 0.0, "cpu_s": 0.0,
}  # fmt: skip
BURST = rates(100, 1100)

FIRST = [
    pytest.param(observed(stage(**EIGHT)), Cause.TOO_FEW_SLOTS, 0.74, id="eight-tasks-for-two-slots-that-work-all-the-time"),
    pytest.param(
        observed(stage(run_s=3.0, cpu_s=3.0), beside=(stage(query=None, tasks=2, run_s=17.0),)),
        Cause.TOO_FEW_SLOTS, 0.7, id="other-work-of-the-application-holds-the-slots",
    ),
    pytest.param(
        observed(stage(**{**EIGHT, **OPEN, "active_tasks": 2, "completed_tasks": 2})),
        Cause.TOO_FEW_SLOTS, 0.82, id="a-stage-that-runs-has-tasks-that-wait",
    ),
    pytest.param(
        lagging(ROUTE, is_realtime=True, running=(stage(**{**RTM, **OPEN}),), slots=5),
        Cause.TOO_FEW_SLOTS, 3 / 8, id="a-real-time-batch-leaves-partitions-unread",
    ),
    pytest.param(observed(stage(**SKEWED)), Cause.SKEWED_PARTITION, 0.45, id="one-of-four-tasks-has-nearly-all"),
    pytest.param(
        observed(stage(**{**SKEWED, "tasks": 2, "run_s": 10.0, "task_s": (0.2, 9.8, 9.8)}), slots=4),
        Cause.SKEWED_PARTITION, 0.48, id="one-of-two-tasks-has-nearly-all",
    ),
    pytest.param(
        lagging(LIVE, lag=lag(query=LIVE, hot_partition=1, partitions=tuple(
            PartitionLag(partition=n, lag_events=940 if n == 1 else 20) for n in range(4)))),
        Cause.SKEWED_PARTITION, 0.69, id="one-source-partition-has-nearly-all-of-the-lag",
    ),
    pytest.param(observed(stage(gc_s=6.0, cpu_s=4.0)), Cause.GARBAGE_COLLECTION, 0.6, id="tasks-wait-for-the-collector"),
    pytest.param(
        observed(batches=(), upserts=(upsert(),), tables=table(400, 2**14), tables_trigger_s=20.0),
        Cause.SMALL_FILES, 0.6, id="a-merge-reads-400-tiny-files",
    ),
    pytest.param(
        observed(stage(lasted=3.0, ended=4.0), gates=(gate(took_s=6.5, stage_took_s=9.7),)),
        Cause.GATE, 0.65, id="judging-takes-two-thirds",
    ),
    pytest.param(
        lagging(gates=(gate(90, Outcome.HALTED),), lag=still(LagVerdict.STALL)), Cause.GATE, 1.0, id="a-halted-batch",
    ),
    pytest.param(lagging(gates=(gate(90, Outcome.MISCONFIGURED),)), Cause.GATE, 1.0, id="a-suite-that-cannot-be-followed"),
    pytest.param(
        Observed(ROUTE, NOW, breaker=BreakerChanged(
            at=NOW, stream="shop", stage=Stage.INGEST, state=BreakerState.OPEN, since=ago(30))),
        Cause.GATE, 1.0, id="an-open-breaker-before-any-lag-is-seen",
    ),
    pytest.param(observed(stage(lasted=2.0, ended=8.0)), Cause.SINK, 0.7, id="work-without-a-task"),
    pytest.param(
        observed(stage(lasted=9.6, run_s=19.0, cpu_s=4.0, tasks=2, output_rows=100)),
        Cause.SINK, 0.76, id="tasks-that-write-and-wait",
    ),
    pytest.param(
        lagging(LIVE, inserts=tuple(RangeInserted(at=ago(n), stream="shop", rows=9, inserts=1, took_s=0.8) for n in (3, 2, 1))),
        Cause.SINK, 0.8, id="a-pump-that-waits-for-clickhouse",
    ),
    pytest.param(
        observed(batches=(batch(stage(lasted=1.0), phases=QueryPhases(offsets_s=0.5, planning_s=7.0, log_s=0.5, work_s=2.0)),)),
        Cause.SLOW_PLANNING, 0.9, id="planning-takes-more-than-the-work",
    ),
    pytest.param(observed(stage(lasted=1.0)), Cause.SLOW_PLANNING, 0.9, id="work-before-the-first-task-is-planning"),
    pytest.param(behind(BURST), Cause.INPUT_BURST, 0.995, id="ten-times-as-much-for-twenty-seconds"),
    pytest.param(lagging(part=part(PartState.BACKING_OFF)), Cause.NOT_RUNNING, 1.0, id="its-part-is-down"),
    pytest.param(lagging(part=part(PartState.STARTING)), Cause.NOT_RUNNING, 1.0, id="its-part-is-still-starting"),
    pytest.param(lagging(lag=still(LagVerdict.STALL)), Cause.NOT_RUNNING, 50 / 60, id="it-runs-and-takes-nothing"),
    pytest.param(lagging(lag=still(LagVerdict.STOP)), Cause.NOT_RUNNING, 50 / 60, id="it-says-nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "cause", "share"), FIRST)
def test_the_cause_is_named_first(seen: Observed, cause: Cause, share: float) -> None:
    found = explained(seen)
    assert found.is_slow
    assert [each.cause for each in found.suspects][:1] == [cause]
    first = found.suspects[0]
    assert first.share == pytest.approx(share, abs=0.015)
    assert first.evidence.endswith(".")
    assert first.advice.endswith(".")
    assert first.page.startswith("/")


NEVER = [
    pytest.param(observed(stage(**{**EIGHT, "run_s": 8.0, "task_s": (1.0, 1.0, 1.0)})), Cause.TOO_FEW_SLOTS, id="slots-idle"),
    pytest.param(observed(stage(**EIGHT), slots=None), Cause.TOO_FEW_SLOTS, id="nobody-knows-how-many-slots"),
    pytest.param(observed(stage(**SKEWED)), Cause.TOO_FEW_SLOTS, id="only-the-longest-task-is-waited-for"),
    pytest.param(observed(stage(**{**SKEWED, "lasted": 10.7}), slots=1), Cause.SKEWED_PARTITION, id="one-slot-has-it-all-anyway"),
    pytest.param(observed(stage(**EIGHT)), Cause.SKEWED_PARTITION, id="even-tasks"),
    pytest.param(observed(stage(gc_s=0.5)), Cause.GARBAGE_COLLECTION, id="a-little-garbage"),
    pytest.param(
        lagging(upserts=(upsert(files_read=8),), tables=table(8, 2**14), tables_trigger_s=20.0),
        Cause.SMALL_FILES, id="few-files-are-read",
    ),
    pytest.param(
        lagging(upserts=(upsert(),), tables=table(400, 2**26), tables_trigger_s=20.0), Cause.SMALL_FILES, id="large-files",
    ),
    pytest.param(observed(stage(), gates=(gate(took_s=0.3, stage_took_s=9.0),)), Cause.GATE, id="a-quick-gate"),
    pytest.param(
        lagging(gates=(gate(90, Outcome.HALTED), gate(1, took_s=0.1, stage_took_s=1.0))), Cause.GATE, id="an-operator-let-it-pass",
    ),
    pytest.param(
        lagging(gates=(gate(1, Outcome.MISCONFIGURED, took_s=0.1, stage_took_s=9.0),)), Cause.GATE, id="unjudged-and-passed-on",
    ),
    pytest.param(
        observed(stage(lasted=3.0, ended=4.0), gates=(gate(took_s=6.5, stage_took_s=9.7),)), Cause.SINK, id="the-gate-is-no-sink",
    ),
    pytest.param(observed(stage(run_s=10.0, cpu_s=2.0)), Cause.SINK, id="tasks-that-wait-and-write-nothing"),
    pytest.param(observed(), Cause.SINK, id="nothing-is-known-of-stages"),
    pytest.param(observed(stage()), Cause.SLOW_PLANNING, id="a-third-of-a-second-of-ten"),
    pytest.param(behind(rates(1000, 1100, taken=1000)), Cause.INPUT_BURST, id="a-tenth-more-is-usual"),
    pytest.param(behind(rates(100, 1100, burst_taken=20)), Cause.INPUT_BURST, id="the-query-itself-is-slower"),
    pytest.param(behind(BURST[25:]), Cause.INPUT_BURST, id="what-lasts-as-long-as-all-that-is-known-is-usual"),
    pytest.param(behind(lumps(10)), Cause.INPUT_BURST, id="a-producer-that-sends-every-ten-seconds"),
    pytest.param(
        lagging(lag=still(LagVerdict.STALL), running=(stage(**OPEN),)), Cause.NOT_RUNNING, id="a-long-batch-is-at-work",
    ),
    pytest.param(
        lagging(lag=still(LagVerdict.STALL), gates=(gate(90, Outcome.HALTED),)), Cause.NOT_RUNNING, id="it-stands-at-its-gate",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "cause"), NEVER)
def test_the_cause_is_not_suspected(seen: Observed, cause: Cause) -> None:
    found = explained(seen)
    assert found.is_slow
    assert cause not in [each.cause for each in found.suspects]


QUIET = [
    pytest.param(Observed(LAKE, NOW), id="nothing-is-known"),
    pytest.param(observed(stage(**SKEWED), trigger_s=10.5), id="a-batch-within-its-trigger-may-be-skewed"),
    pytest.param(observed(stage(**EIGHT), is_realtime=True), id="a-real-time-batch-is-as-long-as-it-was-asked-to-be"),
    pytest.param(
        observed(stage(**EIGHT), lag=lag(verdict=LagVerdict.OK, lag_events=0)),
        id="a-long-batch-after-which-nothing-is-left",
    ),
    pytest.param(lagging(lag=lag(verdict=LagVerdict.OK, lag_s=5.0)), id="a-lag-that-burrow-calls-well"),
    pytest.param(Observed(LAKE, NOW, part=part(PartState.RUNNING)), id="its-part-runs"),
    pytest.param(Observed(LAKE, NOW, part=part(PartState.STARTING)), id="it-starts-and-nothing-is-left-to-take"),
    pytest.param(
        Observed(LAKE, NOW, upserts=(upsert(took_s=9.0),), tables_trigger_s=20.0), id="a-merge-within-its-trigger"
    ),
]


@pytest.mark.parametrize("seen", QUIET)
def test_a_query_that_is_not_slow_has_no_suspects(seen: Observed) -> None:
    found = explained(seen)
    assert not found.is_slow
    assert found.suspects == ()


def test_what_has_stopped_a_query_stands_alone() -> None:
    """What its batches were like before is past."""
    seen = observed(stage(**SKEWED), gates=(gate(90, Outcome.HALTED),))
    assert [each.cause for each in explained(seen).suspects] == [Cause.GATE]
    down = observed(stage(**SKEWED), part=part(PartState.HELD))
    assert [each.cause for each in explained(down).suspects] == [Cause.NOT_RUNNING]


def test_suspects_are_ranked_by_the_same_measure() -> None:
    """Three seconds of ten were garbage, two a skewed task, one and a half planning."""
    phases = QueryPhases(offsets_s=0.5, planning_s=0.5, log_s=0.5, work_s=8.5)
    uneven = {"tasks": 2, "completed_tasks": 2, "run_s": 12.0, "cpu_s": 7.5, "task_s": (4.0, 8.5, 8.5), "gc_s": 4.5}
    seen = observed(
        batches=(batch(stage(lasted=8.5, **{**uneven, "task_s": (2.5, 8.5, 8.5), "run_s": 11.0}), phases=phases),)
    )
    found = explained(seen).suspects
    assert [each.cause for each in found] == [Cause.GARBAGE_COLLECTION, Cause.SKEWED_PARTITION, Cause.SLOW_PLANNING]
    assert [round(each.share, 2) for each in found] == [0.35, 0.3, 0.15]


def seconds(*lags: float) -> Observed:
    """A live that is looked at every second; nobody has judged it yet."""
    found = tuple(
        lag(len(lags) - 1 - n, LIVE, verdict=LagVerdict.UNKNOWN, lag_s=float(each)) for n, each in enumerate(lags)
    )
    return Observed(LIVE, NOW, lag=found[-1], lags=found)


def test_a_lag_that_grows_is_slow_before_its_verdict_says_so() -> None:
    assert slow_because(seconds(*range(40))) == "its lag grew by 20 s in 20 s"
    assert slow_because(seconds(*[20] * 40)) is None
    assert slow_because(seconds(*[n / 5 + 20 for n in range(40)])) is None
    assert slow_because(seconds(*range(24))) is None, "not watched for long enough"
    assert slow_because(seconds(*[n * 0.28 for n in range(40)])) is None, "a few seconds"


def test_a_lag_that_grows_between_two_batches_does_not_grow() -> None:
    """Lake takes all there is every ten seconds, and needs two for it."""
    saw = seconds(*[2 + n % 10 for n in range(60)])
    for shift in range(10):
        shifted = replace(
            saw, query=LAKE, trigger_s=10.0, now=NOW - timedelta(seconds=shift), lags=saw.lags[: 60 - shift]
        )
        assert slow_because(replace(shifted, lag=shifted.lags[-1])) is None
    one_late = replace(seconds(*[2] * 60, *range(2, 14)), query=LAKE, trigger_s=10.0)
    assert slow_because(one_late) is None


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    seen = lagging(unknown=("nothing known of stages: nobody has asked its REST API for 40 s",))
    found = explained(seen)
    assert found.suspects == ()
    assert found.reason == (
        "it is slow (its verdict is warn), and nothing that was looked at explains it; "
        "nothing known of stages: nobody has asked its REST API for 40 s"
    )
    assert explained(Observed(LAKE, NOW, unknown=("nothing known of its lag: nobody has measured it yet",))).reason == (
        "nothing known of its lag: nobody has measured it yet"
    )
    assert explained(observed(stage(**EIGHT))).reason is None
