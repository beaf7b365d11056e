"""Which part is started when: the supervisor's decisions, with a clock of our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.contract.facts import PartState
from controlplane.up.decide import (
    HELD_AFTER,
    HUNG_AFTER,
    SILENT_AFTER,
    START_WITHIN,
    back_off,
    failures_after,
    is_hung,
    state_of,
    to_start,
)
from controlplane.up.part import Part, Seen

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROKER = Part("broker", ("true",))
READER = Part("reader", ("true",), needs=("broker",))
FEED = Part("feed", ("true",), ends=True)


def test_a_part_waits_until_what_it_needs_was_ready_once() -> None:
    seen = {"broker": Seen(pid=1), "reader": Seen()}
    assert to_start([BROKER, READER], seen, NOW) == []
    assert state_of(READER, seen["reader"], seen, NOW) == (PartState.WAITING, "waits for broker")
    seen["broker"] = Seen(pid=1, ready=True, was_ready=True)
    assert to_start([BROKER, READER], seen, NOW) == [READER]


def test_what_it_needs_may_die_later_without_holding_up_its_restart() -> None:
    seen = {"broker": Seen(was_ready=True, exit_code=1, exited_at=NOW, failures=1), "reader": Seen()}
    assert to_start([READER], seen, NOW) == [READER]


def test_what_died_is_started_after_its_back_off_and_not_before() -> None:
    seen = {"broker": Seen(exit_code=-9, exited_at=NOW, failures=3)}
    assert to_start([BROKER], seen, NOW + timedelta(seconds=1.9)) == []
    assert to_start([BROKER], seen, NOW + timedelta(seconds=2)) == [BROKER]
    state, reason = state_of(BROKER, seen["broker"], seen, NOW)
    assert state is PartState.BACKING_OFF
    assert reason == "exited with signal 9; starts again within 2 s"


def test_what_keeps_dying_is_held_with_its_last_words_until_somebody_says_so() -> None:
    words = "code 1: OSError: no space left on device"
    seen = {"broker": Seen(exit_code=1, exited_at=NOW, failures=HELD_AFTER, ended_with=words)}
    assert to_start([BROKER], seen, NOW + timedelta(days=1)) == []
    state, reason = state_of(BROKER, seen["broker"], seen, NOW)
    assert state is PartState.HELD
    assert reason == f"exited with {words}; held after {HELD_AFTER} failures in a row: `tidegate restart broker`"
    assert to_start([BROKER], {"broker": replace(seen["broker"], failures=0)}, NOW) == [BROKER]


STATES = {
    "just-started": (Seen(pid=1, started_at=NOW), PartState.STARTING, "waiting for it to answer"),
    "started-again": (
        Seen(pid=1, started_at=NOW, ended_with="signal 9"),
        PartState.STARTING,
        "waiting for it to answer; it exited with signal 9 before",
    ),
    "at-work": (Seen(pid=1, ready=True, heard_at=NOW - SILENT_AFTER), PartState.RUNNING, None),
    "at-work-and-waiting": (
        Seen(pid=1, ready=True, heard_at=NOW, waits_for="ClickHouse does not answer"),
        PartState.RUNNING,
        "ClickHouse does not answer",
    ),
    "silent": (
        Seen(pid=1, ready=True, heard_at=NOW - timedelta(seconds=12)),
        PartState.UNRESPONSIVE,
        "has not answered for 12 s",
    ),
    "stopped-by-a-signal": (
        Seen(pid=7, ready=True, heard_at=NOW, is_stopped=True),
        PartState.UNRESPONSIVE,
        "stopped by a signal; `kill -CONT 7` lets it go on",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_a_process_is_called_what_it_is(case: str) -> None:
    seen, state, reason = STATES[case]
    assert state_of(BROKER, seen, {"broker": seen}, NOW) == (state, reason)


def test_a_silent_process_is_hung_after_a_minute_and_one_that_starts_after_three() -> None:
    silent, starting = Seen(pid=1, ready=True, heard_at=NOW), Seen(pid=1, started_at=NOW)
    assert not is_hung(silent, NOW + HUNG_AFTER)
    assert is_hung(silent, NOW + HUNG_AFTER + timedelta(seconds=1))
    assert not is_hung(starting, NOW + START_WITHIN)
    assert is_hung(starting, NOW + START_WITHIN + timedelta(seconds=1))


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 0), (2, 1), (5, 8), (6, 16), (7, 30), (99, 30)])
def test_back_off_doubles_up_to_half_a_minute(failures: int, seconds: int) -> None:
    assert back_off(failures) == timedelta(seconds=seconds)


def test_a_feed_that_has_ended_well_is_not_started_again_and_one_that_failed_is() -> None:
    later = NOW + timedelta(minutes=5)
    well, badly = Seen(exit_code=0, exited_at=NOW), Seen(exit_code=1, exited_at=NOW, failures=1)
    assert to_start([FEED], {"feed": well}, later) == []
    assert state_of(FEED, well, {"feed": well}, NOW)[0] is PartState.ENDED
    assert to_start([FEED], {"feed": badly}, later) == [FEED]


def test_a_long_run_forgives_earlier_failures() -> None:
    short = Seen(started_at=NOW, exited_at=NOW + timedelta(seconds=5), failures=4)
    long = Seen(started_at=NOW, exited_at=NOW + timedelta(seconds=90), failures=4)
    assert failures_after(short) == 5
    assert failures_after(long) == 1
