"""Lag in seconds stays within the error that it states, whatever was read of the partition and wherever the consumer stands."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.lag import LagSource
from lag_monitor.seconds import Mark, Marks

NOW_MS = 1_000_000


@dataclass(frozen=True)
class Log:
    """A partition that the broker has stamped: offset -> timestamp of each record; other offsets are markers and gaps."""

    records: dict[int, int]
    end: int

    def first(self, start: int) -> Mark | None:
        found = min((offset for offset in self.records if offset >= start), default=None)
        return None if found is None else Mark(found, self.records[found])

    def truth_s(self, position: int) -> float:
        """Age of the first record at or after a position; 0 when there is none."""
        found = self.first(position)
        return 0.0 if found is None else (NOW_MS - found.timestamp_ms) / 1000


@st.composite
def logs(draw: st.DrawFn, *, grows: bool = True) -> Log:
    """Some offsets hold a record, the others nothing; timestamps as the broker's clock goes, or in any order."""
    holds = draw(st.lists(st.booleans(), min_size=1, max_size=60))
    offsets = [offset for offset, is_record in enumerate(holds) if is_record]
    stamps = draw(st.lists(st.integers(0, NOW_MS), min_size=len(offsets), max_size=len(offsets)))
    return Log(dict(zip(offsets, sorted(stamps) if grows else stamps, strict=True)), len(holds))


def read(log: Log, marks: Marks, start: int, *, grows: bool = True) -> None:
    found = log.first(start)
    if found is None:
        marks.read_nothing(start, log.end)
    else:
        marks.read(start, found, grows=grows)


@given(logs(), st.lists(st.integers(0, 59), max_size=12))
def test_the_truth_is_within_the_error(log: Log, reads: list[int]) -> None:
    marks = Marks()
    for start in reads:
        if start < log.end:
            read(log, marks, start)
    for position in range(log.end + 1):
        age = marks.age(position, log.end, NOW_MS)
        if age is not None:
            assert abs(age.lag_s - log.truth_s(position)) <= age.error_s + 1e-9, (position, age)


@given(logs(grows=False), st.lists(st.integers(0, 59), max_size=12))
def test_stamps_that_producers_set_are_told_of_records_that_were_read_and_of_nothing_else(
    log: Log, reads: list[int]
) -> None:
    marks = Marks()
    for start in reads:
        if start < log.end:
            read(log, marks, start, grows=False)
    for position in range(log.end + 1):
        age = marks.age(position, log.end, NOW_MS)
        if age is not None:
            assert age.source is not LagSource.BETWEEN
            assert abs(age.lag_s - log.truth_s(position)) <= age.error_s + 1e-9, (position, age)


@given(logs(), st.integers(0, 59))
def test_who_has_read_at_a_position_knows_it(log: Log, position: int) -> None:
    if position >= log.end:
        return
    marks = Marks()
    read(log, marks, position)
    age = marks.age(position, log.end, NOW_MS)
    assert age is not None
    assert age.lag_s == pytest.approx(log.truth_s(position))
    assert age.source is (LagSource.CAUGHT_UP if log.first(position) is None else LagSource.RECORD)


def test_nothing_read_is_nothing_known() -> None:
    assert Marks().age(3, 7, NOW_MS) is None


def test_a_marker_at_the_end_is_nothing_left_and_what_comes_after_it_is_something() -> None:
    marks = Marks()
    marks.read_nothing(6, 7)
    assert marks.is_empty(6, 7)
    assert not marks.is_empty(6, 8)
    assert not marks.is_empty(5, 7)
    marks.read_nothing(7, 9)
    assert marks.is_empty(6, 9), "the two stretches are one"


def test_between_two_records_the_error_is_half_of_what_they_are_apart() -> None:
    marks = Marks()
    marks.read(10, Mark(10, NOW_MS - 60_000), grows=True)
    marks.read(30, Mark(30, NOW_MS - 20_000), grows=True)
    age = marks.age(20, 40, NOW_MS)
    assert age is not None
    assert (age.lag_s, age.error_s, age.source) == (40.0, 20.001, LagSource.BETWEEN)
    assert marks.age(9, 40, NOW_MS) is None, "how old a record before all that are known is, nobody knows"
    newest = marks.age(35, 40, NOW_MS)
    assert newest is not None, "a record cannot be younger than now"
    assert (newest.lag_s, newest.error_s) == (10.0, 10.001)


def test_marks_are_forgotten_oldest_first_and_what_is_left_stays_true() -> None:
    log = Log({offset: offset * 1_000 for offset in range(500)}, 500)
    marks = Marks(kept=50)
    for offset in range(500):
        read(log, marks, offset)
    assert marks.age(10, 500, NOW_MS) is None
    age = marks.age(480, 500, NOW_MS)
    assert age is not None
    assert age.lag_s == log.truth_s(480)


def test_a_topic_made_anew_has_other_records() -> None:
    marks = Marks()
    marks.read(5, Mark(5, 0), grows=True)
    marks.read_nothing(6, 9)
    marks.forget()
    assert marks.age(5, 9, NOW_MS) is None
