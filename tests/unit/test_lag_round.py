"""One round over a made-up cluster: where each consumer is, what is read to date it, and what is said when nobody answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.lag import ConsumerKind, LagJudged, LagSource, LagVerdict
from controlplane.contract.names import Hop
from controlplane.contract.settings import Settings
from lag_monitor.dating import READS
from lag_monitor.heard import heard_in, held_in
from lag_monitor.hops.counts import Counts
from lag_monitor.kafka.cluster import Group
from lag_monitor.kafka.records import Found, Place
from lag_monitor.lag import Lag
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


@dataclass
class World:
    """A cluster, its records, a lake; what was asked for is remembered."""

    partitions: int = 2
    ends_at: dict[Place, int] = field(default_factory=dict)
    headers: dict[Place, bytes] = field(default_factory=dict)
    """Of the last record of an output."""
    commits: dict[str, dict[Place, int]] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    lake: dict[int, int] = field(default_factory=dict)
    is_silent: bool = False
    reads: list[dict[Place, tuple[int, int]]] = field(default_factory=list)
    now: datetime = NOON

    def topics(self) -> dict[str, tuple[int, ...]]:
        self._answer()
        return dict.fromkeys(self._names(), tuple(range(self.partitions)))

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        self._answer()
        return {place: self.ends_at.get(place, 0) for place in places if place[0] in self._names()}

    def lows(self, places: Iterable[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    def groups(self) -> tuple[Group, ...]:
        return tuple(Group(name, name in self.members) for name in self.commits)

    def committed(self, group: str) -> dict[Place, int]:
        return self.commits[group]

    def retained_s(self, topics: Iterable[str]) -> dict[str, float | None]:
        return dict.fromkeys(topics, 3600.0)

    def first(self, places: Mapping[Place, tuple[int, int]]) -> dict[Place, Found]:
        """Each offset holds a record that is as many seconds old as there are offsets up to the end."""
        self.reads.append(dict(places))
        return {
            place: Found(
                start, start + 1, NOON_MS - (end - start) * 1000, is_stamped_by_broker=True,
                headers=(("tidegate-source", self.headers.get(place, b"")),),
            )
            for place, (start, end) in places.items()
        }  # fmt: skip

    def _names(self) -> set[str]:
        return {place[0] for place in self.ends_at}

    def _answer(self) -> None:
        if self.is_silent:
            raise UnknownError("the broker does not say: timed out")


class Lake:
    def __init__(self, world: World) -> None:
        self._world = world

    def ends(self, _: str) -> dict[int, int]:
        return self._world.lake


class Heard:
    def ask(self) -> None:
        """Nobody answers."""

    def of(self, _: str) -> datetime | None:
        return None

    def held_by(self, _: str) -> str | None:
        return None


def shop() -> World:
    names = ("shop.raw", "shop.valid", "shop.dead", "shop.quarantine")
    ends_at = {(name, partition): 0 for name in names for partition in range(2)}
    return World(ends_at={**ends_at, ("shop.raw", 0): 100, ("shop.valid", 0): 80, ("shop.dead", 0): 3})


def made(world: World) -> Lag:
    anything: Any = world
    heard: Any = Heard()
    lake: Any = Lake(world)
    return Lag(("shop",), anything, anything, lake, heard, None, lambda: world.now)


def looked(lag: Lag) -> dict[str, LagJudged]:
    return {fact.consumer: fact for fact in lag.look()}


def test_an_operation_holds_what_it_says_until_it_says_no_longer() -> None:
    said: dict[str, object] = {"kind": "stream_held", "stream": "shop", "operation": "op1", "holds": "appends"}
    assert held_in([said, {"kind": "schema_read"}]) == {"lake shop": "op1"}
    assert held_in([{**said, "holds": "tables"}]) == {}
    assert held_in([{**said, "operation": None, "holds": None}]) == {}


def test_route_is_where_its_furthest_output_is() -> None:
    world = shop()
    world.headers = {("shop.valid", 0): b"0:89", ("shop.dead", 0): b"0:94"}
    route = looked(made(world))["route shop"]
    assert [each.position for each in route.partitions] == [95, 0]
    assert [each.lag_events for each in route.partitions] == [5, 0]
    assert (route.lag_s, route.error_s, route.partitions[0].source) == (5.0, 0.001, LagSource.RECORD)
    assert route.retention_s == 3595.0
    assert route.partitions[1].source is LagSource.CAUGHT_UP


def test_only_tails_that_have_moved_are_read_again() -> None:
    world = shop()
    world.headers = {("shop.valid", 0): b"0:99", ("shop.dead", 0): b"0:94"}
    lag = made(world)
    lag.look()
    assert world.reads[0] == {("shop.valid", 0): (79, 80), ("shop.dead", 0): (2, 3)}
    world.reads.clear()
    world.ends_at["shop.dead", 0] = 4
    lag.look()
    assert world.reads[0] == {("shop.dead", 0): (3, 4)}


@pytest.mark.parametrize("header", [b"", b"1:89", b"0:x"], ids=["none", "another-partitions", "no-number"])
def test_a_record_that_route_has_not_written_makes_its_position_unknown(header: bytes) -> None:
    world = shop()
    world.headers = {("shop.valid", 0): header, ("shop.dead", 0): b"0:94"}
    route = looked(made(world))["route shop"]
    assert route.partitions[0].position is None
    assert route.verdict is LagVerdict.UNKNOWN
    assert (route.lag_events, route.lag_s) == (None, None)


def test_lake_and_live_are_where_they_have_committed_and_at_the_beginning_before_that() -> None:
    world = shop()
    world.lake = {0: 60}
    world.commits = {"tidegate-live-shop": {("shop.valid", 0): 70}}
    facts = looked(made(world))
    assert [each.position for each in facts["lake shop"].partitions] == [60, 0]
    assert [each.position for each in facts["live shop"].partitions] == [70, 0]
    assert (facts["lake shop"].lag_events, facts["live shop"].lag_events) == (20, 10)
    assert set(facts) == {"route shop", "lake shop", "live shop"}, "live is not told of twice"


def test_groups_of_others_are_told_of_by_topic_and_shadows_are_not() -> None:
    world = shop()
    world.commits = {"billing": {("shop.valid", 0): 50, ("other", 1): 7}, "tidegate.lake.shop": {("shop.valid", 0): 1}}
    world.ends_at["other", 1] = 9
    facts = [fact for fact in made(world).look() if fact.consumer_kind is ConsumerKind.GROUP]
    assert [(fact.consumer, fact.topic, fact.stream) for fact in facts] == [
        ("billing", "shop.valid", "shop"),
        ("billing", "other", None),
    ]
    assert [each.lag_events for each in facts[0].partitions] == [30, 0]
    assert [each.lag_events for each in facts[1].partitions] == [0, 2]


def test_of_many_groups_a_few_are_asked_each_round_and_all_within_a_few() -> None:
    world = shop()
    world.commits = {f"group-{number}": {("shop.valid", 0): 80} for number in range(50)}
    lag, told = made(world), []
    for _ in range(5):
        facts = [fact.consumer for fact in lag.look() if fact.consumer_kind is ConsumerKind.GROUP]
        assert len(facts) <= 20
        told += facts
    assert set(told) == set(world.commits)
    assert lag.look()[-1].since == NOON, "who is not asked is remembered"


def test_a_group_whose_topic_is_gone_is_unknown() -> None:
    world = shop()
    world.commits = {"billing": {("gone", 0): 50}}
    billing = looked(made(world))["billing"]
    assert (billing.verdict, billing.reason) == (LagVerdict.UNKNOWN, "there is no topic gone")


def test_a_silent_broker_makes_everybody_unknown_and_nobody_caught_up() -> None:
    world = shop()
    world.headers = {("shop.valid", 0): b"0:99", ("shop.dead", 0): b"0:94"}
    world.commits = {"billing": {("shop.valid", 0): 80}}
    lag = made(world)
    assert looked(lag)["route shop"].verdict is LagVerdict.OK
    world.is_silent = True
    world.now += timedelta(seconds=1)
    facts = looked(lag)
    assert set(facts) == {"route shop", "lake shop", "live shop", "billing"}
    for fact in facts.values():
        assert fact.verdict is LagVerdict.UNKNOWN
        assert fact.reason == "the broker does not say: timed out"
        assert (fact.lag_events, fact.lag_s, fact.is_idle) == (None, None, False)
    assert facts["route shop"].since == world.now, "it was well until then"
    assert facts["billing"].stream == "shop"


def test_a_bounded_number_of_records_is_read_the_least_known_first() -> None:
    world = World(partitions=3 * READS)
    world.ends_at = {("shop.valid", partition): 100 for partition in range(3 * READS)}
    world.commits = {"billing": {("shop.valid", partition): 40 for partition in range(3 * READS)}}
    lag = made(world)
    dated = []
    for _ in range(4):
        world.reads.clear()
        billing = looked(lag)["billing"]
        assert all(len(each) <= READS for each in world.reads[1:]), "tails are read before"
        dated.append(sum(each.lag_s is not None for each in billing.partitions))
    assert dated[-1] == 3 * READS
    assert dated == sorted(dated)


def test_who_was_heard_of_is_known_by_what_parts_say_again_and_again() -> None:
    facts: list[dict[str, object]] = [
        {"kind": "schema_read", "reader": "lake", "stream": "shop", "at": "2026-01-01T12:00:00Z"},
        {"kind": "query_progressed", "query": "lake shop", "at": "2026-01-01T12:00:09Z"},
        {"kind": "part_changed", "part": "lake", "at": "2026-01-01T12:00:30Z"},
    ]
    assert heard_in(facts) == {"lake shop": NOON + timedelta(seconds=9)}


def test_a_hop_counts_what_its_topic_holds_and_a_topic_that_is_not_there_is_unknown() -> None:
    world = shop()
    anything: Any = world
    lake: Any = Lake(world)
    counts = Counts(Settings(), anything, lake)
    assert counts.count("shop", Hop.VALID) == 80
    with pytest.raises(UnknownError, match=r"there is no topic flights\.valid yet"):
        counts.count("flights", Hop.VALID)
    world.is_silent = True
    with pytest.raises(UnknownError, match="timed out"):
        counts.count("shop", Hop.DEAD)
