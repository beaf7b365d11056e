"""A dropped or doubled event is found by its exact offset, wherever it is; what is on its way or expired is not accused."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.facts import Mismatch, MismatchKind
from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger.examine import Examiner
from pipeline.ledger.hops import stretch
from pipeline.ledger.kept import Tape
from pipeline.ledger.search import MISMATCHES_AT_MOST, RECORDS_AT_MOST, Bounds, FakeBlockSource, RawRecord, search

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 1, 8, tzinfo=UTC)
WEEK = timedelta(days=7)
ALL = Bounds(before=BLOCK, raw_since=0, served_since=NOW - WEEK)
MISSING, DOUBLED = MismatchKind.MISSING, MismatchKind.DOUBLED
EVENTS = (0, 1, 3, 4, 5, 8, 9)
"""The raw offsets that hold events; between them are markers."""


def source(
    *,
    valid: Iterable[int] = EVENTS,
    dead: Iterable[int] = (),
    lake: Iterable[int] | None = None,
    serving: Iterable[int] | None = None,
    at: datetime = NOW,
) -> FakeBlockSource:
    valid = list(valid)
    return FakeBlockSource(
        [RawRecord(offset, at, b"key", b"value") for offset in EVENTS],
        {
            Hop.VALID: valid,
            Hop.DEAD: list(dead),
            Hop.LAKE: valid if lake is None else list(lake),
            Hop.SERVING: valid if serving is None else list(serving),
        },
    )


def without(*offsets: int) -> list[int]:
    return [each for each in EVENTS if each not in offsets]


def ranges(here: FakeBlockSource, bounds: Bounds = ALL) -> list[tuple[Hop, MismatchKind, int, int, int]]:
    return [
        (each.hop, each.kind, each.start, each.until, each.events) for each in search(here, 0, 0, bounds).mismatches
    ]


CASES = {
    "nothing-is-found-where-all-is-once": (source(), []),
    "a-dead-letter-is-not-missing-in-the-lake": (source(valid=without(3), dead=[3]), []),
    "a-commit-marker-does-not-split-a-range": (source(lake=without(1, 3, 4)), [(Hop.LAKE, MISSING, 1, 5, 3)]),
    "an-event-between-two-lost-ones-does": (
        source(serving=without(1, 4)),
        [(Hop.SERVING, MISSING, 1, 2, 1), (Hop.SERVING, MISSING, 4, 5, 1)],
    ),
    "what-route-lost-is-not-missed-further-down-again": (source(valid=without(8)), [(Hop.VALID, MISSING, 8, 9, 1)]),
    "an-event-both-valid-and-dead-is-doubled": (source(dead=[3]), [(Hop.VALID, DOUBLED, 3, 4, 1)]),
    "an-event-thrice-is-two-too-many": (source(lake=[*EVENTS, 9, 9]), [(Hop.LAKE, DOUBLED, 9, 10, 2)]),
    "one-lost-and-one-doubled-are-both-found": (
        source(serving=[*without(0), 5]),
        [(Hop.SERVING, MISSING, 0, 1, 1), (Hop.SERVING, DOUBLED, 5, 6, 1)],
    ),
    "an-output-of-no-event-is-too-many": (source(valid=[*EVENTS, 2]), [(Hop.VALID, DOUBLED, 2, 3, 1)]),
}


@pytest.mark.parametrize("case", CASES)
def test_search(case: str) -> None:
    here, found = CASES[case]
    assert ranges(here) == found


def test_what_may_be_on_its_way_is_not_missing_but_a_double_is_one() -> None:
    here = source(serving=[*without(1, 8), 9])
    bounds = Bounds(before=5, raw_since=0, served_since=NOW - WEEK)
    assert ranges(here, bounds) == [(Hop.SERVING, MISSING, 1, 2, 1), (Hop.SERVING, DOUBLED, 9, 10, 1)]


def test_inside_an_open_block_the_slowest_hop_says_what_has_been_passed() -> None:
    here, bounds = source(lake=without(1, 5), serving=without(3, 9)), Bounds(None, 0, NOW - WEEK)
    assert ranges(here, bounds) == []
    here.routed = 5
    assert ranges(here, bounds) == [(Hop.LAKE, MISSING, 1, 2, 1), (Hop.SERVING, MISSING, 3, 4, 1)]
    here.routed = 20
    assert (Hop.LAKE, MISSING, 5, 6, 1) in ranges(here, bounds)
    assert all(each[2] != 9 for each in ranges(here, bounds))


def test_what_has_expired_in_clickhouse_is_not_missing_there() -> None:
    found = search(source(serving=[], at=NOW - 2 * WEEK), 0, 0, ALL)
    assert (found.mismatches, found.expired) == ((), len(EVENTS))


def test_raw_records_that_retention_took_are_taken_for_one_each() -> None:
    here = source(valid=[*EVENTS, 4])
    here.since = 6
    assert ranges(here, Bounds(BLOCK, 6, NOW - WEEK)) == [(Hop.VALID, DOUBLED, 4, 5, 1)]


@given(
    events=st.sets(st.integers(0, 60), min_size=2),
    data=st.data(),
    hop=st.sampled_from([Hop.VALID, Hop.LAKE, Hop.SERVING]),
)
def test_every_dropped_and_doubled_event_is_found_and_no_other(events: set[int], data: st.DataObject, hop: Hop) -> None:
    dropped = data.draw(st.sets(st.sampled_from(sorted(events))))
    doubled = data.draw(st.sets(st.sampled_from(sorted(events)))) - dropped
    spoiled = [*(events - dropped), *doubled]
    hops = dict.fromkeys([Hop.LAKE, Hop.SERVING], spoiled if hop is Hop.VALID else list(events))
    here = FakeBlockSource(
        [RawRecord(offset, NOW, None, b"") for offset in sorted(events)],
        {Hop.VALID: list(events), **hops, hop: spoiled},
    )
    found = search(here, 0, 0, ALL).mismatches
    assert {each.hop for each in found} <= {hop}
    by_kind = {
        kind: {offset for each in found if each.kind is kind for offset in events if each.start <= offset < each.until}
        for kind in MismatchKind
    }
    assert by_kind == {MISSING: dropped, DOUBLED: doubled}
    assert sum(each.events for each in found) == len(dropped) + len(doubled)


def fault(hop: Hop, kind: MismatchKind, events: int = 1, block: int = 0) -> Mismatch:
    return Mismatch(partition=0, hop=hop, kind=kind, start=block * BLOCK, until=(block + 1) * BLOCK, events=events)


class Searches:
    """An examiner, and how often it opened its source."""

    def __init__(self, here: FakeBlockSource | Exception) -> None:
        self.here, self.opened = here, 0
        self.examiner = Examiner(self._open, lambda value: ((value or b"").decode(), True), WEEK)

    def _open(self) -> nullcontext[FakeBlockSource]:
        self.opened += 1
        if isinstance(self.here, Exception):
            raise self.here
        return nullcontext(self.here)


def test_a_faulty_block_is_searched_once_and_shows_its_records() -> None:
    searches = Searches(source(lake=without(3, 4)))
    for seconds in range(60):
        explained = searches.examiner.explain(
            [fault(Hop.LAKE, MISSING, 2)], {0: BLOCK}, NOW + timedelta(seconds=seconds)
        )
    assert searches.opened == 1
    [mismatch] = explained.mismatches
    assert (mismatch.start, mismatch.until, [each.offset for each in mismatch.records]) == (3, 5, [3, 4])
    assert mismatch.records[0].found == {
        Hop.VALID: 1,
        Hop.DEAD: 0,
        Hop.QUARANTINE: 0,
        Hop.LAKE: 0,
        Hop.SERVING: 1,
    }
    assert explained.reason == "missing: 2 in lake (raw[0] offsets 3 to 4)"


def test_a_fault_that_changes_is_searched_again_but_not_at_once() -> None:
    searches = Searches(source(lake=without(3, 4)))
    for seconds in range(8):
        searches.examiner.explain(
            [fault(Hop.LAKE, MISSING, 1 + seconds)], {0: BLOCK}, NOW + timedelta(seconds=2 * seconds)
        )
    assert searches.opened == 2


def test_a_search_that_fails_leaves_what_the_counts_say_and_is_tried_again() -> None:
    searches, faults = Searches(TimeoutError("no answer")), [fault(Hop.LAKE, MISSING)]
    explained = searches.examiner.explain(faults, {0: BLOCK}, NOW)
    assert explained.mismatches == tuple(faults)
    assert "a search for the events failed" in explained.reason
    searches.here = source(lake=without(3))
    searches.examiner.explain(faults, {0: BLOCK}, NOW + timedelta(seconds=5))
    [found] = searches.examiner.explain(faults, {0: BLOCK}, NOW + timedelta(seconds=11)).mismatches
    assert (searches.opened, found.start) == (2, 3)


def test_a_record_that_was_only_late_is_no_fault() -> None:
    late = fault(Hop.VALID, DOUBLED).model_copy(update={"start": 3, "until": 4})
    explained = Searches(source()).examiner.explain([late], {0: BLOCK}, NOW)
    assert (explained.mismatches, explained.in_order) == ((), ((0, 0),))


def test_a_count_that_no_event_explains_stands_and_says_that_events_have_expired() -> None:
    expired = source(serving=[], at=NOW - 2 * WEEK)
    explained = Searches(expired).examiner.explain([fault(Hop.SERVING, MISSING)], {0: BLOCK}, NOW)
    assert explained.mismatches == (fault(Hop.SERVING, MISSING),)
    assert "7 of the events are older than what ClickHouse keeps" in explained.reason


def test_a_fact_carries_a_bounded_part_and_its_sentence_the_whole() -> None:
    faults = [fault(Hop.LAKE, MISSING, block=block) for block in range(30)]
    every_other = source(lake=EVENTS[::2], serving=EVENTS[1::2])
    explained = Searches(every_other).examiner.explain(faults, {0: 30 * BLOCK}, NOW)
    assert len(explained.mismatches) == MISMATCHES_AT_MOST
    assert sum(len(each.records) for each in explained.mismatches) <= RECORDS_AT_MOST
    assert "32 in lake" in explained.reason


def test_two_blocks_are_searched_a_beat() -> None:
    searches = Searches(source(lake=without(3)))
    faults = [fault(Hop.LAKE, MISSING, block=block) for block in range(5)]
    exact = [
        sum(
            each.until - each.start < BLOCK
            for each in searches.examiner.explain(faults, {0: 9 * BLOCK}, NOW).mismatches
        )
        for _ in range(3)
    ]
    assert (searches.opened, exact) == (3, [1, 1, 1])


def test_a_blocks_stretch_in_an_output_ends_where_the_next_one_begins() -> None:
    tape = Tape(0, 50, first={0: (0, 0), 2: (30, 0), 1: (40, 0)})
    assert [stretch(tape, block) for block in (0, 1, 2)] == [(0, 30), (40, 50), (30, 50)]


def test_the_fake_counts_as_a_topic_does() -> None:
    assert source(valid=[3, 3, BLOCK]).found(Hop.VALID, 0, 0) == Counter({3: 2})
