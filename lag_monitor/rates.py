"""How fast does a consumer take records, how fast do they arrive, and when will nothing be left?

Over the window. What is taken is measured from move to move, because between two moves of a consumer that commits every ten
seconds nothing seems to happen; once it stands still, over all that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lag_monitor.verdict import patience

if TYPE_CHECKING:
    from datetime import datetime

    from lag_monitor.verdict import Judged
    from lag_monitor.window import Window

_LEAST_S = 3.0
"""Over less than that no rate is told."""
_LEAST_MOVES = 4
_TAKES_ALL = (2, 7)
"""Rules of those who need only their next move."""


@dataclass(frozen=True)
class Rates:
    """Offsets a second; None when unknown."""

    taken_per_s: float | None
    arriving_per_s: float | None


def rates(window: Window, now: datetime) -> Rates:
    """Of the window that ends now."""
    looked = window.since(now - window.length)
    if len(looked) < 2 or window.last is not looked[-1]:  # noqa: PLR2004 (a slope needs two points)
        return Rates(None, None)
    first, last = looked[0], looked[-1]
    seconds = (last.at - first.at).total_seconds()
    if seconds < _LEAST_S:
        return Rates(None, None)
    arriving = ((last.end or 0) - (first.end or 0)) / seconds
    moves = [move for move in window.moves if move.at >= first.at]
    stands = window.waiting_since is not None and now - window.waiting_since > patience(window)
    if len(moves) >= _LEAST_MOVES and not stands and last.left:
        between = (moves[-1].at - moves[0].at).total_seconds()
        return Rates(max(0.0, (moves[-1].position - moves[0].position) / between), arriving)
    return Rates(max(0.0, ((last.position or 0) - (first.position or 0)) / seconds), arriving)


def catch_up_s(window: Window, judged: Judged, speed: Rates) -> float | None:
    """Until nothing is left; None when it never will be, or that is unknown.

    0 when nothing is left, a move of who takes all with each, else what is left at these rates.
    """
    last = window.last
    if last is None or last.left is None:
        return None
    if last.left == 0:
        return 0.0
    if judged.rule in _TAKES_ALL:
        return window.pace.total_seconds()
    if speed.taken_per_s is None or speed.arriving_per_s is None or speed.taken_per_s <= speed.arriving_per_s:
        return None
    return last.left / (speed.taken_per_s - speed.arriving_per_s)
