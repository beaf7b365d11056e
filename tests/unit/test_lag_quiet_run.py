"""Half an hour in simulated time: a quiet one wakes nobody, and what goes wrong gets its verdict and one page.

Look by look through the real judge and the real policy of alerts; only the world is made up: producers that jitter, pause and
commit in transactions, micro-batches, real-time batches with gaps, garbage collections, a restart.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from alerts.incidents import Happened
from alerts.policy.decide import Standing, decide
from alerts.policy.lag import lags
from alerts.policy.observed import Observed
from controlplane.contract.alerts import IncidentSeverity
from controlplane.contract.lag import ConsumerKind, LagJudged, LagSource, LagVerdict
from controlplane.contract.names import Hop
from lag_monitor.judge import Consumer, Judge, Looked, Reading
from lag_monitor.seconds import Age

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HALF_AN_HOUR = 1800
SETTLE = timedelta(seconds=60)
RETAINED_S = 7 * 86_400.0
PARTITIONS = 2


@dataclass
class World:
    """A stream of two partitions and its three queries, second by second. What is set below makes it less quiet."""

    seed: int = 1
    rate: float = 250.0
    """Records a second and partition."""
    burst: tuple[int, int, float] = (0, 0, 1.0)
    """From, to, times as many."""
    pauses: tuple[int, int] = (600, 900)
    """One of two producers sends nothing."""
    ends_at: int = HALF_AN_HOUR
    """Nothing is produced from then on."""
    most: float = 2_000.0
    """Records a second and partition that a query can take."""
    lake_restarts_at: int | None = 1_000
    stops: dict[str, int] = field(default_factory=dict)
    """Query -> moves no more from then on."""
    falls_silent: bool = False
    """What stops is not heard of any more either."""
    rewinds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 (a made-up world)
        self.raw = [0.0] * PARTITIONS
        self.at = {query: [0.0] * PARTITIONS for query in ("route", "lake", "live")}
        self.was: dict[tuple[str, int], float] = {}
        """Where the end was when the query took something last."""
        self.batch = (0, [0.0] * PARTITIONS)
        """When lake's micro-batch ends, and where."""
        self.collects = dict.fromkeys(self.at, -1)
        self.restarting_until = -1

    def step(self, second: int) -> None:
        for partition in range(PARTITIONS):
            self.raw[partition] += self._produced(second)
        for query, until in self.collects.items():
            if second >= until and self.random.random() < 1 / 120:
                self.collects[query] = second + 3
        self._take("route", self.raw, second, gap=second % 300 == 0)
        self._take("live", self.at["route"], second)
        self._lake(second)
        for query, when in self.rewinds.items():
            if when == second:
                self.at[query] = [max(0.0, place - 20_000) for place in self.at[query]]

    def _produced(self, second: int) -> float:
        if second >= self.ends_at:
            return 0
        producers = 1 if self.pauses[0] <= second < self.pauses[1] else 2
        start, end, times = self.burst
        expected = self.rate * producers / 2 * (times if start <= second < end else 1)
        return max(0, round(self.random.gauss(expected, expected**0.5 * 3))) + 1  # and a marker

    def _take(self, query: str, source: list[float], second: int, *, gap: bool = False) -> None:
        if gap or second < self.collects[query] or second >= self.stops.get(query, HALF_AN_HOUR + 1):
            return
        for partition, end in enumerate(source):
            under_way = self.random.random() * self.rate / 4 if end > self.was.get((query, partition), 0) else 0
            self.was[query, partition] = end
            there, here = max(0.0, end - under_way), self.at[query][partition]
            self.at[query][partition] = max(here, min(there, here + self.most * 1.5))

    def _lake(self, second: int) -> None:
        if second == self.lake_restarts_at:
            self.restarting_until, self.batch = second + 20, (0, [])
        if second < max(self.restarting_until, self.collects["lake"]) or second >= self.stops.get(
            "lake", HALF_AN_HOUR + 1
        ):
            return
        ends, until = self.batch
        if until and second >= ends:
            self.at["lake"], self.batch = until, (0, [])
        elif not until and second % 10 == 0:
            most = [here + self.most * 10 for here in self.at["lake"]]
            until = [min(end, cap) for end, cap in zip(self.at["route"], most, strict=True)]
            self.batch = (second + self.random.choice((2, 3, 4)), until)

    def looked(self, second: int) -> list[Looked]:
        hops = {"route": (Hop.RAW, Hop.VALID), "lake": (Hop.VALID, Hop.LAKE), "live": (Hop.VALID, Hop.SERVING)}
        return [self._looked(query, *hops[query], second) for query in hops]

    def _looked(self, query: str, source: Hop, hop: Hop, second: int) -> Looked:
        ends = self.raw if source is Hop.RAW else self.at["route"]
        stops = self.stops.get(query, HALF_AN_HOUR + 1) if self.falls_silent else HALF_AN_HOUR + 1
        heard = min(second, stops) // 15 * 15
        readings = {
            partition: _reading(int(self.at[query][partition]), int(ends[partition]), self.rate)
            for partition in range(PARTITIONS)
        }
        consumer = Consumer(f"{query} shop", ConsumerKind.QUERY, f"shop.{source}", "shop", hop)
        at = NOON + timedelta(seconds=second)
        return Looked(consumer, at, readings, heard_at=NOON + timedelta(seconds=heard), retained_s=RETAINED_S)


def _reading(position: int, end: int, rate: float) -> Reading:
    """One that leaves no more than a marker has nothing left."""
    is_empty = end - position <= 1
    age = Age(0.0, 0.0, LagSource.CAUGHT_UP) if is_empty else Age((end - position) / rate, 1.0, LagSource.BETWEEN)
    return Reading(position, end, 0, age)


@dataclass
class Ran:
    """What came of half an hour."""

    facts: dict[str, list[LagJudged]] = field(default_factory=dict)
    paged: list[tuple[str, IncidentSeverity]] = field(default_factory=list)
    opened: int = 0

    def verdicts(self, query: str, start: int = 0, end: int = HALF_AN_HOUR) -> Counter[LagVerdict]:
        return Counter(fact.verdict for fact in self.facts[f"{query} shop"][start:end])


def run(world: World) -> Ran:
    """Every second a look, every five seconds a beat of alerts."""
    judge, standing, ran = Judge(), Standing(), Ran()
    for second in range(HALF_AN_HOUR):
        world.step(second)
        facts = [judge.judge(looked) for looked in world.looked(second)]
        for fact in facts:
            ran.facts.setdefault(fact.consumer, []).append(fact)
        if second % 5 == 0:
            now = NOON + timedelta(seconds=second)
            decision = decide(standing, list(lags(Observed(now, tuple(facts)))), now, [], SETTLE)
            standing = decision.standing
            opened = {incident.id: incident for incident in (*standing.incidents.values(), *decision.resolved)}
            for moment in decision.moments:
                ran.opened += moment.what is Happened.OPENED
                if moment.what is Happened.PAGED:
                    incident = opened[moment.incident]
                    ran.paged.append((incident.subject, incident.severity))
    return ran


@pytest.mark.parametrize("seed", range(3))
def test_a_quiet_half_hour_wakes_nobody_and_is_well_all_along(seed: int) -> None:
    ran = run(World(seed=seed))
    assert (ran.paged, ran.opened) == ([], 0)
    for query in ("route", "live", "lake"):
        assert set(ran.verdicts(query, 30)) == {LagVerdict.OK}, query


def test_a_burst_is_caught_up_with_and_wakes_nobody() -> None:
    ran = run(World(burst=(700, 720, 20.0)))
    assert (ran.paged, ran.opened) == ([], 0)
    behind = max(fact.lag_events or 0 for fact in ran.facts["lake shop"][700:])
    assert behind > 50_000, "the burst was one"
    assert set(ran.verdicts("lake", 900)) == {LagVerdict.OK}
    assert not {LagVerdict.STALL, LagVerdict.STOP, LagVerdict.REWIND} & set(ran.verdicts("lake", 30))


def test_a_producer_that_ends_leaves_its_queries_idle_and_wakes_nobody() -> None:
    ran = run(World(ends_at=600))
    assert (ran.paged, ran.opened) == ([], 0)
    assert set(ran.verdicts("lake", 30)) == {LagVerdict.OK}
    assert all(fact.is_idle and fact.lag_events == 0 for fact in ran.facts["lake shop"][700:])
    assert not any(fact.is_idle for fact in ran.facts["lake shop"][:600]), "caught up is not idle"


@pytest.mark.parametrize(
    ("query", "falls_silent", "verdict"),
    [("lake", False, LagVerdict.STALL), ("lake", True, LagVerdict.STOP), ("route", False, LagVerdict.STALL)],
    ids=["a-stalled-lake", "a-stopped-lake", "a-stalled-route"],
)
def test_what_stands_still_gets_its_verdict_and_one_page(
    query: str, verdict: LagVerdict, *, falls_silent: bool
) -> None:
    ran = run(World(stops={query: 1_200}, falls_silent=falls_silent))
    assert ran.paged == [("shop/lake" if query == "lake" else "shop/valid", IncidentSeverity.ERROR)]
    assert set(ran.verdicts(query, 30, 1_200)) == {LagVerdict.OK}
    assert set(ran.verdicts(query, 1_300)) == {verdict}
    assert ran.facts[f"{query} shop"][-1].since is not None
    others = {"route", "lake", "live"} - {query}
    assert all(set(ran.verdicts(each, 30)) == {LagVerdict.OK} for each in others)


def test_a_rewound_query_gets_its_verdict_until_it_is_where_it_was() -> None:
    ran = run(World(rewinds={"live": 1_200}, most=300))
    told = ran.verdicts("live", 1_200)
    assert told[LagVerdict.REWIND] >= 30
    assert set(told) <= {LagVerdict.REWIND, LagVerdict.OK}
    assert set(ran.verdicts("live", 1_400)) == {LagVerdict.OK}
    assert all(severity is IncidentSeverity.WARNING for _, severity in ran.paged)


def test_who_takes_less_than_comes_is_told_of_as_a_warning_once_that_lasts() -> None:
    ran = run(World(most=150, pauses=(0, 0)))
    assert ran.paged
    assert all(severity is IncidentSeverity.WARNING for _, severity in ran.paged)
    assert set(ran.verdicts("route", 120)) == {LagVerdict.WARN}
