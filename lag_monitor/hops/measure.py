"""How far behind is a hop, in events and in seconds?

Two counters that only grow: what the hop before has, and what this one has. The vertical distance of their curves is the
lag in events. The horizontal one is the lag in seconds: how long ago the hop before had as few as this one has now. Its
error is the time between two samples. A counter that could not be read is None, and so is whatever rests on it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

RATE_OVER_S = 5.0
_KEPT = 600


@dataclass
class Curve:
    """A counter's samples of the last ten minutes, as (when, count)."""

    samples: deque[tuple[datetime, int]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    grew_at: datetime | None = None

    def add(self, at: datetime, count: int | None) -> None:
        """Take a sample; an unknown count breaks the curve, so that no rate is drawn across the gap."""
        if count is None:
            self.samples.clear()
            return
        if self.samples and count < self.samples[-1][1]:
            self.samples.clear()
        if self.samples and count > self.samples[-1][1]:
            self.grew_at = at
        self.samples.append((at, count))

    @property
    def count(self) -> int | None:
        """The newest count."""
        return self.samples[-1][1] if self.samples else None

    def rate(self) -> float | None:
        """Events a second over the last seconds; None with fewer than two samples."""
        if len(self.samples) < 2:  # noqa: PLR2004 (a slope needs two points)
            return None
        newest_at, newest = self.samples[-1]
        since = [sample for sample in self.samples if (newest_at - sample[0]).total_seconds() <= RATE_OVER_S]
        at, count = since[0] if len(since) > 1 else self.samples[-2]
        return (newest - count) / (newest_at - at).total_seconds()

    def passed_at(self, count: int) -> datetime | None:
        """When the counter first was seen above a count; None when it is not, or was before the curve began."""
        if not self.samples or self.samples[-1][1] <= count or self.samples[0][1] > count:
            return None
        return next(at for at, seen in self.samples if seen > count)


def lag_events(before: Curve, here: Curve) -> int | None:
    """Events that the hop before has and this one has not; the two are read at slightly different times, never below 0."""
    if before.count is None or here.count is None:
        return None
    return max(0, before.count - here.count)


def lag_seconds(before: Curve, here: Curve, now: datetime) -> float | None:
    """Age of the oldest event that this hop has not taken; 0 when there is none; None when the curve is too short."""
    behind = lag_events(before, here)
    if behind is None or here.count is None:
        return None
    if behind == 0:
        return 0.0
    passed = before.passed_at(here.count)
    return None if passed is None else max(0.0, (now - passed).total_seconds())
