"""Does a stream's account add up, and if not, in which block of raw offsets?

While events flow the totals never agree, so they say nothing; but a block that every hop has passed is complete, and must
agree to the last event. Which hop has passed a block is what was hard:

- lake and ClickHouse take the valid topic in order, so one event of a later block says that all before it are there;
- route's three outputs are written side by side, so it has passed a block only some time later, by the broker's clock.

Counts are taken from the end of the way to its beginning, so an event that moves meanwhile can only be missing further
down, never too many there: a surplus is always a fault. What is missing in a block that is not passed is on its way, until
nothing has moved for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.facts import LedgerPartition, Mismatch, MismatchKind, Verdict
from controlplane.contract.names import BLOCK, Hop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

ROUTED = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)
BEFORE = {Hop.VALID: Hop.RAW, Hop.LAKE: Hop.VALID, Hop.SERVING: Hop.VALID}
"""Hop -> the hop that it is measured against; `valid` stands for all that route writes."""
_NAMES = {Hop.VALID: "routed", Hop.LAKE: "lake", Hop.SERVING: "serving"}
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class PartitionAccount:
    """One partition's counts."""

    partition: int
    raw_from: int
    raw_until: int
    """Raw offsets `[raw_from, raw_until)` were counted."""
    newest_source: int
    """Highest raw offset that any output has a record of; it may be beyond `raw_until`, which was read at another moment."""
    routed_until: int
    """Raw offset up to which route has written all that it ever will."""
    counts: Mapping[Hop, Mapping[int, int] | None]
    """Hop -> block -> events; None for a hop that could not be counted."""

    def total(self, hop: Hop) -> int | None:
        """Events at a hop."""
        blocks = self.counts[hop]
        return None if blocks is None else sum(blocks.values())

    def row(self, settled_until: int) -> LedgerPartition:
        """As the fact has it."""
        return LedgerPartition(
            partition=self.partition,
            raw_from=self.raw_from,
            raw_until=self.raw_until,
            settled_until=settled_until,
            produced=self.total(Hop.RAW),
            valid=self.total(Hop.VALID),
            dead=self.total(Hop.DEAD),
            quarantined=self.total(Hop.QUARANTINE),
            lake=self.total(Hop.LAKE),
            serving=self.total(Hop.SERVING),
        )


@dataclass(frozen=True)
class Judgement:
    """What the counts say; `faults` are whole blocks, and where to look for the events themselves."""

    verdict: Verdict
    reason: str
    faults: tuple[Mismatch, ...] = ()
    lacking: frozenset[tuple[int, int]] = frozenset()
    """Partition and block of what is on its way, or said to be."""


def judge(  # noqa: PLR0913 (what a verdict rests on)
    accounts: Sequence[PartitionAccount],
    unknown: Sequence[str],
    settled: Mapping[int, int],
    overdue: Collection[tuple[int, Hop]],
    seen: Sequence[Mismatch] = (),
    held: str | None = None,
) -> Judgement:
    """The verdict and the one sentence that it rests on.

    Args:
        accounts: the counts, a partition each.
        unknown: why counts are unknown, a sentence each.
        settled: partition -> raw offset up to which every hop has passed it for long enough.
        overdue: partitions and hops where nothing has moved for so long that what is missing there will not come.
        seen: faults that were seen by themselves, whatever the counts say.
        held: the operation that holds the lake: what is there meanwhile, or is not, is its business.
    """
    if not accounts or any(blocks is None for each in accounts for blocks in each.counts.values()):
        return Judgement(Verdict.UNKNOWN, "; ".join(unknown) or "the raw topic has not been counted yet")
    uneven = [(each, hop, block, by) for each in accounts for hop, block, by in _uneven(each)]
    faults = [
        _fault(each, hop, block, by)
        for each, hop, block, by in uneven
        if (_is_sure(each, hop, block) if by > 0 else _is_lost(each, hop, block, settled, overdue))
    ]
    counted = {_place(each) for each in faults}
    faults += [each for each in seen if _place(each) not in counted]
    if held is not None:
        faults = [each for each in faults if each.hop is not Hop.LAKE]
    lacking = frozenset((each.partition, block) for each, _, block, by in uneven if by < 0)
    if faults:
        return Judgement(Verdict.UNBALANCED, sentence(faults), tuple(faults), lacking)
    produced = sum(each.total(Hop.RAW) or 0 for each in accounts)
    if uneven:
        why = "" if held is None else f"; the lake is held by operation {held}"
        return Judgement(Verdict.IN_FLIGHT, f"{_on_the_way(accounts, produced, settled, uneven)}{why}", lacking=lacking)
    return Judgement(
        Verdict.BALANCED, f"all {produced:,} events produced are accounted for, in the lake and in ClickHouse"
    )


def passed_until(account: PartitionAccount) -> int:
    """Raw offset up to which every hop has passed; what is below will not change any more, or is a fault."""
    return min(_passed_by(account, hop) for hop in BEFORE)


def newest_block(account: PartitionAccount, hop: Hop) -> int:
    """First raw offset of the newest block of which a hop has an event: it takes them in order, and has all before it."""
    return BLOCK * max(account.counts[hop] or {}, default=0)


def sentence(mismatches: Sequence[Mismatch]) -> str:
    """What does not add up: how much of what, and where the first of it is."""
    kinds = {MismatchKind.DOUBLED: "counted twice", MismatchKind.MISSING: "missing"}
    said = [
        f"{word}: {_amounts(mine)}"
        for kind, word in kinds.items()
        if (mine := [each for each in mismatches if each.kind is kind])
    ]
    return "; ".join(said)


def _passed_by(account: PartitionAccount, hop: Hop) -> int:
    found, wanted = _blocks(account, hop), account.counts[BEFORE[hop]] or {}
    is_read = hop is not Hop.VALID or account.newest_source < account.raw_until
    if is_read and sum(found.values()) == sum(wanted.values()):
        return account.raw_until
    return account.routed_until if hop is Hop.VALID else newest_block(account, hop)


def _blocks(account: PartitionAccount, hop: Hop) -> Mapping[int, int]:
    """Events of a hop by block; `valid` stands for all that route writes."""
    if hop is not Hop.VALID:
        return account.counts[hop] or {}
    routed = dict(account.counts[Hop.VALID] or {})
    for other in (Hop.DEAD, Hop.QUARANTINE):
        for block, events in (account.counts[other] or {}).items():
            routed[block] = routed.get(block, 0) + events
    return routed


def _uneven(account: PartitionAccount) -> Iterator[tuple[Hop, int, int]]:
    """Hop, block and by how much it differs from the hop before; positive is too many."""
    for hop, before in BEFORE.items():
        found, wanted = _blocks(account, hop), account.counts[before] or {}
        for block in sorted({block for block, _ in found.items() ^ wanted.items()}):
            if by := found.get(block, 0) - wanted.get(block, 0):
                yield hop, block, by


def _is_sure(account: PartitionAccount, hop: Hop, block: int) -> bool:
    """May a surplus not be events whose raw records were not read yet?"""
    read = account.newest_source < account.raw_until or (block + 1) * BLOCK <= account.raw_until
    return read or hop is not Hop.VALID


def _is_lost(
    account: PartitionAccount,
    hop: Hop,
    block: int,
    settled: Mapping[int, int],
    overdue: Collection[tuple[int, Hop]],
) -> bool:
    end = min((block + 1) * BLOCK, account.raw_until)
    return settled.get(account.partition, 0) >= end or (account.partition, hop) in overdue


def _fault(account: PartitionAccount, hop: Hop, block: int, by: int) -> Mismatch:
    return Mismatch(
        partition=account.partition,
        hop=hop,
        kind=MismatchKind.DOUBLED if by > 0 else MismatchKind.MISSING,
        start=max(block * BLOCK, 0),
        until=(block + 1) * BLOCK,
        events=abs(by),
    )


def _place(fault: Mismatch) -> tuple[int, int, Hop, MismatchKind]:
    return (fault.partition, fault.start // BLOCK, fault.hop, fault.kind)


def _amounts(mismatches: Sequence[Mismatch]) -> str:
    totals: dict[Hop, int] = {}
    for each in mismatches:
        totals[each.hop] = totals.get(each.hop, 0) + each.events
    amounts = ", ".join(f"{events:,} in {_NAMES[hop]}" for hop, events in totals.items())
    places = list(dict.fromkeys(f"raw[{each.partition}] {_span(each)}" for each in mismatches))
    more = len(places) - _NAMED_AT_MOST
    return f"{amounts} ({', '.join(places[:_NAMED_AT_MOST])}{f' and {more} more places' if more > 0 else ''})"


def _span(each: Mismatch) -> str:
    if each.until <= each.start:
        return "no raw record"
    last = each.until - 1
    return f"offset {each.start:,}" if last <= each.start else f"offsets {each.start:,} to {last:,}"


def _on_the_way(
    accounts: Sequence[PartitionAccount],
    produced: int,
    settled: Mapping[int, int],
    uneven: Sequence[tuple[PartitionAccount, Hop, int, int]],
) -> str:
    missing: dict[tuple[int, Hop], int] = {}
    for account, hop, _, by in uneven:
        missing[account.partition, hop] = missing.get((account.partition, hop), 0) - min(by, 0)
    to_go = sum(
        missing.get((each.partition, Hop.VALID), 0)
        + max(missing.get((each.partition, Hop.LAKE), 0), missing.get((each.partition, Hop.SERVING), 0))
        for each in accounts
    )
    by_hop = {hop: sum(count for (_, at), count in missing.items() if at is hop) for hop in BEFORE}
    where = ", ".join(f"{count:,} in {_NAMES[hop]}" for hop, count in by_hop.items() if count)
    done = sum(_settled_events(each, settled.get(each.partition, 0)) for each in accounts)
    return (
        f"{max(0, produced - to_go):,} events accounted for, {done:,} of them settled; "
        f"{to_go:,} on their way{f' (not yet: {where})' if where else ''}"
    )


def _settled_events(account: PartitionAccount, until: int) -> int:
    if until >= account.raw_until:
        return account.total(Hop.RAW) or 0
    return sum(events for block, events in (account.counts[Hop.RAW] or {}).items() if (block + 1) * BLOCK <= until)
