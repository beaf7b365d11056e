"""Facts become a load; what is stale, missing or halted is said, and never taken for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.gates import GateDecided, Outcome, Stage
from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict, PartitionLag
from controlplane.contract.scaling import ExecutorsChanged, ScalingPolicy
from controlplane.contract.spark import ExecutorSeen, QueryProgressed, SparkObserved
from controlplane.service.scaling.observe import load_of
from controlplane.service.scaling.work import Work
from controlplane.service.state import Known

if TYPE_CHECKING:
    from controlplane.contract.facts import Fact
    from controlplane.service.scaling.load import Load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN = ScalingPolicy(events_per_s=1000)


def _load(*facts: Fact) -> Load:
    known = Known()
    known.fold(facts)
    return load_of(known, Work("lake"), "lake", ["shop"], GIVEN, NOW)


def _lag(seconds_ago: float = 1, **more: object) -> LagJudged:
    return LagJudged.model_validate(
        {
            "at": NOW - timedelta(seconds=seconds_ago),
            "consumer": "lake shop",
            "consumer_kind": ConsumerKind.QUERY,
            "topic": "shop.valid",
            "partitions": [PartitionLag(partition=number) for number in range(4)],
            "lag_events": 900,
            "arriving_per_s": 250.0,
            **more,
        }
    )


def _executors(seconds_ago: float = 1, port: str = "spark standalone") -> ExecutorsChanged:
    at = NOW - timedelta(seconds=seconds_ago)
    return ExecutorsChanged(at=at, target="lake", have=2, want=3, cores=2, least=1, most=9, port=port)


def _spark(active: int) -> SparkObserved:
    seen = ExecutorSeen(
        executor="1", is_active=True, cores=2, active_tasks=active, failed_tasks=0, completed_tasks=0, task_s=1.0, gc_s=0.0,
        input_bytes=0, shuffle_read_bytes=0, shuffle_write_bytes=0, memory_used_bytes=0, memory_bytes=0,
    )  # fmt: skip
    return SparkObserved(at=NOW, part="lake", app_id="app", executors=(seen,))


def _halted(outcome: Outcome) -> GateDecided:
    return GateDecided(
        at=NOW, stream="shop", stage=Stage.LAKE, subject="micro-batch 3", suite="d4", outcome=outcome, rows=5, judged=5
    )


def test_a_query_that_goes_on_is_a_demand() -> None:
    load = _load(_lag(), _executors())
    [demand] = load.demands
    assert (demand.arriving_per_s, demand.lag_events, demand.partitions) == (250.0, 900, 4)
    assert (demand.capacity.about, demand.stopped, demand.lacks, load.ceiling) == (1000, None, None, 2)
    assert load.executors is not None


def test_an_executor_is_bound_by_its_share_of_a_micro_batch() -> None:
    known, work = Known(), Work("lake")
    known.fold([_lag(), _executors().model_copy(update={"batch_events": 5000})])
    assert load_of(known, work, "lake", ["shop"], GIVEN, NOW).demands[0].capacity.about == 1000, "no interval known"
    batch = {"query": "lake shop", "stream": "shop", "mode": "microbatch", "batch_id": 1, "trigger_s": 10.0}
    work.fold([QueryProgressed.model_validate({"at": NOW, **batch})])
    capacity = load_of(known, work, "lake", ["shop"], GIVEN, NOW).demands[0].capacity
    assert (capacity.about, capacity.is_bound) == (500, True)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ((), "shop: its lag has not been judged yet"),
        ((_lag(11),), "shop: its lag was not judged for 11 s"),
        ((_lag(lag_events=None, reason="the broker is silent"),), "shop: the broker is silent"),
        ((_lag(arriving_per_s=None),), "shop: its rate is not known"),
    ],
    ids=["never", "stale", "silent-broker", "no-rate-yet"],
)
def test_what_is_not_known_is_said(facts: tuple[Fact, ...], says: str) -> None:
    assert _load(*facts, _executors()).lacking == (says,)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ((), "lake has not said how many executors it has"),
        ((_executors(50),), "lake has not said for 50 s how many executors it has"),
        ((_executors(port="local"),), "lake runs in one process"),
    ],
    ids=["never", "stale", "local"],
)
def test_whose_executors_are_not_known_is_not_scaled(facts: tuple[Fact, ...], says: str) -> None:
    load = _load(_lag(), *facts)
    assert load.executors is None
    assert says in str(load.reason)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ((_halted(Outcome.HALTED),), "lake of shop is halted by its gate"),
        ((_halted(Outcome.MISCONFIGURED),), "lake of shop is halted, its suite can't be evaluated"),
        ((_halted(Outcome.DIVERTED),), None),
        ((_lag(verdict=LagVerdict.STALL), _spark(0)), "lake of shop stands still and no task runs"),
        ((_lag(verdict=LagVerdict.STALL), _spark(1)), None),
        ((_lag(verdict=LagVerdict.STOP),), "lake of shop says nothing any more"),
        ((_lag(verdict=LagVerdict.WARN),), None),
    ],
    ids=["halted", "misconfigured", "diverted", "stalled", "long-batch", "stopped", "behind"],
)
def test_what_more_executors_do_not_help_is_told_apart(facts: tuple[Fact, ...], says: str | None) -> None:
    said = facts if any(isinstance(fact, LagJudged) for fact in facts) else (_lag(), *facts)
    assert _load(*said, _executors()).stopped == (() if says is None else (says,))
