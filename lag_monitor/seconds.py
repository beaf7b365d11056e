"""How old is the oldest record that a consumer has not taken, and how sure is that?

By the record's own timestamp. What was read of a partition is kept: records as (offset, timestamp), and stretches of offsets in
which there is nothing that a consumer would get. From these follow, for a position:

- nothing left: all up to the end is such a stretch;
- the record itself: it was read, or the first one after the position was, with nothing in between;
- between two records: where the broker stamps records as it appends them, timestamps only grow with offsets, so the record lies
  between the newest one known before it and the oldest one known after it, or now. The error is half of what these are apart.

Timestamps that producers have set (CreateTime) may go back and forth: between two of them nothing is known, so for these
there is the record itself or nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from controlplane.contract.lag import LagSource

_KEPT = 400
RESOLUTION_S = 0.001
"""Kafka's timestamps are whole milliseconds."""


@dataclass(frozen=True)
class Age:
    """Lag in seconds; the true one is within `error_s`."""

    lag_s: float
    error_s: float
    source: LagSource


@dataclass(frozen=True)
class Mark:
    """A record that was read."""

    offset: int
    timestamp_ms: int


class Marks:
    """What is known of one partition's records.

    Args:
        kept: so many records are remembered; the oldest are forgotten first.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self.grows = False
        """Timestamps grow with offsets: the broker sets them."""
        self._kept = kept
        self._marks: list[Mark] = []
        self._next: dict[int, Mark] = {}
        """Offset that was read from -> the first record at or after it."""
        self._empty: tuple[int, int] | None = None
        """The newest stretch `[from, until)` in which there is nothing to get."""

    def read(self, start: int, found: Mark, *, grows: bool) -> None:
        """The first record at or after `start`."""
        self.grows = grows
        place = bisect_left(self._marks, found.offset, key=_offset)
        if place == len(self._marks) or self._marks[place].offset != found.offset:
            self._marks.insert(place, found)
        self._next[found.offset] = found
        if start != found.offset:
            self._next[start] = found
        del self._marks[: -self._kept]
        while len(self._next) > 2 * self._kept:
            del self._next[next(iter(self._next))]

    def read_nothing(self, start: int, until: int) -> None:
        """Between these offsets there is nothing that a consumer would get."""
        if self._empty is not None and self._empty[0] <= start <= self._empty[1]:
            start = self._empty[0]
        self._empty = (start, max(start, until))

    def forget(self) -> None:
        """Another topic has the name now."""
        self._marks.clear()
        self._next.clear()
        self._empty = None

    def is_empty(self, position: int, end: int) -> bool:
        """Is nothing left for who stands there?"""
        if position >= end:
            return True
        return self._empty is not None and self._empty[0] <= position and end <= self._empty[1]

    def age(self, position: int, end: int, now_ms: float) -> Age | None:
        """Of the oldest record at or after `position`; None when too little is known of the partition."""
        if self.is_empty(position, end):
            return Age(0.0, 0.0, LagSource.CAUGHT_UP)
        found = self._first_after(position)
        if found is not None:
            return Age(max(0.0, (now_ms - found.timestamp_ms) / 1000), RESOLUTION_S, LagSource.RECORD)
        before = self._before(position)
        if before is None or not self.grows:
            return None
        after = self._after(position)
        newest_ms = now_ms if after is None else min(now_ms, after.timestamp_ms)
        oldest_ms = min(before.timestamp_ms, newest_ms)
        middle_ms = (oldest_ms + newest_ms) / 2
        error_s = (newest_ms - oldest_ms) / 2000 + RESOLUTION_S
        return Age(max(0.0, (now_ms - middle_ms) / 1000), error_s, LagSource.BETWEEN)

    def _first_after(self, position: int) -> Mark | None:
        return self._next.get(position)

    def _before(self, position: int) -> Mark | None:
        place = bisect_right(self._marks, position, key=_offset)
        return self._marks[place - 1] if place else None

    def _after(self, position: int) -> Mark | None:
        place = bisect_left(self._marks, position, key=_offset)
        return self._marks[place] if place < len(self._marks) else None


def _offset(mark: Mark) -> int:
    return mark.offset
