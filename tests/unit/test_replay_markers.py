"""Markers: what was done with a record, whatever the order in which they come in, and however often."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.replays import Marker, Status
from quality.inbox.markers import Markers

if TYPE_CHECKING:
    import random

AT = datetime(2026, 1, 1, tzinfo=UTC)
MARKERS = st.builds(
    Marker,
    replay=st.sampled_from(["r1", "r2"]),
    action=st.sampled_from([Status.REPLAYED, Status.DISCARDED]),
    raw=st.none() | st.from_regex(r"[0-3]:[0-9]{1,3}", fullmatch=True),
    at=st.just(AT),
)
RECORDS = st.lists(st.tuples(st.sampled_from(["dead:0:1", "dead:0:2", "quarantine:1:3"]), MARKERS), max_size=12)


def state(markers: Markers) -> tuple[object, ...]:
    records = ("dead:0:1", "dead:0:2", "quarantine:1:3")
    return (markers.next_offset, *(markers.of(each) for each in records), sorted(markers.waiting(records)))


def folded(entries: list[tuple[int, tuple[str, Marker]]]) -> Markers:
    markers = Markers()
    for offset, (record, marker) in entries:
        markers.fold(offset, record, marker)
    return markers


@given(RECORDS, st.randoms())
def test_the_fold_does_not_depend_on_order_and_repetition(
    records: list[tuple[str, Marker]], chance: random.Random
) -> None:
    entries = list(enumerate(records))
    shuffled = [*entries, *entries]
    chance.shuffle(shuffled)
    assert state(folded(shuffled)) == state(folded(entries))


@given(RECORDS)
def test_a_compacted_topic_says_the_same(records: list[tuple[str, Marker]]) -> None:
    entries = list(enumerate(records))
    newest = {record: (offset, (record, marker)) for offset, (record, marker) in entries}
    compacted, whole = folded(list(newest.values())), folded(entries)
    assert [compacted.of(record) for record in newest] == [whole.of(record) for record in newest]


def test_a_record_is_found_by_the_raw_one_that_it_became() -> None:
    marker = Marker(replay="r1", action=Status.REPLAYED, raw="2:17", at=AT)
    markers = folded([(5, ("dead:0:1", marker))])
    assert (markers.parent("2:17"), markers.parent("2:18"), markers.done_by("r1")) == ("dead:0:1", None, 1)


def test_what_is_no_marker_is_passed_over() -> None:
    markers = Markers()
    markers.fold_message(3, b"dead:0:1", b"{}")
    markers.fold_message(4, b"dead:0:1", None)
    assert (markers.next_offset, markers.of("dead:0:1")) == (5, None)
