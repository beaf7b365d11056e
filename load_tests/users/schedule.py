"""Which events are due now? An open loop: what is due does not wait for the answers to what was sent before.

A sender that waits for each answer sends less while the other side is slow, and measures only what it sent: the slow seconds vanish
from its percentiles (Gil Tene's coordinated omission). So each event has a moment at which it is due, and its time runs from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.loads import due_at, due_by

if TYPE_CHECKING:
    from controlplane.contract.loads import Corners


@dataclass(frozen=True)
class Piece:
    """Events `[start, until)` of a run."""

    start: int
    until: int
    due_s: float
    """When the first of them was due, since the start."""

    @property
    def count(self) -> int:
        """How many."""
        return self.until - self.start


class Schedule:
    """What is due, and what has been taken; one thread's own."""

    def __init__(self, corners: Corners, rate: float, most: int) -> None:
        """`most`: pieces of so many events at most."""
        self._corners, self._rate, self._most = corners, rate, most
        self.events = int(rate * due_by(corners, corners[-1][0]))
        self.taken = 0
        self._ended_s = corners[-1][0]

    def end(self, at_s: float) -> None:
        """Nothing is due after that moment, and nothing more is taken: who is stopped now stops with nothing in hand."""
        self._ended_s = min(self._ended_s, at_s)
        self._most = 0

    def due(self, at_s: float) -> int:
        """How many have been due until a moment."""
        return min(self.events, int(self._rate * due_by(self._corners, min(at_s, self._ended_s))))

    def take(self, at_s: float) -> Piece | None:
        """The next ones that are due; None: none is."""
        until = min(self.due(at_s), self.taken + self._most)
        if until <= self.taken:
            return None
        piece = Piece(self.taken, until, due_at(self._corners, (self.taken + 1) / self._rate))
        self.taken = until
        return piece
