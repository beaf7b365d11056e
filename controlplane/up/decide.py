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


def back_off(failures: int) -> timedelta:
    """1, 2, 4 ... 30 seconds."""
    doublings = min(max(0, failures - 1), 10)
    return min(timedelta(seconds=2**doublings), _LONGEST_BACK_OFF)


def state_of(part: Part, seen: Seen, all_seen: Mapping[str, Seen]) -> tuple[PartState, str | None]:
    """A part's state and, where it is not simply running, why."""
    if seen.pid is not None:
        if seen.ready:
            return PartState.RUNNING, None
        return PartState.STARTING, "waiting for it to answer"
    if seen.exit_code is None:
        waiting = [name for name in part.needs if not all_seen[name].was_ready]
        return PartState.WAITING, f"waits for {', '.join(waiting)}" if waiting else None
    if part.ends and seen.exit_code == 0:
        return PartState.ENDED, "its work is done"
    return PartState.BACKING_OFF, (
        f"exited with {_describe(seen.exit_code)}; starts again within {back_off(seen.failures).total_seconds():.0f} s"
    )


def to_start(parts: Sequence[Part], seen: Mapping[str, Seen], now: datetime) -> list[Part]:
    """Parts whose time has come."""
    return [part for part in parts if _is_due(part, seen, now)]


def _is_due(part: Part, seen: Mapping[str, Seen], now: datetime) -> bool:
    mine = seen[part.name]
    if mine.pid is not None or (part.ends and mine.exit_code == 0):
        return False
    if mine.exited_at is not None:
        return now - mine.exited_at >= back_off(mine.failures)
    return all(seen[name].was_ready for name in part.needs)


def failures_after(seen: Seen) -> int:
    """Failures in a row, counting the exit just seen."""
    ran = seen.ran()
    return 1 if ran is not None and ran >= STEADY_AFTER else seen.failures + 1


def _describe(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"code {exit_code}"
