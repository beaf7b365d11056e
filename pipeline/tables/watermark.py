"""How far has event time come? Up to where no more events are expected, but late ones.

A window may close once the watermark has passed its end. The slowest source partition decides, as in Flink, but one that has
been idle does not hold up the others, and an event dated after its arrival counts as of its arrival: one producer whose clock
runs ahead would close everyone's windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

IDLE_MS = 60_000
"""A partition whose newest event was taken so long before the newest of all is idle."""


@dataclass(frozen=True)
class Newest:
    """The newest of a source partition's events."""

    offset: int
    event_ms: int
    """Latest event time, or arrival where that is earlier; epoch milliseconds."""
    raw_ms: int
    """When the raw topic took the newest."""

    def and_then(self, later: Newest) -> Newest:
        """With further events."""
        return Newest(
            max(self.offset, later.offset), max(self.event_ms, later.event_ms), max(self.raw_ms, later.raw_ms)
        )


def joined(before: Mapping[int, Newest], added: Mapping[int, Newest]) -> dict[int, Newest]:
    """Both, by partition."""
    return {
        partition: before[partition].and_then(added[partition])
        if partition in before and partition in added
        else (added.get(partition) or before[partition])
        for partition in before.keys() | added.keys()
    }


def watermark(seen: Mapping[int, Newest], lateness: timedelta) -> int | None:
    """Epoch second before which no event is expected any more; None while there is none at all."""
    if not seen:
        return None
    newest = max(each.raw_ms for each in seen.values())
    active = [each.event_ms for each in seen.values() if each.raw_ms >= newest - IDLE_MS]
    return int((min(active) - lateness.total_seconds() * 1000) // 1000)
