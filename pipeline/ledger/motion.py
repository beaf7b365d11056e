"""For how long has it been so? What every hop has passed is settled after a while, and what does not move is overdue."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.names import Hop
from pipeline.ledger.verdict import BEFORE, ROUTED
from pipeline.route.tails import MARGIN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipeline.ledger.verdict import PartitionAccount

OVERDUE_AFTER = timedelta(seconds=90)
"""A shortfall of a partition where nothing has moved for so long is no longer called on its way."""
SETTLING = MARGIN
"""What every hop has passed for so long is settled: route writes nothing older any more."""


@dataclass
class Settling:
    """Up to where has each partition been passed for `SETTLING`? It never goes back by itself."""

    until: dict[int, int] = field(default_factory=dict)
    _passed: dict[int, deque[tuple[datetime, int]]] = field(default_factory=dict)

    def saw(self, partition: int, passed: int, now: datetime) -> None:
        """A partition is passed up to an offset, now."""
        waiting = self._passed.setdefault(partition, deque())
        if passed > max(self.until.get(partition, 0), waiting[-1][1] if waiting else 0):
            waiting.append((now, passed))
        while waiting and waiting[0][0] <= now - SETTLING:
            self.until[partition] = waiting.popleft()[1]

    def went_back(self, partition: int, until: int) -> None:
        """The lake was rolled back to what it had: what it had beyond that is on its way again."""
        self._passed.pop(partition, None)
        if until < self.until.get(partition, 0):
            self.until[partition] = until


@dataclass
class Movement:
    """When did each partition's counts last change at each hop?"""

    _seen: dict[tuple[int, Hop], tuple[int | None, datetime]] = field(default_factory=dict)
    _stopped: dict[Hop, datetime] = field(default_factory=dict)
    """When a hop was last seen to be stopped by a gate."""

    def stopped(self, hops: Iterable[Hop], now: datetime) -> None:
        """These stand still because a gate has stopped them."""
        self._stopped |= dict.fromkeys(hops, now)

    def has_fewer(self, account: PartitionAccount, hop: Hop) -> bool:
        """Has a hop fewer events of a partition than when it was seen last?"""
        seen, total = self._seen.get((account.partition, hop)), account.total(hop)
        return seen is not None and seen[0] is not None and total is not None and total < seen[0]

    def saw(self, account: PartitionAccount, now: datetime) -> None:
        """A partition's counts, now."""
        for hop in account.counts:
            seen, total = self._seen.get((account.partition, hop)), account.total(hop)
            if seen is None or (total is not None and total != seen[0]):
                self._seen[account.partition, hop] = (total, now)

    def changed_at(self) -> datetime | None:
        """When any count last changed."""
        return max((at for _, at in self._seen.values()), default=None)

    def overdue(self, now: datetime) -> set[tuple[int, Hop]]:
        """Partition and hop where nothing has moved for `OVERDUE_AFTER`, while the hop went on elsewhere or all stands still.

        A hop that stands still everywhere while others move is behind, and what it has not taken yet is not lost. Neither is
        what a gate has stopped, and for `OVERDUE_AFTER` after it goes on again.
        """
        last = self.changed_at() or now
        still: dict[int, datetime] = {}
        for (partition, _), (_, at) in self._seen.items():
            still[partition] = max(at, still.get(partition, at))
        return {
            (partition, hop)
            for partition, at in still.items()
            for hop in BEFORE
            if (hop not in self._stopped or now - self._stopped[hop] > OVERDUE_AFTER)
            if now - at > OVERDUE_AFTER and (now - last > OVERDUE_AFTER or self._moved(hop) > at + SETTLING)
        }

    def _moved(self, hop: Hop) -> datetime:
        hops = ROUTED if hop is Hop.VALID else (hop,)
        return max(at for (_, each), (_, at) in self._seen.items() if each in hops)
