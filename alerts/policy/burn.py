"""Is a promise being broken fast enough to wake somebody?

An error budget is what a service level leaves to go wrong; its burn rate is how many times faster than allowed it is spent.
A rate counts only if it is exceeded over a long window, so that a moment does not wake anybody, and over a short one, so
that it stops soon after the cause has (Google's SRE Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"). What was
not measured is in no window, neither as good nor as bad; with too little in the short one nothing is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from alerts.incidents import Condition, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUCKET = timedelta(seconds=30)
KEPT = timedelta(hours=6)


@dataclass(frozen=True)
class Pace:
    """A burn rate that is too fast, over its two windows."""

    rate: float
    long: timedelta
    short: timedelta
    severity: Severity


PACES = (
    Pace(14.4, timedelta(hours=1), timedelta(minutes=5), Severity.ERROR),
    Pace(6.0, timedelta(hours=6), timedelta(minutes=30), Severity.WARNING),
)
"""The Workbook's: 2 % of a month's budget in an hour, 5 % in six."""


class Budget:
    """What was counted of one promise in the last hours, in buckets of 30 s.

    Args:
        share: of what is counted, so much may be bad.
        least: fewer counted in the short window say nothing.
    """

    def __init__(self, share: float, least: float) -> None:
        self.share, self._least = max(share, 1e-6), least
        self._buckets: deque[list[float]] = deque()  # [start, bad, total]

    def count(self, now: datetime, bad: float, total: float) -> None:
        """Add what was seen since the last time."""
        start = _start(now)
        if not self._buckets or self._buckets[-1][0] != start:
            self._buckets.append([start, 0.0, 0.0])
        self._buckets[-1][1] += bad
        self._buckets[-1][2] += total
        while self._buckets[0][0] < (now - KEPT).timestamp():
            self._buckets.popleft()

    def judged(self, now: datetime) -> tuple[Condition, Pace | None, float]:
        """How it is, the pace that is exceeded, and the bad share of the short window."""
        short = PACES[0].short
        bad, total = self._within(now, short)
        for pace in PACES:
            if all(self._burns(now, window, pace.rate) for window in (pace.long, pace.short)):
                return Condition.WRONG, pace, bad / total if total else 0.0
        if total < self._least:
            return Condition.UNKNOWN, None, 0.0
        return Condition.WELL, None, bad / total

    def _burns(self, now: datetime, window: timedelta, rate: float) -> bool:
        bad, total = self._within(now, window)
        return total >= self._least and bad / total > min(rate * self.share, 1.0 - 1e-9)

    def _within(self, now: datetime, window: timedelta) -> tuple[float, float]:
        since = (now - window).timestamp()
        found = [each for each in self._buckets if since <= each[0]]
        return sum(each[1] for each in found), sum(each[2] for each in found)

    def rows(self, since: datetime) -> list[tuple[float, float, float]]:
        """What a restart should not forget, of the buckets that may have changed since: (start as epoch seconds, bad, total)."""
        return [(each[0], each[1], each[2]) for each in self._buckets if each[0] >= _start(since)]

    def restore(self, rows: Iterable[tuple[float, float, float]]) -> None:
        """Take in what an earlier run had counted."""
        self._buckets = deque([list(each) for each in sorted(rows)])


def _start(now: datetime) -> float:
    seconds = now.astimezone(UTC).timestamp()
    return seconds - seconds % _BUCKET.total_seconds()
