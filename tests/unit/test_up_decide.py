"""Which part is started when: the supervisor's decisions, with a clock of our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.contract.facts import PartState
from controlplane.up.decide import back_off, failures_after, state_of, to_start
from controlplane.up.part import Part, Seen

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROKER = Part("broker", ("true",))
READER = Part("reader", ("true",), needs=("broker",))
FEED = Part("feed", ("true",), ends=True)


def test_a_part_waits_until_what_it_needs_was_ready_once() -> None:
    seen = {"broker": Seen(pid=1), "reader": Seen()}
    assert to_start([BROKER, READER], seen, NOW) == []
    assert state_of(READER, seen["reader"], seen) == (PartState.WAITING, "waits for broker")
    seen["broker"] = Seen(pid=1, ready=True, was_ready=True)
    assert to_start([BROKER, READER], seen, NOW) == [READER]


def test_what_it_needs_may_die_later_without_holding_up_its_restart() -> None:
    seen = {"broker": Seen(was_ready=True, exit_code=1, exited_at=NOW, failures=1), "reader": Seen()}
    assert to_start([READER], seen, NOW) == [READER]


def test_what_died_is_started_after_its_back_off_and_not_before() -> None:
    seen = {"broker": Seen(exit_code=-9, exited_at=NOW, failures=3)}
    assert to_start([BROKER], seen, NOW + timedelta(seconds=3.9)) == []
    assert to_start([BROKER], seen, NOW + timedelta(seconds=4)) == [BROKER]
    state, reason = state_of(BROKER, seen["broker"], seen)
    assert state is PartState.BACKING_OFF
    assert reason == "exited with signal 9; starts again within 4 s"


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (5, 16), (6, 30), (99, 30)])
def test_back_off_doubles_up_to_half_a_minute(failures: int, seconds: int) -> None:
    assert back_off(failures) == timedelta(seconds=seconds)


def test_a_feed_that_has_ended_well_is_not_started_again_and_one_that_failed_is() -> None:
    later = NOW + timedelta(minutes=5)
    well, badly = Seen(exit_code=0, exited_at=NOW), Seen(exit_code=1, exited_at=NOW, failures=1)
    assert to_start([FEED], {"feed": well}, later) == []
    assert state_of(FEED, well, {"feed": well})[0] is PartState.ENDED
    assert to_start([FEED], {"feed": badly}, later) == [FEED]


def test_a_long_run_forgives_earlier_failures() -> None:
    short = Seen(started_at=NOW, exited_at=NOW + timedelta(seconds=5), failures=4)
    long = Seen(started_at=NOW, exited_at=NOW + timedelta(seconds=90), failures=4)
    assert failures_after(short) == 5
    assert failures_after(long) == 1
