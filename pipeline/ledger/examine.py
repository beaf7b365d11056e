"""Which events does an account that does not add up speak of? Each faulty block is searched once, and again if it changes.

A search reads a block at every hop, so it is bounded: two a beat, ten in all, and one that failed waits before the next.
Until a block was searched, and where nothing more can be found out, what the counts say of the whole block stands.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import Mismatch, MismatchKind
from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger.search import MISMATCHES_AT_MOST, RECORDS_AT_MOST, Bounds, search
from pipeline.ledger.verdict import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from pipeline.ledger.search import BlockSource, Searched

    Place = tuple[int, int]

_AT_ONCE = 2
_AGAIN_AFTER = timedelta(seconds=10)
_EXPIRY_MARGIN = timedelta(hours=1)
"""ClickHouse drops events when it comes to it: shortly before they expire they are no longer looked for."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explained:
    """What does not add up, as exactly as it is known."""

    mismatches: tuple[Mismatch, ...]
    reason: str
    in_order: tuple[Place, ...] = ()
    """Partition and block of records that were only out of order: the block has each event once."""


@dataclass(frozen=True)
class _Result:
    asked: tuple[object, ...]
    """What the search was for; another question is another search."""
    at: datetime
    exact: tuple[Mismatch, ...] | None
    """None when the search failed."""
    note: str = ""


class Examiner:
    """Searches blocks and remembers what it found.

    Args:
        open_source: where blocks are read; opened for a beat's searches and closed after.
        payload: a record's value as text, and whether it was decoded.
        served_for: how long ClickHouse keeps events.
    """

    def __init__(
        self,
        open_source: Callable[[], AbstractContextManager[BlockSource]],
        payload: Callable[[bytes | None], tuple[str, bool]],
        served_for: timedelta,
    ) -> None:
        self._open_source = open_source
        self._payload = payload
        self._served_for = served_for
        self._results: dict[Place, _Result] = {}

    def explain(self, faults: Sequence[Mismatch], before: Mapping[int, int], now: datetime) -> Explained:
        """Search what was not searched yet, and say what is known.

        Args:
            faults: what the counts say, whole blocks.
            before: partition -> raw offset from which on an event may still be on its way.
            now: the time.
        """
        by_block: dict[Place, list[Mismatch]] = {}
        for each in faults:
            by_block.setdefault((each.partition, each.start // BLOCK), []).append(each)
        self._results = {place: result for place, result in self._results.items() if place in by_block}
        self._search(
            {place: _question(place, mine, before) for place, mine in _searchable(by_block).items()}, before, now
        )
        known = {place: _refined(mine, self._results.get(place)) for place, mine in by_block.items()}
        mismatches = [each for mine in known.values() for each in mine]
        notes = dict.fromkeys(result.note for result in self._results.values() if result.note)
        return Explained(
            _shortened(mismatches),
            "; ".join([sentence(mismatches), *notes]),
            tuple(each for each in known if not known[each]),
        )

    def look_into(self, place: Place, now: datetime) -> tuple[Mismatch, ...] | None:
        """What is missing in an open block, as far as every hop has passed inside it; None when it could not be read."""
        try:
            with self._open_source() as source:
                found = search(source, *place, self._bounds(source, place, None, now))
        except Exception as error:  # noqa: BLE001 (whatever keeps us from it, it is looked into again)
            _log.warning("block %s could not be looked into: %s: %s", place, type(error).__name__, error)
            return None
        return tuple(self._with_records(found, each) for each in found.mismatches if each.kind is MismatchKind.MISSING)

    def _search(self, questions: Mapping[Place, tuple[object, ...]], before: Mapping[int, int], now: datetime) -> None:
        due = [place for place, asked in questions.items() if self._is_due(place, asked, now)][:_AT_ONCE]
        if not due:
            return
        try:
            with self._open_source() as source:
                for place in due:
                    self._results[place] = self._searched(source, place, questions[place], before, now)
        except Exception as error:  # noqa: BLE001 (what the counts say stands, whatever keeps us from looking closer)
            _log.warning("blocks %s could not be searched: %s: %s", due, type(error).__name__, error)
            for place in due:
                failed = _Result(questions[place], now, None, "a search for the events failed")
                self._results[place] = replace(self._results.get(place, failed), at=now)

    def _is_due(self, place: Place, asked: tuple[object, ...], now: datetime) -> bool:
        result = self._results.get(place)
        if result is None:
            return True
        return (result.asked != asked or result.exact is None) and now - result.at > _AGAIN_AFTER

    def _searched(
        self, source: BlockSource, place: Place, asked: tuple[object, ...], before: Mapping[int, int], now: datetime
    ) -> _Result:
        found = search(source, *place, self._bounds(source, place, before.get(place[0], 0), now))
        exact = tuple(self._with_records(found, each) for each in found.mismatches[:MISMATCHES_AT_MOST])
        note = f"{found.expired:,} of the events are older than what ClickHouse keeps, and were not looked for there"
        is_asked = any(each[0] is Hop.SERVING for each in asked if isinstance(each, tuple))
        return _Result(asked, now, exact, note if found.expired and is_asked else "")

    def _bounds(self, source: BlockSource, place: Place, before: int | None, now: datetime) -> Bounds:
        return Bounds(before, source.raw_since(place[0]), now - self._served_for + _EXPIRY_MARGIN)

    def _with_records(self, found: Searched, mismatch: Mismatch) -> Mismatch:
        offsets = [offset for offset, _ in zip(found.offsets(mismatch), range(RECORDS_AT_MOST), strict=False)]
        records = tuple(found.record(each, self._payload(found.raw[each].value)) for each in offsets)
        return mismatch.model_copy(update={"records": records})


def _searchable(by_block: Mapping[Place, list[Mismatch]]) -> dict[Place, list[Mismatch]]:
    """The first ones; a record that route did not write lies in no block."""
    named = [(place, mine) for place, mine in by_block.items() if any(each.until > each.start for each in mine)]
    return dict(named[:MISMATCHES_AT_MOST])


def _question(place: Place, faults: Sequence[Mismatch], before: Mapping[int, int]) -> tuple[object, ...]:
    partition, block = place
    end = min(before.get(partition, 0), (block + 1) * BLOCK)
    return (end, *((each.hop, each.kind, each.events, each.start) for each in faults))


def _refined(faults: Sequence[Mismatch], result: _Result | None) -> list[Mismatch]:
    """What a search found, and of the rest what the counts say."""
    if result is None or result.exact is None:
        return list(faults)
    found = {(each.hop, each.kind) for each in result.exact}
    rest = [each for each in faults if (each.hop, each.kind) not in found and not _is_of_order(each)]
    return [*result.exact, *rest]


def _is_of_order(fault: Mismatch) -> bool:
    """Does it rest on the order of one record rather than on the counts of a block?"""
    return fault.kind is MismatchKind.DOUBLED and fault.until - fault.start == 1


def _shortened(mismatches: Sequence[Mismatch]) -> tuple[Mismatch, ...]:
    """As many mismatches and records as a fact carries, the records fairly shared."""
    first = mismatches[:MISMATCHES_AT_MOST]
    share = max(1, RECORDS_AT_MOST // max(1, len(first)))
    return tuple(each.model_copy(update={"records": each.records[:share]}) for each in first)
