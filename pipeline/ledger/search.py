"""Which events are they? One block that does not add up is read at every hop, and compared offset by offset.

Missing and doubled offsets are merged into ranges. Only raw offsets that hold an event count for that: a commit marker
between two lost events does not make two ranges of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from controlplane.contract.facts import LedgerRecord, Mismatch, MismatchKind
from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger.verdict import BEFORE, ROUTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

MISMATCHES_AT_MOST = 10
RECORDS_AT_MOST = 20
"""In a fact, over all its mismatches."""


@dataclass(frozen=True)
class RawRecord:
    """A record of the raw topic."""

    offset: int
    at: datetime
    key: bytes | None
    value: bytes | None


class BlockSource(Protocol):
    """Reads one block of raw offsets at each hop."""

    def raw_since(self, partition: int) -> int:
        """First raw offset that the topic still has."""

    def raw(self, partition: int, block: int) -> Sequence[RawRecord]:
        """Its events, ascending."""

    def found(self, hop: Hop, partition: int, block: int) -> Mapping[int, int]:
        """How often a hop after raw has each of its offsets."""

    def routed_until(self, partition: int, block: int) -> int:
        """Raw offset up to which, inside the block, route has written all that it ever will."""


@dataclass
class FakeBlockSource:
    """A block in memory."""

    records: list[RawRecord]
    hops: dict[Hop, list[int]] = field(default_factory=dict)
    partition: int = 0
    since: int = 0
    routed: int = 0

    def raw_since(self, partition: int) -> int:
        """See `BlockSource`."""
        return self.since if partition == self.partition else 0

    def raw(self, partition: int, block: int) -> Sequence[RawRecord]:
        """See `BlockSource`."""
        mine = self.records if partition == self.partition else []
        return [each for each in mine if each.offset >= self.since and each.offset // BLOCK == block]

    def found(self, hop: Hop, partition: int, block: int) -> Mapping[int, int]:
        """See `BlockSource`."""
        mine = self.hops.get(hop, []) if partition == self.partition else []
        return Counter(each for each in mine if each // BLOCK == block)

    def routed_until(self, partition: int, block: int) -> int:
        """See `BlockSource`."""
        return max(self.routed, block * BLOCK) if partition == self.partition else 0


@dataclass(frozen=True)
class Bounds:
    """What may be called missing."""

    before: int | None
    """Raw offsets below this: what is above may be on its way. None: as far as every hop has passed inside the block."""
    raw_since: int
    """First raw offset that the topic still has."""
    served_since: datetime
    """In ClickHouse, events that the raw topic took since then: older ones have been dropped there."""


@dataclass(frozen=True)
class Searched:
    """What a search found out."""

    mismatches: tuple[Mismatch, ...]
    raw: Mapping[int, RawRecord]
    found: Mapping[Hop, Mapping[int, int]]
    expired: int = 0
    """Events of the block that ClickHouse no longer keeps, so that they could not be looked for."""

    def record(self, offset: int, payload: tuple[str, bool]) -> LedgerRecord:
        """A raw record as people read it, with what every hop has of it."""
        raw = self.raw[offset]
        return LedgerRecord(
            offset=offset,
            at=raw.at,
            key=None if raw.key is None else raw.key.decode("utf-8", "backslashreplace"),
            found={hop: counts.get(offset, 0) for hop, counts in self.found.items()},
            payload=payload[0],
            is_decoded=payload[1],
        )

    def offsets(self, mismatch: Mismatch) -> Iterator[int]:
        """The raw records of a mismatch that are still there."""
        return (offset for offset in self.raw if mismatch.start <= offset < mismatch.until)


def search(source: BlockSource, partition: int, block: int, bounds: Bounds) -> Searched:
    """Compare a block at every hop.

    Raises:
        Whatever the source raises.
    """
    raw = {each.offset: each for each in source.raw(partition, block)}
    found = {hop: source.found(hop, partition, block) for hop in (*ROUTED, Hop.LAKE, Hop.SERVING)}
    expired = {offset for offset, each in raw.items() if each.at < bounds.served_since}
    if bounds.before is None:
        passed = (max(found[hop], default=0) for hop in (Hop.LAKE, Hop.SERVING))
        bounds = replace(bounds, before=min(source.routed_until(partition, block), *passed))
    offsets = sorted({*raw, *(offset for counts in found.values() for offset in counts)})
    mismatches = [
        each
        for hop in BEFORE
        for each in _compared(partition, hop, offsets, _surplus(hop, raw, found, expired, bounds))
    ]
    return Searched(tuple(mismatches), raw, found, len(expired))


def _surplus(
    hop: Hop, raw: Mapping[int, RawRecord], found: Mapping[Hop, Mapping[int, int]], expired: set[int], bounds: Bounds
) -> dict[int, int]:
    """Offset -> by how much a hop has it too often; negative for what is missing."""
    here: Mapping[int, int] = (
        sum((Counter(found[each]) for each in ROUTED), Counter()) if hop is Hop.VALID else found[hop]
    )
    # Of raw records that retention has taken nothing is known but that there was one each.
    taken = (offset for offset in here if offset < bounds.raw_since)
    before = dict.fromkeys([*raw, *taken], 1) if hop is Hop.VALID else found[BEFORE[hop]]
    hidden = expired if hop is Hop.SERVING else set()
    differs = {each: here.get(each, 0) - before.get(each, 0) for each in {*before, *here}}
    return {
        each: by
        for each, by in differs.items()
        if by > 0 or (by < 0 and each < (bounds.before or 0) and each not in hidden)
    }


def _compared(partition: int, hop: Hop, offsets: Sequence[int], surplus: Mapping[int, int]) -> Iterator[Mismatch]:
    """Neighbours of the same kind as one."""

    def kind(offset: int) -> MismatchKind | None:
        by = surplus.get(offset, 0)
        return None if by == 0 else MismatchKind.DOUBLED if by > 0 else MismatchKind.MISSING

    for found, run in groupby(offsets, kind):
        if found is not None:
            these = list(run)
            yield Mismatch(
                partition=partition,
                hop=hop,
                kind=found,
                start=these[0],
                until=these[-1] + 1,
                events=sum(abs(surplus[each]) for each in these),
            )
