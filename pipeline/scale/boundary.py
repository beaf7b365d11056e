"""When does nobody work? The moment between micro-batches, in which an executor can go without being missed.

Micro-batches of several queries and the tables that follow them overlap, so waiting for a moment without any could take for ever.
Whoever needs it holds new work back until what is under way has ended; work waits as long as the longest micro-batch takes.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ASK_EVERY_S = 0.5


class Boundary:
    """Work goes through `working`, what must not meet it through `between`."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._at_work = 0
        self._is_held = False
        self._is_closed = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around each piece of work; waits while somebody is between."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Inside of work, around what waits for somebody else, such as an operator: it may take for ever, and needs no executor."""
        self._end()
        try:
            yield
        finally:
            self._begin()

    def _begin(self) -> None:
        with self._turn:
            self._turn.wait_for(lambda: not self._is_held or self._is_closed)
            self._at_work += 1

    def _end(self) -> None:
        with self._turn:
            self._at_work -= 1
            self._turn.notify_all()

    @contextmanager
    def between(self, within_s: float, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[bool]:
        """Hold work back, and wait for what is under way: True when nobody works.

        Args:
            within_s: not longer than so many seconds.
            is_wanted: asked meanwhile; when it is no more, work goes on at once.
        """
        until = time.monotonic() + within_s
        with self._turn:
            self._is_held = True
            while self._at_work and not self._is_closed and time.monotonic() < until and is_wanted():
                self._turn.wait(_ASK_EVERY_S)
            is_reached = not self._at_work and not self._is_closed
        try:
            yield is_reached
        finally:
            with self._turn:
                self._is_held = False
                self._turn.notify_all()

    def close(self) -> None:
        """Hold nobody back any more: the part ends."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
