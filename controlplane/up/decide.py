"""Which parts should be started now, and what state is each in? Pure: the clock is a parameter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import PartState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controlplane.up.part import Part, Seen

_LONGEST_BACK_OFF = timedelta(seconds=30)
STEADY_AFTER = timedelta(seconds=60)
"""A process that ran this long was well: its exit starts a new count of failures."""
HELD_AFTER = 8
"""Failures in a row, about two minutes; starting it once more would only repeat what its log says."""
SILENT_AFTER = timedelta(seconds=10)
"""A part that has said nothing for so long is called unresponsive."""
HUNG_AFTER = timedelta(seconds=60)
"""A silent one is killed then, and started anew."""
START_WITHIN = timedelta(seconds=180)
"""One that is not ready after so long is killed as well."""


def back_off(failures: int) -> timedelta:
    """0, 1, 2, 4 ... 30 seconds: what failed for the first time is started again at once."""
    if failures <= 1:
        return timedelta()
    return min(timedelta(seconds=2 ** min(failures - 2, 10)), _LONGEST_BACK_OFF)


def state_of(part: Part, seen: Seen, all_seen: Mapping[str, Seen], now: datetime) -> tuple[PartState, str | None]:
    """A part's state and, where it is not simply running, why."""
    if seen.pid is not None:
        return _state_of_process(seen, now)
    if seen.exit_code is None:
        waiting = [name for name in part.needs if not all_seen[name].was_ready]
        return PartState.WAITING, f"waits for {', '.join(waiting)}" if waiting else None
    if part.ends and seen.exit_code == 0:
        return PartState.ENDED, "its work is done"
    ended = f"exited with {seen.ended_with or describe(seen.exit_code)}"
    if seen.failures >= HELD_AFTER:
        return PartState.HELD, f"{ended}; held after {seen.failures} failures in a row: `tidegate restart {part.name}`"
    again = back_off(seen.failures).total_seconds()
    return PartState.BACKING_OFF, f"{ended}; starts again {f'within {again:.0f} s' if again else 'at once'}"


def _state_of_process(seen: Seen, now: datetime) -> tuple[PartState, str | None]:
    if seen.is_stopped:
        return PartState.UNRESPONSIVE, f"stopped by a signal; `kill -CONT {seen.pid}` lets it go on"
    if not seen.ready:
        before = f"; it exited with {seen.ended_with} before" if seen.ended_with else ""
        return PartState.STARTING, f"{seen.waits_for or 'waiting for it to answer'}{before}"
    if silent_for(seen, now) > SILENT_AFTER:
        return PartState.UNRESPONSIVE, f"has not answered for {silent_for(seen, now).total_seconds():.0f} s"
    return PartState.RUNNING, seen.waits_for or None


def silent_for(seen: Seen, now: datetime) -> timedelta:
    """How long a process has said nothing."""
    since = seen.heard_at or seen.started_at
    return timedelta() if since is None else now - since


def is_hung(seen: Seen, now: datetime) -> bool:
    """Has a process been silent for too long to wait any further?"""
    return seen.pid is not None and silent_for(seen, now) > (HUNG_AFTER if seen.ready else START_WITHIN)


def to_start(parts: Sequence[Part], seen: Mapping[str, Seen], now: datetime) -> list[Part]:
    """Parts whose time has come."""
    return [part for part in parts if _is_due(part, seen, now)]


def _is_due(part: Part, seen: Mapping[str, Seen], now: datetime) -> bool:
    mine = seen[part.name]
    if mine.pid is not None or (part.ends and mine.exit_code == 0):
        return False
    if mine.failures >= HELD_AFTER:
        return False
    if mine.exited_at is not None:
        return now - mine.exited_at >= back_off(mine.failures)
    return all(seen[name].was_ready for name in part.needs)


def failures_after(seen: Seen) -> int:
    """Failures in a row, counting the exit just seen."""
    ran = seen.ran()
    return 1 if ran is not None and ran >= STEADY_AFTER else seen.failures + 1


def describe(exit_code: int) -> str:
    """An exit code in words."""
    return f"signal {-exit_code}" if exit_code < 0 else f"code {exit_code}"
