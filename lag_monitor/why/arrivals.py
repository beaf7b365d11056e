"""Is it what comes in? More than before, or so little that a batch is mostly preparation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.lag import Cause, Suspect
from lag_monitor.why.observed import LEAST, batches_of
from lag_monitor.why.writes import gate_s

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from controlplane.contract.lag import LagJudged
    from lag_monitor.why.observed import Observed

_TIMES = 2.5
"""Arrivals of so many times the rate before are a burst; less, and a producer that sends every ten seconds would seem to be one."""
_AS_FAST = 0.7
"""A query that takes less than this of what it took before is slower itself."""
_BEFORE_S, _SINCE_S = 10.0, 8.0


@dataclass(frozen=True)
class Change:
    """What arrived and was taken before a moment and since; offsets a second."""

    since: datetime
    usual_per_s: float
    now_per_s: float
    taken_before_per_s: float
    taken_per_s: float
    above_events: float
    """What came since then, beyond the usual."""


def input_burst(observed: Observed) -> Suspect | None:
    """More arrives than before: what came beyond the usual since then, as a share of the lag in events.

    The moment is the one from which on most came beyond what had been usual until then. What lasts longer than the time that is
    looked at before it is no burst, it is the new normal. A query that itself has become slower is not excused by one.
    """
    lag, change = observed.lag, change_of(observed.lags)
    if lag is None or not lag.lag_events or change is None or change.now_per_s < _TIMES * change.usual_per_s:
        return None
    share = min(1.0, change.above_events / lag.lag_events)
    if share < LEAST or change.taken_per_s < _AS_FAST * change.taken_before_per_s:
        return None
    return Suspect(
        cause=Cause.INPUT_BURST,
        share=share,
        evidence=f"since {change.since:%H:%M:%S} UTC {change.now_per_s:,.0f} offsets a second arrive on {lag.topic}, before "
        f"it were {change.usual_per_s:,.0f}; {change.above_events:,.0f} more than usual came, {lag.lag_events:,} are left.",
        advice=_burst_advice(observed),
        page=observed.query.lag_page,
        numbers={
            "now_per_s": change.now_per_s, "usual_per_s": change.usual_per_s, "above_events": change.above_events,
            "lag_events": lag.lag_events,
        },
    )  # fmt: skip


def change_of(lags: Iterable[LagJudged]) -> Change | None:
    """Since when has most come beyond the usual? None when nothing has, or too little is known."""
    seen = [each for each in map(_place, lags) if each is not None]
    changes = [change for split in seen[1:-1] if (change := _change(seen[0], split, seen[-1])) is not None]
    return max(changes, key=lambda change: change.above_events, default=None)


def _place(lag: LagJudged) -> tuple[datetime, int, int] | None:
    """When it was looked at, where its topic ended and where the consumer was; None when that is not known of all partitions."""
    ends, positions = ([getattr(each, name) for each in lag.partitions] for name in ("end", "position"))
    return None if None in (*ends, *positions) or not ends else (lag.at, sum(ends), sum(positions))


Place = tuple["datetime", int, int]


def _change(first: Place, split: Place, last: Place) -> Change | None:
    before, since = (split[0] - first[0]).total_seconds(), (last[0] - split[0]).total_seconds()
    if before < max(_BEFORE_S, since) or since < _SINCE_S:
        return None
    usual, now = (split[1] - first[1]) / before, (last[1] - split[1]) / since
    return Change(
        since=split[0],
        usual_per_s=usual,
        now_per_s=now,
        taken_before_per_s=(split[2] - first[2]) / before,
        taken_per_s=(last[2] - split[2]) / since,
        above_events=(now - usual) * since,
    )


def _burst_advice(observed: Observed) -> str:
    catch_up = None if observed.lag is None else observed.lag.catch_up_s
    if catch_up is not None:
        return (
            f"Wait: at these rates it has caught up in {catch_up:.0f} s; slow the producers down if that is too long."
        )
    return "Slow the producers down, or give it more executors on the page Scaling: at these rates it never catches up."


def slow_planning(observed: Observed) -> Suspect | None:
    """Offsets, planning and logs, and what a batch prepares before its first task: their share of the batches' time.

    What plans a thousand columns for a row does not plan faster for a million, so fewer and larger batches cost less.
    """
    told = [batch for batch in observed.told if batch.phases.work_s is not None]
    took = sum(batch.took_s for batch in told)
    if not took or observed.is_realtime:
        return None
    totals = {name: sum(getattr(batch.phases, f"{name}_s") or 0.0 for batch in told) for name in _ADVICE}
    prepared = sum(max(0.0, batch.prepared_s - gate_s(batch, observed)) for batch in told)
    totals["planning"] += prepared
    share = min(1.0, sum(totals.values()) / took)
    if share < LEAST:
        return None
    work = sum(batch.phases.work_s or 0.0 for batch in told) - prepared
    most = max(totals, key=lambda name: totals[name])
    return Suspect(
        cause=Cause.SLOW_PLANNING,
        share=share,
        evidence=f"of {took:.1f} s in {batches_of(len(told))} {totals['planning']:.1f} s went into planning, "
        f"{totals['offsets']:.1f} s into asking for offsets, {totals['log']:.1f} s into the checkpoint; {work:.1f} s were work.",
        advice=_ADVICE[most],
        page=observed.query.spark_page,
        numbers={"batches_s": took, **{f"{name}_s": seconds for name, seconds in totals.items()}},
    )


_ADVICE = {
    "planning": "Make batches fewer and larger (TIDEGATE_LAKE_TRIGGER), or the stream simpler: fewer fields, rules, enrichments.",
    "offsets": "The broker is slow to answer: see `tidegate status` and `tidegate logs kafka`.",
    "log": "The checkpoint's storage is slow: see where TIDEGATE_CHECKPOINTS points, and whether that disk is full.",
}
