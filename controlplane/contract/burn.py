"""Is a promise being broken fast enough to wake somebody?

An error budget is what a service level leaves to go wrong; its burn rate is how many times faster than allowed it is spent.
A rate counts only if it is exceeded over a long window, so that a moment does not wake anybody, and over a short one, so
that it stops soon after the cause has (Google's SRE Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"). What was
not measured is in no window, neither as good nor as bad; with too little in the short one nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BUCKET = timedelta(seconds=30)
KEPT = timedelta(hours=6)
BAD_SECONDS = 0.01
"""Of a service level that is counted in seconds, so large a share may be bad."""
LEAST_SECONDS = 60.0
"""Of one that is counted in seconds: fewer in the short window say nothing."""


@dataclass(frozen=True)
class Pace:
    """A burn rate that is too fast, over its two windows."""

    rate: float
    long: timedelta
    short: timedelta


FAST = Pace(14.4, timedelta(hours=1), timedelta(minutes=5))
SLOW = Pace(6.0, timedelta(hours=6), timedelta(minutes=30))
PACES = (FAST, SLOW)
"""The Workbook's: 2 % of a month's budget in an hour, 5 % in six."""


@dataclass(frozen=True)
class Burning:
    """How a budget is spent."""

    is_known: bool
    pace: Pace | None
    """The first that is exceeded."""
    bad_share: float
    """Of the short window."""


class Budget:
    """What was counted of one promise in the last hours, in buckets of 30 s.

    Args:
        share: of what is counted, so much may be bad.
        least: fewer counted in the short window say nothing.
    """

    def __init__(self, share: float = BAD_SECONDS, least: float = LEAST_SECONDS) -> None:
        self.share, self._least = max(share, 1e-6), least
        self._buckets: dict[float, tuple[float, float]] = {}

    def count(self, at: datetime, bad: float, total: float) -> None:
        """Add what was seen then."""
        start = _start(at)
        if start not in self._buckets:
            self._forget(at)
        before = self._buckets.get(start, (0.0, 0.0))
        self._buckets[start] = (before[0] + bad, before[1] + total)

    def judged(self, now: datetime) -> Burning:
        """Whether it is known, the pace that is exceeded, and the bad share of the short window."""
        bad, total = self.within(now, FAST.short)
        for pace in PACES:
            if all(self._burns(now, window, pace.rate) for window in (pace.long, pace.short)):
                return Burning(True, pace, bad / total if total else 0.0)
        is_known = total >= self._least
        return Burning(is_known, None, bad / total if is_known else 0.0)

    def rate(self, now: datetime, window: timedelta) -> float | None:
        """How many times faster than allowed it is spent; None where too little was counted."""
        bad, total = self.within(now, window)
        return bad / total / self.share if total >= self._least else None

    def within(self, now: datetime, window: timedelta) -> tuple[float, float]:
        """What was bad, and what was counted."""
        since = (now - window).timestamp()
        found = [each for start, each in self._buckets.items() if since <= start]
        return sum(bad for bad, _ in found), sum(total for _, total in found)

    def rows(self, since: datetime) -> list[tuple[float, float, float]]:
        """What a restart should not forget, of the buckets that may have changed since: (start as epoch seconds, bad, total)."""
        return [(start, *each) for start, each in sorted(self._buckets.items()) if start >= _start(since)]

    def restore(self, rows: Iterable[tuple[float, float, float]]) -> None:
        """Take in what an earlier run had counted; what this one has counted itself stands."""
        self._buckets = {**{start: (bad, total) for start, bad, total in rows}, **self._buckets}

    def _burns(self, now: datetime, window: timedelta, rate: float) -> bool:
        bad, total = self.within(now, window)
        return total >= self._least and bad / total > min(rate * self.share, 1.0 - 1e-9)

    def _forget(self, now: datetime) -> None:
        oldest = (now - KEPT).timestamp()
        self._buckets = {start: each for start, each in self._buckets.items() if start >= oldest}


def left(share: float, bad_s: float, days: int) -> float:
    """Of the budget of so many days; below 0 where it is overdrawn.

    The budget is of all the time: what was not measured has spent nothing.
    """
    return 1.0 - bad_s / (share * days * 86_400)


def gone_in_s(budget_left: float, rate: float | None, days: int) -> float | None:
    """Until nothing is left at a rate; None when it never will be, or the rate is not known."""
    if rate is None or rate <= 0:
        return None
    return max(0.0, budget_left) * days * 86_400 / rate


def _start(now: datetime) -> float:
    seconds = now.astimezone(UTC).timestamp()
    return seconds - seconds % BUCKET.total_seconds()
