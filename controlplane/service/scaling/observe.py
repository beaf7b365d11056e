"""What is known of a target's load? Facts, as a decision wants them; what is stale or missing is unknown, with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.gates import GateDecided, Outcome, Stage
from controlplane.contract.lag import LagJudged, LagVerdict
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import SparkObserved
from controlplane.service.scaling.load import Capacity, Demand, Load
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from controlplane.contract.scaling import ScalingPolicy
    from controlplane.service.scaling.work import Work
    from controlplane.service.state import Known

SAID_WITHIN = timedelta(seconds=45)
"""A part says how many executors it has every 15 s."""
LOCAL = "local"
NOT_SCALED = (
    "{target} runs in one process, on this machine's cores, and has no executors to scale; "
    "`tidegate up --spark standalone` gives it some"
)
_ORDINARY_S = 20.0
_HALTED = {Outcome.HALTED: "is halted by its gate", Outcome.MISCONFIGURED: "is halted, its suite can't be evaluated"}
_STANDS = {LagVerdict.STALL: "stands still and no task runs", LagVerdict.STOP: "says nothing any more"}


def load_of(
    known: Known, work: Work, target: str, streams: Iterable[str], policy: ScalingPolicy, now: datetime
) -> Load:
    """A target's load as known at `now`."""
    executors, reason = executors_of(known, target, now)
    demands = tuple(_demand(known, work, target, stream, policy, executors, now) for stream in streams)
    if (why := not_scaled(target, executors)) is not None:
        executors, reason = None, why
    return Load(executors, demands, reason, target, work.at_work(now))


def executors_of(known: Known, target: str, now: datetime) -> tuple[ExecutorsChanged | None, str | None]:
    """How many executors a target has; None and why, when it has not said so lately."""
    fact = known.facts.get(("executors_changed", target))
    if not isinstance(fact, ExecutorsChanged):
        return None, f"{target} has not said how many executors it has"
    if now - fact.at > SAID_WITHIN:
        return None, f"{target} has not said for {(now - fact.at).total_seconds():.0f} s how many executors it has"
    return fact, None


def not_scaled(target: str, executors: ExecutorsChanged | None) -> str | None:
    """Why a target can't be scaled; None when it can, or that is not known."""
    return NOT_SCALED.format(target=target) if executors is not None and executors.port == LOCAL else None


def _share_per_s(executors: ExecutorsChanged | None, trigger_s: float | None) -> float | None:
    """What an executor can do when each micro-batch brings it so much at most; None: no such bound, or not known."""
    if executors is None or executors.batch_events is None or not trigger_s:
        return None
    return executors.batch_events / trigger_s


def _demand(  # noqa: PLR0913 (what it is made of)
    known: Known,
    work: Work,
    target: str,
    stream: str,
    policy: ScalingPolicy,
    executors: ExecutorsChanged | None,
    now: datetime,
) -> Demand:
    given = policy.events_per_s
    measured = work.capacity(stream) if given is None else Capacity(given, given, "given")
    capacity = measured.within(_share_per_s(executors, work.trigger_s(stream)))
    lag, unknown = _lag(known, target, stream, now)
    ordinary_s = work.ordinary_s(stream) or _ORDINARY_S
    stopped = _stopped(known, target, stream, lag)
    if lag is None:
        return Demand(stream, capacity=capacity, ordinary_s=ordinary_s, stopped=stopped, unknown=unknown)
    lately = work.arriving_per_s(stream)
    return Demand(
        stream=stream,
        arriving_per_s=lag.arriving_per_s if lately is None else lately,
        lag_events=lag.lag_events,
        partitions=len(lag.partitions) or None,
        capacity=capacity,
        ordinary_s=ordinary_s,
        stopped=stopped,
        unknown=unknown,
    )


def _lag(known: Known, target: str, stream: str, now: datetime) -> tuple[LagJudged | None, str | None]:
    consumer = f"{target} {stream}"
    found = [fact for fact in known.facts.values() if isinstance(fact, LagJudged) and fact.consumer == consumer]
    fact = max(found, key=lambda each: each.at, default=None)
    if fact is None:
        return None, "its lag has not been judged yet"
    if now - fact.at > STALE_AFTER:
        return fact, f"its lag was not judged for {(now - fact.at).total_seconds():.0f} s"
    if fact.lag_events is None or fact.arriving_per_s is None:
        return fact, fact.reason
    return fact, None


def _stopped(known: Known, target: str, stream: str, lag: LagJudged | None) -> str | None:
    """Why more executors are not what a query lacks.

    A long batch moves no position either: as long as a task runs, it goes on.
    """
    decided = known.facts.get(("gate_decided", stream, Stage.LAKE, ""))
    if isinstance(decided, GateDecided) and decided.outcome in _HALTED:
        return _HALTED[decided.outcome]
    if lag is None or lag.verdict not in _STANDS or _works(known, target):
        return None
    return _STANDS[lag.verdict]


def _works(known: Known, target: str) -> bool:
    fact = known.facts.get(("spark_observed", target))
    return isinstance(fact, SparkObserved) and any(each.active_tasks for each in fact.executors)
