"""How many events may wait, and how long should who comes too often wait himself? A bounded queue that knows how fast it empties.

Nothing is dropped: what does not fit is refused at once (429), with the time in which what waits now will be gone.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.collector.answers import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.collector.answers import Record

_LONGEST_S = 30
_WEIGHT = 0.2
"""Of the newest measurement of how fast it empties."""


@dataclass(frozen=True)
class Asked:
    """The records of one request, which stay together."""

    records: Sequence[Record]
    answer: Future[None] = field(default_factory=Future)
    """Done when Kafka has them for good; an exception says why it has not."""


class Waiting:
    """Requests that wait for their transaction, and bodies that are held meanwhile; any thread may call."""

    def __init__(self, events: int, held_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._events_at_most, self._bytes_at_most, self._clock = events, held_bytes, clock
        self._queue: deque[Asked] = deque()
        self._changed = threading.Condition()
        self._closed: RefusedError | None = None
        self._events = self._held = 0
        self._rate = 0.0
        self.was_open = False

    @property
    def events(self) -> int:
        """That were taken in and not answered yet."""
        return self._events

    def hold(self, size: int) -> None:
        """Bytes of a body are in memory.

        Raises:
            RefusedError: 429 if there are too many; they do not count then.
        """
        with self._changed:
            if self._held + size > self._bytes_at_most:
                raise self._too_much(f"{self._held} bytes of bodies are held")
            self._held += size

    def let_go(self, size: int) -> None:
        """They are answered."""
        with self._changed:
            self._held -= size

    def require_room(self) -> None:
        """Is it worth reading a body?

        Raises:
            RefusedError: 429 if nothing more may wait, or whatever it was closed with.
        """
        with self._changed:
            if self._closed is not None:
                raise self._closed.anew()
            if self._events >= self._events_at_most:
                raise self._too_much(f"{self._events} events wait already")

    def offer(self, records: Sequence[Record]) -> Future[None]:
        """Let them wait.

        Raises:
            RefusedError: 429 if there are too many with those that wait, or whatever it was closed with.
        """
        with self._changed:
            if self._closed is not None:
                raise self._closed.anew()
            if self._events and self._events + len(records) > self._events_at_most:
                raise self._too_much(f"{self._events} events wait already")
            asked = Asked(records)
            self._queue.append(asked)
            self._events += len(records)
            self._changed.notify_all()
        return asked.answer

    def take(self, at_most: int, linger_s: float, within_s: float) -> list[Asked]:
        """The next requests, together at most so many events unless it is one alone; empty when none came in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._queue, within_s):
                return []
            self._changed.wait_for(lambda: self._events >= at_most, linger_s)
            taken, events = [self._queue.popleft()], 0
            events += len(taken[0].records)
            while self._queue and events + len(self._queue[0].records) <= at_most:
                events += len(self._queue[0].records)
                taken.append(self._queue.popleft())
        return taken

    def done(self, taken: Sequence[Asked], took_s: float, error: RefusedError | None = None) -> None:
        """Answer them: they are kept for good, or they are not."""
        events = sum(len(each.records) for each in taken)
        with self._changed:
            self._events -= events
            if error is None and took_s > 0:
                rate = events / took_s
                self._rate = rate if not self._rate else self._rate + _WEIGHT * (rate - self._rate)
        for each in taken:
            if each.answer.set_running_or_notify_cancel():
                each.answer.set_result(None) if error is None else each.answer.set_exception(error.anew())

    def close(self, error: RefusedError) -> None:
        """Refuse what waits and what comes, until it is opened."""
        with self._changed:
            self._closed = error
            waiting = list(self._queue)
            self._queue.clear()
        self.done(waiting, 0.0, error)

    def open(self) -> None:
        """Take what comes."""
        with self._changed:
            self._closed, self.was_open = None, True

    def _too_much(self, why: str) -> RefusedError:
        seconds = self._events / self._rate if self._rate else 1.0
        after = min(_LONGEST_S, max(1, math.ceil(seconds)))
        return RefusedError(429, f"{why}: send this again in {after} s", retry_after_s=after)
