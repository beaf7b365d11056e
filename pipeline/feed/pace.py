"""When is the next event of a feed due?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.feed.event import FeedEvent


@dataclass(frozen=True)
class ByRate:
    """So many events a second, from the first position on; 0 is as fast as can be."""

    events_per_s: float
    first: int

    def due_s(self, event: FeedEvent) -> float:
        """Seconds after the start."""
        return (event.position - self.first) / self.events_per_s if self.events_per_s else 0.0


@dataclass(frozen=True)
class ByEventTime:
    """In event time: an event that happened an hour after the first is due an hour after it, divided by `speed`."""

    field: str
    first_at: datetime
    speed: float
    """Event time seconds in a second; 0 is as fast as can be."""

    def due_s(self, event: FeedEvent) -> float:
        """Seconds after the start."""
        passed: float = (event.value[self.field] - self.first_at).total_seconds()
        return passed / self.speed if self.speed else 0.0
