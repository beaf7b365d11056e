"""The whole autoscaler on a simulated cluster: facts, measuring, rules; in simulated time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.scaling import ScalingPolicy
from controlplane.service.scaling.profile import parse_profile
from controlplane.service.scaling.simulated import Cluster
from controlplane.service.scaling.simulator import simulate

if TYPE_CHECKING:
    from controlplane.service.scaling.simulator import Moment

FOUR_TIMES = "4m:1300,8m:5200,10m:1300"


def _wanted(moments: list[Moment]) -> list[int | None]:
    return [each.decided.want for each in moments if each.is_change]


def _at(moments: list[Moment], minutes: float) -> Moment:
    return min(moments, key=lambda each: abs(each.elapsed_s - 60 * minutes))


@pytest.mark.parametrize("seed", range(5))
def test_four_times_the_load_is_met_worked_off_and_given_back(seed: int) -> None:
    moments = list(simulate(parse_profile(FOUR_TIMES), ScalingPolicy(), Cluster(), seed=seed))
    assert (_at(moments, 3.9).have, _at(moments, 11.9).have, moments[-1].have) == (2, 8, 2)
    assert max(each.lag_events for each in moments if each.elapsed_s > 60 * 8) < 5200 * 20
    assert len(_wanted(moments)) <= 4


def test_twenty_become_eighty_within_two_minutes() -> None:
    policy = ScalingPolicy(least=20, most=80, in_step=64)
    cluster = Cluster(starts_with=20, partitions=80)
    moments = list(simulate(parse_profile("4m:13000,8m:52000,10m:13000"), policy, cluster))
    assert _at(moments, 3.9).have == 20
    assert _at(moments, 6).have >= 78
    assert moments[-1].have == 20
    assert max(each.lag_events for each in moments if each.elapsed_s > 60 * 9) < 52_000 * 20


def test_a_backlog_of_a_night_is_gone_within_the_time_that_is_allowed() -> None:
    policy = ScalingPolicy(least=1, most=64, catch_up=timedelta(minutes=5))
    night = "1m:200,1m:60000,20m:1000"
    moments = list(simulate(parse_profile(night), policy, Cluster(starts_with=1)))
    [worst] = [each for each in moments if each.elapsed_s == 120]
    assert worst.lag_events > 1_000_000
    assert _at(moments, 7).lag_events < 1000 * 20


def test_executors_that_die_are_replaced_and_nothing_flaps() -> None:
    cluster = Cluster(mean_life=timedelta(minutes=5))
    moments = list(simulate(parse_profile("30m:3000"), ScalingPolicy(), cluster, seed=3))
    assert moments[-1].decided.have in (3, 4, 5)
    assert len(_wanted(moments)) <= 3
    assert moments[-1].lag_events < 3000 * 25


def test_partitions_are_the_ceiling() -> None:
    moments = list(simulate(parse_profile("4m:1300,6m:9000"), ScalingPolicy(most=64), Cluster(partitions=4)))
    assert moments[-1].have == 4
    assert moments[-1].decided.rule == 8
    assert "simulated has 4 partitions" in moments[-1].decided.reason


def test_a_dry_run_decides_and_leaves_the_cluster_alone() -> None:
    moments = list(simulate(parse_profile(FOUR_TIMES), ScalingPolicy(is_dry_run=True), Cluster()))
    assert {each.have for each in moments} == {2}
    assert 8 in _wanted(moments)
    assert not any(each.decided.is_acted_on for each in moments)


def test_a_limit_of_the_micro_batch_is_no_reason_for_ever_more_executors() -> None:
    cluster = Cluster(batch_events=8_000)
    moments = list(simulate(parse_profile("4m:700,20m:3000"), ScalingPolicy(most=64), cluster))
    assert moments[-1].decided.have == 5
    assert moments[-1].decided.rule == 7
    assert "what holds it up is not how many there are" in moments[-1].decided.reason


def test_the_same_seed_is_the_same_run() -> None:
    runs = (simulate(parse_profile(FOUR_TIMES), ScalingPolicy(), Cluster(), seed=7) for _ in range(2))
    one, other = ([(each.lag_events, each.have, each.decided.reason) for each in run] for run in runs)
    assert one == other


def test_a_quiet_half_hour_changes_nothing() -> None:
    moments = list(simulate(parse_profile("30m:1300"), ScalingPolicy(), Cluster(noise=0.15)))
    assert _wanted(moments) == []


@pytest.mark.parametrize(
    ("written", "elapsed_s", "rate"),
    [("1m:100", 0, 100), ("1m:100", 600, 100), ("1m:100,1m:100>200", 90, 150), ("10s:0>100, 1m:7", 5, 50)],
)
def test_a_load_is_read(written: str, elapsed_s: float, rate: float) -> None:
    assert parse_profile(written).at(elapsed_s) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("written", "says"),
    [("5x", "'5x' is no piece of a load"), ("0s:3", "a piece lasts longer"), ("soon:3", "'soon' is not a duration")],
)
def test_what_is_no_load_is_refused(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_profile(written)
