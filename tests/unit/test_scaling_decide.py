"""How many executors there should be: a table of cases, each rule at least once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from controlplane.contract.scaling import ExecutorsChanged, ScaleOrdered, ScalingPolicy
from controlplane.service.scaling.decide import RULES, decide
from controlplane.service.scaling.load import Capacity, Demand, Load
from controlplane.service.scaling.needs import Peak, Standing

NOW = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
ANA = ScaleOrdered(target="lake", executors=40, at=NOW, by="ana", until=NOW + timedelta(hours=1))


def executors(
    have: int = 4, want: int | None = None, most: int = 100, cores: int = 1, *, shares: bool = False
) -> ExecutorsChanged:
    return ExecutorsChanged(
        at=NOW,
        target="lake",
        have=have,
        want=have if want is None else want,
        cores=cores,
        least=1,
        most=most,
        port="spark standalone",
        shares_partitions=shares,
        waits_for=None if want in (None, have) else "the master has no core left",
    )


def shop(
    arriving: float | None = 2_500,
    lag: int | None = 1_000,
    *,
    partitions: int | None = 64,
    about: float | None = 1_000,
    at_least: float | None = None,
    stopped: str | None = None,
    unknown: str | None = None,
) -> Demand:
    capacity = Capacity(about, about or at_least, "not measured yet" if about is None else "measured")
    return Demand("shop", arriving, lag, partitions, capacity, 20.0, stopped, unknown)


def quiet(busy: float, minutes: float = 3, *, working_off: float = 0.0, ended: float | None = None) -> Standing:
    """So busy at the most since so long; `ended`: minutes ago, if not at the beginning."""
    peaks = (Peak(NOW - timedelta(minutes=each), busy, working_off) for each in (minutes, ended) if each is not None)
    return Standing(looked_at=NOW - timedelta(seconds=2), peaks=tuple(peaks))


def changed(seconds: float, of: Standing | None = None) -> Standing:
    kept = of or Standing()
    return Standing(
        changed_at=NOW - timedelta(seconds=seconds),
        looked_at=kept.looked_at,
        peaks=kept.peaks,
        missing_since=kept.missing_since,
    )


class Case(NamedTuple):
    name: str
    load: Load
    want: int | None
    rule: int
    says: str
    before: Standing = Standing()
    policy: ScalingPolicy = ScalingPolicy(most=64)
    ordered: ScaleOrdered | None = None


def of(*demands: Demand, there: ExecutorsChanged | None = None) -> Load:
    return Load(there or executors(), demands or (shop(),))


CASES = (
    Case("an-operator-is-obeyed", of(), 40, 1, "ana has ordered 40, until 2026-01-01 04:00:00 UTC", ordered=ANA),
    Case("an-operator-is-obeyed-while-it-is-off", of(), 40, 1, "ana", policy=ScalingPolicy(is_on=False), ordered=ANA),
    Case("off-leaves-them-as-they-are", of(), None, 2, "is off", policy=ScalingPolicy(is_on=False)),
    Case(
        "who-does-not-say-how-many-it-has-is-left-alone",
        Load(None, (shop(9_000),), "lake has said nothing for 60 s"),
        None,
        3,
        "lake has said nothing for 60 s",
    ),
    Case("below-the-least-there-are-more", of(there=executors(1)), 2, 4, "least is 2, 1 are wanted"),
    Case("above-the-most-there-are-fewer", of(), 3, 4, "most is 3, 4 are wanted", policy=ScalingPolicy(most=3)),
    Case("a-cluster-that-shrank-is-a-bound-too", of(there=executors(4, most=3)), 3, 4, "most is 3"),
    Case(
        "halted-at-its-gate-more-do-not-help",
        of(shop(2_500, 900_000, stopped="is halted by its gate")),
        4,
        5,
        "lake of shop is halted by its gate: more executors do not help",
    ),
    Case(
        "halted-at-its-gate-none-is-taken-away",
        of(shop(0, 900_000, stopped="is halted by its gate")),
        4,
        5,
        "fewer would be too few afterwards",
        quiet(0),
    ),
    Case(
        "a-stream-that-is-halted-does-not-keep-another-from-more",
        of(shop(9_000), Demand("flights", stopped="is halted by its gate")),
        14,
        11,
        "14 instead of 4",
    ),
    Case("an-unknown-rate-changes-nothing", of(shop(None)), 4, 6, "shop: its rate is not known", quiet(0)),
    Case("an-unknown-lag-changes-nothing", of(shop(100, None)), 4, 6, "shop: its lag is not known", quiet(0)),
    Case(
        "stale-is-unknown",
        of(shop(unknown="its lag was not judged for 15 s")),
        4,
        6,
        "shop: its lag was not judged for 15 s",
        quiet(0),
    ),
    Case(
        "what-is-unknown-of-one-does-not-keep-another-from-more",
        of(shop(9_000), Demand("flights", unknown="not judged yet")),
        14,
        11,
        "14 instead of 4",
    ),
    Case(
        "nothing-measured-of-executors-changes-nothing",
        of(shop(9_000, about=None)),
        4,
        6,
        "shop: what an executor does is not measured yet",
    ),
    Case(
        "more-executors-than-partitions-do-nothing",
        of(shop(9_000, partitions=4)),
        4,
        8,
        "14 are needed, and more than 4 find no task: shop has 4 partitions",
    ),
    Case(
        "tasks-that-share-a-partition-have-no-such-ceiling",
        of(shop(9_000, partitions=4), there=executors(shares=True)),
        14,
        11,
        "14 instead of 4",
    ),
    Case(
        "one-stream-without-partitions-left-does-not-use-anothers",
        of(shop(9_000, partitions=4), Demand("flights", 0, 0, 64, Capacity(1_000, 1_000))),
        4,
        8,
        "more than 4 find no task: shop has 4 partitions",
    ),
    Case(
        "an-executor-of-two-cores-takes-two-partitions",
        of(shop(9_000, partitions=16), there=executors(4, cores=2)),
        8,
        11,
        "8 instead of 4 (14 are needed)",
    ),
    Case(
        "at-the-most-it-says-how-many-it-would-take",
        of(shop(9_000)),
        4,
        9,
        "14 are needed, the policy allows 4 at most",
        policy=ScalingPolicy(most=4),
    ),
    Case("at-the-cluster's-most", of(shop(9_000), there=executors(4, most=4)), 4, 9, "the cluster gives 4 at most"),
    Case(
        "too-soon-after-a-change-it-waits",
        of(shop(9_000)),
        4,
        10,
        "14 are needed; the last change was 10 s ago, the cool-down is 30s",
        changed(10),
    ),
    Case(
        "too-busy-aims-at-the-middle-of-the-band",
        of(shop(9_000)),
        14,
        11,
        "9,000 events/s arrive, an executor does 1,000; 4 are 225 % busy, the band is 50 to 80 %: 14 instead of 4",
        changed(31),
    ),
    Case("just-within-the-band-is-enough", of(shop(3_200)), 4, 15, "4 are 80 % busy"),
    Case("just-over-the-band-is-not", of(shop(3_201)), 5, 11, "5 instead of 4"),
    Case(
        "a-step-out-has-a-limit",
        of(shop(9_000)),
        6,
        11,
        "6 instead of 4 (14 are needed)",
        policy=ScalingPolicy(out_step=2, most=64),
    ),
    Case(
        "a-backlog-is-worked-off-in-time",
        of(shop(2_500, 1_250_000)),
        9,
        11,
        "1,200,000 wait that are to be gone in 300 s: 9 instead of 4",
    ),
    Case(
        "who-is-not-busy-with-its-backlog-is-held-up-by-something-else",
        Load(executors(), (shop(2_500, 1_250_000),), at_work=0.2),
        4,
        7,
        "tasks run on 20 % of 4 executors: what holds it up is not how many there are",
    ),
    Case(
        "who-may-do-no-more-than-its-share-of-a-batch-is-idle-for-the-rest",
        Load(executors(), (replace(shop(2_500, 1_250_000), capacity=Capacity(5_000.0).within(1_000)),), at_work=0.1),
        9,
        11,
        "an executor does 1,000",
    ),
    Case(
        "who-is-busy-for-a-third-of-the-time-can-be-helped",
        Load(executors(), (shop(2_500, 1_250_000),), at_work=0.3),
        9,
        11,
        "9 instead of 4",
    ),
    Case("a-rate-counts-before-anybody-is-busy-with-it", Load(executors(), (shop(9_000),), at_work=0.3), 14, 11, ""),
    Case(
        "a-backlog-in-two-partitions-can-use-two-executors",
        of(shop(100, 9_000_000, partitions=2), Demand("flights", 3_000, 0, 62, Capacity(1_000, 1_000))),
        7,
        11,
        "7 instead of 4",
    ),
    Case(
        "a-cluster-smaller-than-the-least-gives-what-it-has",
        of(shop(2_000), there=executors(3, most=3)),
        3,
        15,
        "",
        policy=ScalingPolicy(least=5),
    ),
    Case(
        "known-from-below-a-little-more-than-ordinary-is-no-backlog",
        of(shop(3_900, 120_000, about=None, at_least=1_000)),
        4,
        15,
        "4 are enough",
    ),
    Case("what-ordinarily-waits-is-no-backlog", of(shop(2_500, 50_000)), 4, 15, "4 are enough"),
    Case(
        "known-from-below-alone-asks-for-no-more",
        of(shop(3_900, 4_000, about=None, at_least=1_000)),
        4,
        15,
        "4 are 98 % busy",
    ),
    Case(
        "known-from-below-is-believed-when-records-pile-up",
        of(shop(3_900, 1_278_000, about=None, at_least=1_000)),
        10,
        11,
        "10 instead of 4",
    ),
    Case(
        "known-from-below-is-believed-when-fewer-would-do",
        of(shop(100, 0, about=None, at_least=1_000)),
        2,
        12,
        "2 instead of 4",
        quiet(0.1),
    ),
    Case(
        "too-many-all-the-while-are-taken-away",
        of(shop(1_000, 0)),
        2,
        12,
        "for 3m 4 were 25 % busy at most, the band is 50 to 80 %: 2 instead of 4",
        quiet(1.0),
    ),
    Case("one-busy-moment-in-the-while-keeps-them", of(shop(1_000, 0)), 4, 15, "4 are 25 % busy", quiet(2.4)),
    Case(
        "not-for-long-enough-keeps-them", of(shop(1_000, 0)), 4, 13, "2 would do, if so for another 60 s", quiet(1.0, 2)
    ),
    Case("too-soon-after-a-change-keeps-them", of(shop(1_000, 0)), 4, 13, "for another 100 s", changed(80, quiet(1.0))),
    Case(
        "after-a-hole-the-while-begins-anew",
        of(shop(1_000, 0)),
        4,
        13,
        "for another 180 s",
        Standing(looked_at=NOW - timedelta(minutes=1), peaks=quiet(1.0).peaks),
    ),
    Case("a-step-in-has-a-limit", of(shop(1_000, 0), there=executors(20)), 12, 12, "12 instead of 20", quiet(1.0)),
    Case("a-backlog-in-the-while-keeps-them", of(shop(1_000, 0)), 4, 15, "", quiet(1.0, working_off=3.1, ended=1)),
    Case(
        "what-was-still-falling-counts-for-whether-and-not-for-how-many",
        of(shop(1_000, 0)),
        2,
        12,
        "4 were 45 % busy at most",
        quiet(1.8),
    ),
    Case("what-was-busy-since-counts-for-how-many", of(shop(1_000, 0)), 3, 12, "3 instead of 4", quiet(1.8, ended=1)),
    Case("nothing-arrives-and-the-least-stays", of(shop(0, 0)), 2, 12, "4 were 0 % busy", quiet(0)),
    Case(
        "the-least-is-enough-for-nothing",
        of(shop(0, 0), there=executors(2)),
        2,
        15,
        "nothing arrives and nothing waits: 2 are enough",
        quiet(0),
    ),
    Case(
        "surplus-above-the-partitions-is-taken-away",
        of(shop(3_000, partitions=3)),
        3,
        12,
        "more than 3 do nothing",
        quiet(3.0),
    ),
    Case(
        "without-such-a-ceiling-there-is-no-surplus",
        of(shop(3_000, partitions=3), there=executors(shares=True)),
        4,
        15,
        "4 are 75 % busy",
        quiet(3.0),
    ),
    Case(
        "those-of-a-new-step-may-take-their-time-too",
        of(there=executors(3, 4)),
        4,
        15,
        "4 are enough",
        Standing(changed_at=NOW - timedelta(seconds=30), missing_since=NOW - timedelta(minutes=2)),
    ),
    Case(
        "what-was-asked-for-and-has-not-come-is-said",
        of(there=executors(3, 4)),
        4,
        14,
        "3 of 4 executors are there since 120 s: the master has no core left",
        Standing(missing_since=NOW - timedelta(minutes=2)),
    ),
    Case("what-was-just-asked-for-may-take-its-time", of(there=executors(3, 4)), 4, 15, "4 are enough"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_first_rule_that_has_something_to_say_decides(case: Case) -> None:
    plan = decide(case.load, case.policy, case.ordered, case.before, NOW)
    assert (plan.want, plan.rule) == (case.want, case.rule), plan.reason
    assert case.says in plan.reason


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(RULES)


def test_a_backlog_that_should_be_gone_is_more_urgent() -> None:
    load = of(shop(2_500, 1_250_000), there=executors(9))
    late = Standing(asked=9, behind_since=NOW - timedelta(minutes=4))
    assert decide(load, ScalingPolicy(most=64), None, Standing(asked=9), NOW).want == 9
    assert decide(load, ScalingPolicy(most=64), None, late, NOW).want == 24


def test_after_a_moment_that_was_not_known_the_while_begins_anew() -> None:
    before = decide(of(shop(None)), ScalingPolicy(), None, quiet(1.0), NOW - timedelta(seconds=1)).standing
    plan = decide(of(shop(1_000, 0)), ScalingPolicy(), None, before, NOW)
    assert (plan.want, plan.rule) == (4, 13)
    assert "for another 180 s" in plan.reason


@pytest.mark.parametrize(
    ("measured", "bound", "per_s"),
    [
        (Capacity(500, 500), 1_000, 500),
        (Capacity(5_000, 5_000), 1_000, 1_000),
        (Capacity(None, 5_000), 1_000, 1_000),
        (Capacity(), 1_000, None),
        (Capacity(5_000, 5_000), None, 5_000),
    ],
    ids=["slower-than-its-share", "faster-than-its-share", "at-least-its-share", "not-measured", "no-bound"],
)
def test_an_executor_does_no_more_than_its_share_of_a_batch(
    measured: Capacity, bound: float | None, per_s: float | None
) -> None:
    assert measured.within(bound).about == per_s


def test_what_is_known_of_no_stream_is_unknown_and_not_0() -> None:
    inputs = decide(Load(executors(), (shop(about=None),)), ScalingPolicy(), None, Standing(), NOW).inputs
    assert (inputs["arriving_events_per_s"], inputs["lag_events"], inputs["utilisation"]) == (None, None, None)
    assert decide(Load(executors(), ()), ScalingPolicy(), None, Standing(), NOW).inputs["lag_events"] == 0
