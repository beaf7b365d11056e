"""Do the loads of `tidegate bench scaling` ask for what the bench waits for? By the autoscaler's own rules, without a platform."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.contract.scaling import ExecutorsChanged, ScalingPolicy
from controlplane.service.scaling.decide import decide
from controlplane.service.scaling.load import Capacity, Demand, Load
from controlplane.service.scaling.needs import Standing
from load_tests.bench import scaling

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def wanted(run: scaling.Load, have: int, rate: float) -> int | None:
    executors = ExecutorsChanged(
        at=NOW,
        target="lake",
        have=have,
        want=have,
        cores=1,
        least=run.few,
        most=run.many,
        port="spark standalone",
        shares_partitions=True,
    )
    capacity = Capacity(run.executor_per_s, run.executor_per_s, "given")
    shop = Demand("shop", arriving_per_s=rate, lag_events=0, partitions=4, capacity=capacity)
    flights = Demand("flights", arriving_per_s=0.0, lag_events=0, partitions=4)
    policy = ScalingPolicy.model_validate(run.policy(is_on=True))
    return decide(Load(executors, (shop, flights)), policy, None, Standing(), NOW).want


@pytest.mark.parametrize("run", [scaling.FULL, scaling.SHORT], ids=["full", "short"])
def test_the_base_rate_needs_few_and_four_times_of_it_many(run: scaling.Load) -> None:
    assert wanted(run, run.few, run.rate) == run.few
    for measured in (0.97, 1.0, 1.03):  # what the lag monitor measures is a little more or less
        assert wanted(run, run.few, scaling.TIMES * run.rate * measured) == run.many


@pytest.mark.parametrize("run", [scaling.FULL, scaling.SHORT], ids=["full", "short"])
def test_many_take_what_comes_and_a_backlog_with_it(run: scaling.Load) -> None:
    assert run.many * run.executor_per_s > scaling.TIMES * run.rate
    assert run.few * run.executor_per_s > run.rate
