"""A surplus is always a fault; a shortfall is one once nothing moves; what was not counted is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.facts import LedgerPartition, Verdict
from pipeline.ledger.verdict import OVERDUE_AFTER, judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def account(produced: int | None, valid: int, dead: int, quarantined: int, lake: int, serving: int) -> LedgerPartition:
    return LedgerPartition(
        partition=0,
        raw_from=0,
        raw_until=produced or 0,
        produced=produced,
        valid=valid,
        dead=dead,
        quarantined=quarantined,
        lake=lake,
        serving=serving,
    )


def test_everything_accounted_for_is_balanced() -> None:
    assert judge([account(10, 7, 1, 2, 7, 7)], [], NOW, NOW)[0] is Verdict.BALANCED


def test_an_event_not_in_the_lake_yet_is_in_flight() -> None:
    verdict, reason = judge([account(10, 10, 0, 0, 9, 10)], [], NOW, NOW)
    assert verdict is Verdict.IN_FLIGHT
    assert "1 in lake" in reason


def test_an_event_that_never_arrives_is_lost() -> None:
    assert judge([account(10, 10, 0, 0, 9, 10)], [], NOW - 2 * OVERDUE_AFTER, NOW)[0] is Verdict.UNBALANCED


def test_an_event_counted_twice_is_unbalanced_at_once() -> None:
    verdict, reason = judge([account(10, 10, 0, 0, 11, 10)], [], NOW, NOW)
    assert verdict is Verdict.UNBALANCED
    assert "twice" in reason


def test_a_surplus_here_is_not_hidden_by_a_shortfall_there() -> None:
    verdict, _ = judge([account(5, 5, 0, 0, 6, 5), account(5, 5, 0, 0, 4, 5)], [], NOW, NOW)
    assert verdict is Verdict.UNBALANCED


def test_what_was_not_counted_is_unknown_and_says_why() -> None:
    assert judge([account(None, 1, 0, 0, 1, 1)], ["the broker is away"], NOW, NOW) == (
        Verdict.UNKNOWN,
        "the broker is away",
    )


@given(st.lists(st.integers(0, 5), min_size=6, max_size=6), st.integers(0, 600))
def test_balanced_means_that_every_sum_is_right(counts: list[int], waited: int) -> None:
    produced, valid, dead, quarantined, lake, serving = counts
    verdict, _ = judge([account(*counts)], [], NOW - timedelta(seconds=waited), NOW)
    right = produced == valid + dead + quarantined and lake == valid == serving
    assert (verdict is Verdict.BALANCED) == right
