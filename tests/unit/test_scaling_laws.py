"""Laws of the autoscaler: bounds, no flapping, monotone in load, a second look changes nothing, unknown takes nothing away."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contract.scaling import ExecutorsChanged, ScalingPolicy
from controlplane.service.scaling.decide import ScalePlan, decide
from controlplane.service.scaling.load import Capacity, Demand, Load
from controlplane.service.scaling.needs import Peak, Standing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEAT = timedelta(seconds=2)


def _executors(have: int, want: int, most: int = 500) -> ExecutorsChanged:
    return ExecutorsChanged(
        at=NOW, target="lake", have=have, want=want, cores=1, least=1, most=most, port="spark standalone"
    )


@st.composite
def policies(draw: st.DrawFn) -> ScalingPolicy:
    least = draw(st.integers(1, 20))
    low = draw(st.floats(0.1, 0.7))
    return ScalingPolicy(
        least=least,
        most=draw(st.integers(least, 100)),
        utilisation=(low, draw(st.floats(low + 0.1, 1.0))),
        catch_up=timedelta(seconds=draw(st.integers(10, 3600))),
        out_step=draw(st.integers(1, 64)),
        in_step=draw(st.integers(1, 16)),
    )


def demands(*, known: bool = False) -> st.SearchStrategy[Demand]:
    maybe = st.none()
    capacity = st.one_of(
        st.floats(1, 1e5).map(lambda per_s: Capacity(per_s, per_s, "measured")),
        *([] if known else [st.floats(1, 1e5).map(lambda per_s: Capacity(None, per_s)), st.just(Capacity())]),
    )
    return st.builds(
        Demand,
        stream=st.just("shop"),
        arriving_per_s=st.floats(0, 1e6) if known else st.one_of(maybe, st.floats(0, 1e6)),
        lag_events=st.integers(0, 10**9) if known else st.one_of(maybe, st.integers(0, 10**9)),
        partitions=st.one_of(maybe, st.integers(1, 200)),
        capacity=capacity,
        stopped=maybe if known else st.one_of(maybe, st.just("is halted")),
        unknown=maybe if known else st.one_of(maybe, st.just("is stale")),
    )


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    ago = st.integers(0, 1000).map(lambda seconds: NOW - timedelta(seconds=seconds))
    peaks = draw(st.lists(st.builds(Peak, ago, st.floats(0, 100), st.floats(0, 100)), max_size=3))
    return Standing(
        asked=draw(st.one_of(st.none(), st.integers(1, 120))),
        changed_at=draw(st.one_of(st.none(), ago)),
        looked_at=draw(st.one_of(st.none(), ago)),
        peaks=tuple(sorted(peaks, key=lambda peak: peak.at)),
        behind_since=draw(st.one_of(st.none(), ago)),
    )


LOADS = st.builds(
    Load,
    st.one_of(st.none(), st.builds(_executors, st.integers(0, 120), st.integers(1, 120), st.integers(1, 200))),
    st.lists(demands(), max_size=3).map(tuple),
)


@settings(deadline=None)
@given(LOADS, policies(), standings())
def test_it_never_leaves_its_bounds(load: Load, policy: ScalingPolicy, before: Standing) -> None:
    plan = decide(load, policy, None, before, NOW)
    if load.executors is not None:
        assert plan.want is not None
        assert 1 <= plan.want <= min(policy.most, load.executors.most)
        assert plan.want >= min(policy.least, policy.most, load.executors.most)


@settings(deadline=None)
@given(LOADS, policies(), standings())
def test_a_second_look_at_the_same_changes_nothing(load: Load, policy: ScalingPolicy, before: Standing) -> None:
    first = decide(load, policy, None, before, NOW)
    assert decide(load, policy, None, before, NOW) == first
    second = decide(load, policy, None, first.standing, NOW)
    assert second.want == first.want
    assert not second.is_change


@settings(deadline=None)
@given(LOADS, demands(), policies(), standings(), st.booleans())
def test_what_is_not_known_takes_no_executor_away(
    load: Load, demand: Demand, policy: ScalingPolicy, before: Standing, is_unknown: bool
) -> None:
    why = "for some reason"
    lacking = replace(demand, unknown=why, stopped=None) if is_unknown else replace(demand, stopped=why)
    plan = decide(replace(load, demands=(*load.demands, lacking)), policy, None, before, NOW)
    asked = before.asked or (None if load.executors is None else load.executors.want)
    if asked is not None and plan.rule != 4:
        assert plan.want is not None
        assert plan.want >= asked


@settings(deadline=None)
@given(demands(known=True), st.floats(1, 10), st.floats(1, 10), policies(), standings())
def test_more_load_never_leads_to_fewer_executors(
    demand: Demand, rate: float, backlog: float, policy: ScalingPolicy, before: Standing
) -> None:
    arriving, lag = demand.arriving_per_s or 0.0, demand.lag_events or 0
    grown = int(demand.waiting * backlog) + int(arriving * rate * demand.ordinary_s) + 1
    more = replace(demand, arriving_per_s=arriving * rate, lag_events=max(lag, grown))
    few, many = (
        decide(Load(_executors(4, 4), (each,)), policy, None, before, NOW).want or 0 for each in (demand, more)
    )
    assert many >= few


def _beats(seed: int, noise: float, busy: float, starts_with: int) -> list[ScalePlan]:
    """Twenty minutes of a constant load with noise, each beat independent of the others."""
    policy, standing, plans = (
        ScalingPolicy(least=1, most=64, in_step=64),
        Standing(asked=starts_with),
        list[ScalePlan](),
    )
    chance = random.Random(seed)  # noqa: S311 (noise)
    for number in range(600):
        arriving = busy * 1000 * (1 + noise * chance.uniform(-1, 1))
        lag = int(arriving * chance.uniform(0, 18))
        want = standing.asked or 1
        demand = Demand("shop", arriving, lag, 64, Capacity(1000, 1000, "measured"))
        plan = decide(Load(_executors(want, want), (demand,)), policy, None, standing, NOW + number * BEAT)
        standing = plan.standing
        plans.append(plan)
    return plans


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 40), st.floats(0, 0.3), st.integers(0, 10**6), st.integers(1, 64))
def test_it_does_not_flap_under_a_constant_load_with_noise(
    busy: float, noise: float, seed: int, starts_with: int
) -> None:
    settled = [plan for plan in _beats(seed, noise, busy, starts_with)[180:] if plan.is_change]
    assert len(settled) <= 1, [plan.reason for plan in settled]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 20), st.floats(100, 1e5), st.integers(30, 900), st.floats(1, 3000))
def test_a_backlog_is_gone_within_the_target_when_there_is_room(
    busy: float, per_executor: float, catch_up_s: int, backlog_s: float
) -> None:
    policy = ScalingPolicy(least=1, most=1000, catch_up=timedelta(seconds=catch_up_s), out_step=1000)
    arriving = busy * per_executor
    standing, want, lag, gone_after = Standing(), 1, arriving * (20 + backlog_s), None
    for number in range(catch_up_s // 2 + 1):
        now = NOW + number * BEAT
        demand = Demand("shop", arriving, int(lag), 1000, Capacity(per_executor, per_executor, "measured"))
        plan = decide(Load(_executors(want, want, 1000), (demand,)), policy, None, standing, now)
        standing, want = plan.standing, plan.want or want
        if demand.waiting <= 0:
            gone_after = number * BEAT
            break
        lag = max(0.0, lag + (arriving - want * per_executor) * BEAT.total_seconds())
    is_room = arriving * backlog_s / catch_up_s / per_executor + busy < 780
    assert gone_after is not None or not is_room
