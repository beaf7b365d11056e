"""What has a consumer done in one partition lately? A window of samples that verdicts are made from.

Burrow's samples are commits; ours are looks, one a second, at a consumer that may commit all the time or every ten seconds. So
what is kept of a consumer is its *moves*: looks at which its position had changed. Between two moves its lag grows and grows
although all is well, and only what it looks like right after a move says anything. How long its moves are apart while there is
something to take is its *pace*, learnt from the last ones, and the window is as long as several of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

SHORTEST = timedelta(seconds=60)
LONGEST = timedelta(minutes=10)
PACES = 6
"""So many moves at its pace should be in a window."""
_PACES_KEPT = 10
_SLOWEST = timedelta(minutes=2)
"""After a standstill it has not become slow for ever."""
_BLIND = timedelta(seconds=10)
"""After so long without a look nothing is known of the time in between."""
_A_MOMENT = timedelta(seconds=5)
_SEEN_LATE = timedelta(seconds=2)
"""A move is seen so much later than it was made, at most."""
_FIRST_PACE = timedelta(seconds=10)
"""As long as nothing is known: what a consumer that commits for itself takes at most by default, and lake's trigger."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one partition; None where it could not be had, with a reason."""

    at: datetime
    position: int | None
    end: int | None
    low: int | None = None
    """First offset that is still there."""
    is_empty: bool = False
    """There is nothing between position and end, or only what no consumer gets (a transaction's marker)."""
    heard_at: datetime | None = None
    """When the consumer was last heard to be there at all, wherever it stands; None when nobody would know."""
    is_gone: bool = False
    """It is known not to be there: a group without members."""
    retention_s: float | None = None
    """Until the oldest record that it has not taken may be deleted."""
    retained_s: float | None = None
    """For how long the topic keeps records."""
    held_by: str | None = None
    """The operation that holds it: it is to take nothing, and may be set back."""
    reason: str | None = None

    @property
    def left(self) -> int | None:
        """Offsets that it has not taken."""
        if self.is_empty:
            return 0
        if self.position is None or self.end is None:
            return None
        return max(0, self.end - max(self.position, self.low or 0))


@dataclass(frozen=True, slots=True)
class Move:
    """A look at which the position had changed."""

    at: datetime
    came_from: int
    position: int
    left: int
    took_all: bool
    """It has taken everything that was there when it was at work on it: at the move before, or a moment ago."""


class Window:
    """The looks of the last minutes at one partition."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque()
        """Those with a known position and end, of the window's length: a large cluster has many windows."""
        self.moves: deque[Move] = deque()
        self.last: Sample | None = None
        """The newest, known or not."""
        self.waiting_since: datetime | None = None
        """Since when there has been something to take and its position has not changed."""
        self.arrived_at: datetime | None = None
        """When its end last changed, as far as was seen."""
        self.furthest: int | None = None
        """The highest position in the window."""
        self.watched_since: datetime | None = None
        self._paces: deque[timedelta] = deque(maxlen=_PACES_KEPT)

    @property
    def moved_at(self) -> datetime | None:
        """When its position last changed, as far as was seen."""
        return self.moves[-1].at if self.moves else None

    @property
    def pace(self) -> timedelta:
        """How long its moves are apart while there is something to take."""
        return min(max(self._paces), _SLOWEST) if self._paces else _FIRST_PACE

    @property
    def length(self) -> timedelta:
        """How far back is looked."""
        return min(max(SHORTEST, PACES * self.pace), LONGEST)

    def add(self, sample: Sample) -> None:
        """Take a look in. One that knows nothing changes nothing that was known."""
        self.last = sample
        if sample.position is None or sample.end is None:
            return
        before = self.samples[-1] if self.samples else None
        if before is not None and sample.end < (before.end or 0):
            self._forget()  # another topic of the same name
            before = None
        self.watched_since = self.watched_since or sample.at
        if before is not None and before.end != sample.end:
            self.arrived_at = sample.at
        if before is not None and sample.at - before.at > _BLIND:
            self.waiting_since = None  # who cannot be seen is not standing still: mostly nobody could work
        if sample.held_by is not None:
            self.moves.clear()  # where an operation sets it back to, it has not gone by itself
        elif before is not None and before.position != sample.position:
            self._move(sample.at, before.position or 0, sample.position, sample.left or 0)
        self.samples.append(sample)
        self._wait(sample, has_moved=before is None or before.position != sample.position)
        self._trim(sample.at)

    def since(self, at: datetime) -> list[Sample]:
        """The samples from then on."""
        return [each for each in self.samples if each.at >= at]

    def _move(self, at: datetime, came_from: int, position: int, left: int) -> None:
        if self.waiting_since is not None:
            self._paces.append(at - self.waiting_since)
        there = self._was_there(at)
        took_all = left == 0 or (there is not None and position >= there)
        self.moves.append(Move(at, came_from, position, left, took_all))

    def _was_there(self, now: datetime) -> int | None:
        """The end when what has been taken now was begun with: nobody takes what comes in that very moment.

        None when that was before the first look.
        """
        begun = now - _A_MOMENT
        if self.moves:
            begun = min(begun, self.moves[-1].at - _SEEN_LATE)
        return next((each.end for each in reversed(self.samples) if each.at <= begun), None)

    def _wait(self, sample: Sample, *, has_moved: bool) -> None:
        if not sample.left:
            self.waiting_since = None
        elif has_moved or self.waiting_since is None:
            self.waiting_since = sample.at

    def _trim(self, now: datetime) -> None:
        while self.samples[0].at < now - self.length:
            self.samples.popleft()
        # One more than the window holds: the first move in it is judged by what was there at the one before.
        while len(self.moves) > 1 and self.moves[1].at < now - self.length:
            self.moves.popleft()
        self.furthest = max((max(move.came_from, move.position) for move in self.moves), default=None)

    def _forget(self) -> None:
        self.samples.clear()
        self.moves.clear()
        self._paces.clear()
        self.waiting_since = self.furthest = self.watched_since = None
