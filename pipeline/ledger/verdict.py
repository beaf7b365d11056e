"""Does a stream's account add up?

Counts are read from the end of the way to its beginning, so an event that moves meanwhile can only be missing further
down, never too many there: a surplus is always a fault. A shortfall may be on its way; it is one once nothing has
changed for a while.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from controlplane.contract.facts import LedgerPartition

OVERDUE_AFTER = timedelta(seconds=60)
"""A shortfall that has not changed for so long is no longer called on its way."""
_COLUMNS = ("produced", "valid", "dead", "quarantined", "lake", "serving")


def judge(
    partitions: Sequence[LedgerPartition], unknown: Sequence[str], changed_at: datetime, now: datetime
) -> tuple[Verdict, str]:
    """The verdict and the one sentence that it rests on.

    Args:
        partitions: the counts.
        unknown: why counts are unknown, a sentence each.
        changed_at: when any count last changed.
        now: the time.
    """
    if missing := [column for column in _COLUMNS for each in partitions if getattr(each, column) is None]:
        reason = "; ".join(unknown) or f"not counted: {', '.join(sorted(set(missing)))}"
        return Verdict.UNKNOWN, reason
    if not partitions:
        return Verdict.UNKNOWN, "; ".join(unknown) or "the raw topic has no partitions yet"
    differences = [difference for each in partitions for difference in _differences(each)]
    if surplus := [(name, count) for name, count in differences if count > 0]:
        return Verdict.UNBALANCED, f"counted twice: {_sentence(surplus)}"
    if shortfall := [(name, -count) for name, count in differences if count < 0]:
        waited = now - changed_at
        if waited > OVERDUE_AFTER:
            return (
                Verdict.UNBALANCED,
                f"nothing has moved for {waited.total_seconds():.0f} s, missing: {_sentence(shortfall)}",
            )
        return Verdict.IN_FLIGHT, f"on its way: {_sentence(shortfall)}"
    total = sum(each.produced or 0 for each in partitions)
    return Verdict.BALANCED, f"all {total:,} events produced are accounted for, in the lake and in ClickHouse"


def _differences(each: LedgerPartition) -> Iterator[tuple[str, int]]:
    """Where a count differs from what it should be: positive is too many."""
    produced, valid = each.produced or 0, each.valid or 0
    yield f"routed[{each.partition}]", valid + (each.dead or 0) + (each.quarantined or 0) - produced
    yield f"lake[{each.partition}]", (each.lake or 0) - valid
    yield f"serving[{each.partition}]", (each.serving or 0) - valid


def _sentence(differences: Sequence[tuple[str, int]]) -> str:
    totals: dict[str, int] = {}
    for name, count in differences:
        hop = name.partition("[")[0]
        totals[hop] = totals.get(hop, 0) + count
    return ", ".join(f"{count:,} in {hop}" for hop, count in totals.items())
