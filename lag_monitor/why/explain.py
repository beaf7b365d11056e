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
_GROWS_OVER_S = 20.0
_GROWS_BY = 0.25
"""Seconds of lag a second: of four that pass it makes three."""
_GROWS_FROM_S = 10.0
_LOOKED_AT_S = 5.0


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
    if (late := _late_batch(observed)) is not None:
        return late
    merge = observed.upserts[-1] if observed.upserts else None
    if merge is not None and observed.tables_trigger_s is not None and merge.took_s > observed.tables_trigger_s:
        return f"a MERGE into {merge.table} takes {merge.took_s:.1f} s"
    return _grows(observed)


def _late_batch(observed: Observed) -> str | None:
    """Its last batch took longer than there is between two; once nothing is left, that is past."""
    is_caught_up = observed.lag is not None and observed.lag.lag_events == 0
    if observed.trigger_s is None or observed.is_realtime or is_caught_up or not observed.batches:
        return None
    last = observed.batches[-1]
    if last.took_s <= observed.trigger_s:
        return None
    return f"batch {last.number} takes {last.took_s:.1f} s, one is to begin every {observed.trigger_s:.1f} s"


def _grows(observed: Observed) -> str | None:
    """Its lag in seconds grows.

    Between two batches the lag of any query grows; so the least of two triggers is compared with the least of two before.
    """
    over_s = max(_LOOKED_AT_S, 0.0 if observed.is_realtime else 2 * (observed.trigger_s or 0.0))
    recent, before = _least_s(observed, over_s, 0.0), _least_s(observed, over_s, max(_GROWS_OVER_S, over_s))
    if recent is None or before is None or recent < _GROWS_FROM_S:
        return None
    passed = max(_GROWS_OVER_S, over_s)
    is_growing = recent - before >= _GROWS_BY * passed
    return f"its lag grew by {recent - before:.0f} s in {passed:.0f} s" if is_growing else None


def _least_s(observed: Observed, over_s: float, until_s: float) -> float | None:
    """The least lag in seconds in a stretch that ended so long ago; None when that was not watched, or it is unknown."""
    found = [(each.lag_s, (observed.now - each.at).total_seconds()) for each in observed.lags]
    is_watched = any(age >= until_s + over_s for _, age in found)
    known = [lag for lag, age in found if lag is not None and until_s <= age <= until_s + over_s]
    return min(known, default=None) if is_watched else None


def _reason(observed: Observed, *, is_slow: bool, is_explained: bool) -> str | None:
    """Why nothing, or not everything, can be said."""
    if not is_slow:
        return next((each for each in observed.unknown if observed.lag is None), None)
    unexplained = f"it is slow ({slow_because(observed)}), and nothing that was looked at explains it"
    return "; ".join((*(() if is_explained else (unexplained,)), *observed.unknown)) or None
