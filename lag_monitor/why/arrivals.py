"""Is it what comes in? More than before, or so little that a batch is mostly preparation."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from controlplane.contract.lag import Cause, Suspect
from lag_monitor.why.observed import LEAST, steps
from lag_monitor.why.writes import gate_s

if TYPE_CHECKING:
    from lag_monitor.why.observed import Observed

_TIMES = 2.0
"""Arrivals of twice the usual are a burst."""
_AS_FAST = 0.7
"""A query that takes less than this of what it took before is slower itself."""
_SAMPLES = 4


def input_burst(observed: Observed) -> Suspect | None:
    """More arrives than is usual: what came above the median of the last ten minutes, as a share of the lag in events.

    What lasts longer than half of that time is no burst, it is the new normal.
    """
    lag = observed.lag
    known = [each for each in observed.lags if each.arriving_per_s is not None]
    if lag is None or not lag.lag_events or len(known) < _SAMPLES or _is_slower(observed):
        return None
    rates = [each.arriving_per_s or 0.0 for each in known]
    usual, most = median(rates), max(rates)
    if most < _TIMES * usual or most == 0:
        return None
    above = sum(max(0.0, (each.arriving_per_s or 0.0) - usual) * seconds for seconds, each in steps(known))
    share = min(1.0, above / lag.lag_events)
    if share < LEAST:
        return None
    return Suspect(
        cause=Cause.INPUT_BURST,
        share=share,
        evidence=f"up to {most:,.0f} offsets a second arrived on {lag.topic}, usually it is {usual:,.0f}; {above:,.0f} more than "
        f"usual came, {lag.lag_events:,} are left.",
        advice=_burst_advice(observed),
        page=f"/lag?consumer={observed.query.name.replace(' ', '+')}",
        numbers={"most_per_s": most, "usual_per_s": usual, "above_events": above, "lag_events": lag.lag_events},
    )


def _is_slower(observed: Observed) -> bool:
    taken = [each.taken_per_s for each in observed.lags if each.taken_per_s is not None]
    return len(taken) >= _SAMPLES and max(taken[-_SAMPLES:]) < _AS_FAST * median(taken)


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
        evidence=f"of {took:.1f} s in {len(told)} batches {totals['planning']:.1f} s went into planning, "
        f"{totals['offsets']:.1f} s into asking for offsets, {totals['log']:.1f} s into the checkpoint; {work:.1f} s were work.",
        advice=_ADVICE[most],
        page=f"/spark?query={observed.query.name.replace(' ', '+')}",
        numbers={"batches_s": took, **{f"{name}_s": seconds for name, seconds in totals.items()}},
    )


_ADVICE = {
    "planning": "Make batches fewer and larger (TIDEGATE_LAKE_TRIGGER), or the stream simpler: fewer fields, rules, enrichments.",
    "offsets": "The broker is slow to answer: see `tidegate status` and `tidegate logs kafka`.",
    "log": "The checkpoint's storage is slow: see where TIDEGATE_CHECKPOINTS points, and whether that disk is full.",
}
