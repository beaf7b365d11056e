"""Lag is the distance of two curves: in events and in seconds; what was not measured is not zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.names import Hop
from lag_monitor.hops.measure import Curve, lag_events, lag_seconds
from lag_monitor.hops.watch import measure_all
from lag_monitor.unknown import UnknownError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def curve(*counts: int | None) -> Curve:
    made = Curve()
    for second, count in enumerate(counts):
        made.add(NOON + timedelta(seconds=second), count)
    return made


def test_the_rate_is_the_slope_over_the_last_seconds() -> None:
    assert curve(0, 100, 200, 300).rate() == 100


def test_one_sample_has_no_rate() -> None:
    assert curve(5).rate() is None


def test_a_gap_in_the_counts_draws_no_rate_across_it() -> None:
    assert curve(0, 100, None, 10_000).rate() is None


def test_lag_in_seconds_is_how_long_ago_the_hop_before_had_as_few() -> None:
    before, here = curve(0, 100, 200, 300), curve(0, 0, 100, 150)
    assert lag_seconds(before, here, NOON + timedelta(seconds=3)) == 1.0


def test_nothing_to_take_is_no_lag() -> None:
    assert lag_seconds(curve(7, 7), curve(7, 7), NOON) == 0.0


def test_behind_for_longer_than_was_watched_is_unknown() -> None:
    assert lag_seconds(curve(500, 600), curve(3, 3), NOON) is None


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_lag_is_never_negative(before: int, here: int) -> None:
    assert (lag_events(curve(before), curve(here)) or 0) >= 0


class Silent:
    """A broker that does not answer."""

    def count(self, stream: str, hop: Hop) -> int:
        raise UnknownError(f"{stream} {hop}: silent")


def test_a_silent_broker_is_not_zero_lag() -> None:
    facts = measure_all(["shop"], Silent(), {("shop", hop): Curve() for hop in Hop}, lambda: NOON)
    assert {fact.hop for fact in facts} == set(Hop)
    assert all(fact.events is None and fact.lag_s is None and fact.reason for fact in facts)
