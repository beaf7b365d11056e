"""What is to be done so that a part has as many executors as are wanted? Pure: the clock is a parameter.

More are asked for at once. Fewer take two steps: the cluster is told at once that it need not replace any, and those that are too
many end between two micro-batches (`boundary`), when nothing is lost but what can be computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.scale.target import Executor

ASK_AGAIN = timedelta(seconds=5)
"""A cluster that has not given what it was asked for may have forgotten it: a master that was started again does."""
GOES_WITHIN = timedelta(seconds=30)
"""An executor that is told to end does so in this time; else it is told again."""


@dataclass(frozen=True)
class Asked:
    """What the cluster was told last."""

    executors: int
    at: datetime


@dataclass(frozen=True)
class Act:
    """What is to be done now."""

    ask: int | None = None
    """Tell the cluster how many in all."""
    let_go: tuple[str, ...] = ()
    """These, as soon as a boundary is reached."""
    waits_for: str | None = None
    """Why there are not as many as are wanted."""


def within(wanted: int | None, least: int, most: int) -> int:
    """What to go for: what is wanted, as far as the cluster may give it; the least while nobody has said."""
    return min(max(wanted if wanted is not None else least, least), most)


def decide(have: Sequence[Executor], want: int, asked: Asked | None, going: frozenset[str], now: datetime) -> Act:
    """The next step towards `want` executors.

    Args:
        have: registered now.
        want: how many there should be.
        asked: what the cluster was told last; None at the start.
        going: executors that were told to end, and may be there for a while.
        now: the clock.
    """
    is_settled = len(have) == want and not going
    is_told = asked is not None and asked.executors == want
    is_due = asked is None or not is_told or (not is_settled and now - asked.at >= ASK_AGAIN)
    ask = want if is_due else None
    staying = [each for each in have if each.id not in going]
    surplus = _least_missed(staying)[: max(0, len(staying) - want)]
    return Act(ask, tuple(each.id for each in surplus), _waits_for(len(have), want, len(surplus), len(going)))


def _least_missed(executors: Sequence[Executor]) -> list[Executor]:
    """Those that hold least first, and of these the youngest: the oldest have compiled what they run."""
    return sorted(executors, key=lambda each: (each.held_bytes, -each.age))


def _waits_for(have: int, want: int, surplus: int, going: int) -> str | None:
    if have < want:
        return f"{have} of {want} executors have registered with the driver"
    if surplus:
        return f"{surplus} executors are too many; they end between two micro-batches"
    if going:
        return f"{going} executors are ending"
    return None
