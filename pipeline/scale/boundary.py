"""When does nobody work? The moment between micro-batches, in which an executor can go without being missed.

Micro-batches of several queries and the tables that follow them overlap, so waiting for a moment without any could take for ever.
Whoever needs it holds new work back until what is under way has ended; work waits for the second that this takes.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        with self._turn:
            self._turn.wait_for(lambda: not self._is_held or self._is_closed)
            self._at_work += 1
        try:
            yield
        finally:
            with self._turn:
                self._at_work -= 1
                self._turn.notify_all()

    @contextmanager
    def between(self, within_s: float) -> Iterator[bool]:
        """Hold work back, and wait for what is under way, but not longer than so many seconds: True when nobody works.

        A micro-batch may wait at its gate for an operator, so waiting without an end would hold all others back.
        """
        with self._turn:
            self._is_held = True
            is_reached = self._turn.wait_for(lambda: not self._at_work or self._is_closed, within_s)
        try:
            yield is_reached and not self._is_closed
        finally:
            with self._turn:
                self._is_held = False
                self._turn.notify_all()

    def close(self) -> None:
        """Hold nobody back any more: the part ends."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
