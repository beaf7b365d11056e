"""Is a query slow, and why? The causes in the order of what each explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.lag import LagExplained, LagVerdict
from lag_monitor.why.arrivals import input_burst, slow_planning
from lag_monitor.why.stops import gate, not_running, stopped
from lag_monitor.why.tasks import garbage_collection, skewed_partition, too_few_slots
from lag_monitor.why.writes import sink, small_files

if TYPE_CHECKING:
    from controlplane.contract.lag import Suspect
    from lag_monitor.why.observed import Observed

SUSPECTS = (
    not_running,
    gate,
    input_burst,
    skewed_partition,
    too_few_slots,
    garbage_collection,
    small_files,
    sink,
    slow_planning,
)
"""Of two causes that explain as much, the earlier one comes first."""
_BEHIND = (LagVerdict.WARN, LagVerdict.STALL, LagVerdict.STOP)
_GROWS_OVER_S = 30.0
_GROWS_BY = 0.25
"""Seconds of lag a second: of four that pass it makes three."""
_GROWS_FROM_S = 10.0


def explained(observed: Observed) -> LagExplained:
    """What is to be said of a query now; a query that is not slow has no suspects."""
    is_slow = slow_because(observed) is not None
    ranked = _ranked(observed) if is_slow else ()
    return LagExplained(
        at=observed.now,
        consumer=observed.query.name,
        stream=observed.query.stream,
        is_slow=is_slow,
        suspects=ranked,
        reason=_reason(observed, is_slow=is_slow, is_explained=bool(ranked)),
    )


def _ranked(observed: Observed) -> tuple[Suspect, ...]:
    """What has stopped it stands alone: what its batches were like before is past."""
    if (only := stopped(observed)) is not None:
        return (only,)
    found = [suspect for each in SUSPECTS if (suspect := each(observed)) is not None]
    return tuple(sorted(found, key=lambda suspect: -suspect.share))


def slow_because(observed: Observed) -> str | None:
    """What makes it slow, in a few words; None when nothing is known that does."""
    if observed.lag is not None and observed.lag.verdict in _BEHIND:
        return f"its verdict is {observed.lag.verdict}"
    if stopped(observed) is not None:
        return "it has been stopped"
    if observed.trigger_s is not None and not observed.is_realtime and observed.batches:
        last = observed.batches[-1]
        if last.took_s > observed.trigger_s:
            return f"batch {last.number} takes {last.took_s:.1f} s, one is to begin every {observed.trigger_s:.1f} s"
    merge = observed.upserts[-1] if observed.upserts else None
    if merge is not None and observed.tables_trigger_s is not None and merge.took_s > observed.tables_trigger_s:
        return f"a MERGE into {merge.table} takes {merge.took_s:.1f} s"
    return _grows(observed)


def _grows(observed: Observed) -> str | None:
    """Its lag in seconds has grown for half a minute."""
    if observed.lag is None or (now_s := observed.lag.lag_s) is None or now_s < _GROWS_FROM_S:
        return None
    before = [each for each in observed.lags if (observed.lag.at - each.at).total_seconds() >= _GROWS_OVER_S]
    if not before or (then_s := before[-1].lag_s) is None:
        return None
    passed = (observed.lag.at - before[-1].at).total_seconds()
    return f"its lag grew by {now_s - then_s:.0f} s in {passed:.0f} s" if now_s - then_s >= _GROWS_BY * passed else None


def _reason(observed: Observed, *, is_slow: bool, is_explained: bool) -> str | None:
    """Why nothing, or not everything, can be said."""
    if not is_slow:
        return next((each for each in observed.unknown if observed.lag is None), None)
    unexplained = f"it is slow ({slow_because(observed)}), and nothing that was looked at explains it"
    return "; ".join((*(() if is_explained else (unexplained,)), *observed.unknown)) or None
