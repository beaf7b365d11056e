"""What of a loss where few events come? Its block may take days to fill, and until then the counts prove nothing.

So a block that has lacked events for minutes without once adding up is looked into, as far as every hop has passed inside
it. What is missing there twice, half a minute apart, is lost. On a busy partition a block is full before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from controlplane.contract.facts import Mismatch

    Place = tuple[int, int]

LACKING_FOR = timedelta(minutes=3)
"""After so long without adding up once, a block is looked into, and again as often."""
CONFIRM_AFTER = timedelta(seconds=30)
"""What a look misses is looked for once more, after this."""


@dataclass
class _Lacking:
    look_at: datetime
    missed: tuple[Mismatch, ...] = ()
    lost: tuple[Mismatch, ...] = ()


@dataclass
class Trickle:
    """The open blocks that lack events: partition and block."""

    _lacking: dict[Place, _Lacking] = field(default_factory=dict)

    def saw(self, places: Collection[Place], now: datetime) -> None:
        """These blocks lack events now, and no others."""
        self._lacking = {place: self._lacking.get(place, _Lacking(now + LACKING_FOR)) for place in sorted(places)}

    def due(self, now: datetime) -> Place | None:
        """The block to look into now."""
        return next((place for place, each in self._lacking.items() if each.look_at <= now), None)

    def looked(self, place: Place, missed: Sequence[Mismatch] | None, now: datetime) -> None:
        """What a look has missed; None when it failed."""
        lacking = self._lacking[place]
        found = {_identity(each) for each in missed or ()}
        if missed is not None:
            lacking.lost = tuple(each for each in lacking.missed if _identity(each) in found)
            lacking.missed = tuple(missed)
        lacking.look_at = now + (CONFIRM_AFTER if found and not lacking.lost else LACKING_FOR)

    def lost(self) -> list[Mismatch]:
        """What was missed twice."""
        return [mismatch for each in self._lacking.values() for mismatch in each.lost]


def _identity(each: Mismatch) -> tuple[object, ...]:
    return (each.hop, each.kind, each.start, each.until)
