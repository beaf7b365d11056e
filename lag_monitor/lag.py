"""One round: where is every consumer, where are the ends, what must be read to know its seconds, and what is to be thought of it?

A round asks the broker a handful of questions for all partitions at once, and reads a bounded number of single records: first the
outputs of route that have moved, then what is needed to date a position (`dating`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deltalake.exceptions import DeltaError

from controlplane.contract.lag import ConsumerKind
from controlplane.contract.names import Hop, topic
from lag_monitor.dating import Dating
from lag_monitor.heard import Heard
from lag_monitor.judge import Consumer, Judge, Looked, Reading
from lag_monitor.kafka.records import Records
from lag_monitor.kafka.shadow import Shadow, shadow_group
from lag_monitor.positions.groups import LIVE_GROUP, Groups
from lag_monitor.positions.route import OUTPUTS, RouteTails
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from controlplane.contract.lag import LagJudged
    from controlplane.contract.settings import Settings
    from lag_monitor.kafka.cluster import Cluster
    from lag_monitor.kafka.records import Place
    from lag_monitor.positions.lake import LakeEnds

_TOPICS_EVERY_S = 10.0
_LOWS_EVERY_S = 5.0
_CONFIG_EVERY_S = 60.0


def watch_lag(
    settings: Settings, streams: Iterable[str], cluster: Cluster, lake: LakeEnds
) -> Callable[[], list[LagJudged]]:
    """A round over every query of the streams and every consumer group."""
    shadow = Shadow(cluster.admin) if settings.lag_shadow else None
    records, heard = Records(settings.kafka), Heard(settings.api, settings.service_token)
    return Lag(streams, cluster, records, lake, heard, shadow, lambda: datetime.now(UTC)).look


class Lag:
    """Every consumer of the cluster.

    Args:
        streams: whose queries are to be there.
        cluster: topics, ends and groups.
        records: reads single records.
        lake: where the lake is.
        heard: who was heard of.
        shadow: mirrors where the queries are; None: not wanted.
        now: the time.
    """

    def __init__(  # noqa: PLR0913 (what a round asks)
        self,
        streams: Iterable[str],
        cluster: Cluster,
        records: Records,
        lake: LakeEnds,
        heard: Heard,
        shadow: Shadow | None,
        now: Callable[[], datetime],
    ) -> None:
        self._streams = tuple(streams)
        self._cluster, self._records, self._lake, self._heard = cluster, records, lake, heard
        self._shadow, self._now = shadow, now
        self._route, self._groups, self._judge = RouteTails(), Groups(cluster), Judge()
        self._dating = Dating(records)
        self._topics: Mapping[str, tuple[int, ...]] = {}
        self._lows: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._retained: dict[str, float | None] = {}
        self._asked: dict[str, float] = {}

    def look(self) -> list[LagJudged]:
        """A fact for every consumer of every topic."""
        self._heard.ask()
        try:
            self._ask_broker()
            looked = self._dating.date(self._looked())
        except UnknownError as error:
            return self._silent(str(error))
        facts = [self._judge.judge(each) for each in looked]
        groups = {(group.name, name) for group in self._groups.others() for name in group.positions}
        self._judge.forget({(fact.consumer, fact.topic) for fact in facts} | groups)
        if self._shadow is not None:
            self._shadow.mirror(facts)
        return facts

    def _ask_broker(self) -> None:
        if self._is_due("topics", _TOPICS_EVERY_S):
            self._topics = self._cluster.topics()
        self._groups.ask()
        names = {topic(stream, hop) for stream in self._streams for hop in (Hop.RAW, *OUTPUTS)} | self._groups.topics()
        places = [(name, partition) for name in sorted(names) for partition in self._topics.get(name, ())]
        if self._is_due("lows", _LOWS_EVERY_S):
            self._lows |= self._cluster.lows(places)  # of one that nobody can tell of now it is as it was
        ends = self._cluster.ends(places)
        for place, end in ends.items():
            if end < self._ends.get(place, 0):
                self._dating.forget(place)
        self._ends = ends
        if self._is_due("config", _CONFIG_EVERY_S) or not names & set(self._topics) <= self._retained.keys():
            self._retained = self._cluster.retained_s(sorted(names & set(self._topics)))

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._asked.get(what, -every_s) < every_s:
            return False
        self._asked[what] = now
        return True

    def _looked(self) -> list[Looked]:
        self._read_tails()
        queries = [each for stream in self._streams for each in (self._of_route(stream), self._of_lake(stream))]
        queries += [self._of_live(stream) for stream in self._streams]
        return [*queries, *self._of_groups()]

    def _read_tails(self) -> None:
        wanted: dict[Place, tuple[int, int]] = {}
        for stream in self._streams:
            wanted |= self._route.wanted(stream, self._ends, self._lows)
        found = self._records.first(wanted)
        self._route.take(wanted, found)
        for place, record in found.items():
            self._dating.learn(place, wanted[place], record)

    def _of_route(self, stream: str) -> Looked:
        consumer = self._query("route", stream, Hop.RAW, Hop.VALID)
        at = {
            partition: self._route.position(stream, partition, self._lows.get((consumer.topic, partition), 0))
            for partition in self._topics.get(consumer.topic, ())
            if self._route.is_known(stream, partition, self._ends, self._lows)
        }
        return self._at(consumer, at, "the last record that route has written could not be read, or is not route's")

    def _of_lake(self, stream: str) -> Looked:
        consumer = self._query("lake", stream, Hop.VALID, Hop.LAKE)
        try:
            ends = self._lake.ends(stream)
        except (UnknownError, DeltaError, OSError) as error:
            return self._at(consumer, {}, str(error).splitlines()[0][:200])
        lows = {part: self._lows.get((consumer.topic, part), 0) for part in self._topics.get(consumer.topic, ())}
        return self._at(consumer, {partition: ends.get(partition, low) for partition, low in lows.items()})

    def _of_live(self, stream: str) -> Looked:
        consumer = self._query("live", stream, Hop.VALID, Hop.SERVING)
        committed = self._groups.committed(f"{LIVE_GROUP}{stream}")
        lows = {part: self._lows.get((consumer.topic, part), 0) for part in self._topics.get(consumer.topic, ())}
        return self._at(consumer, {part: committed.get((consumer.topic, part), low) for part, low in lows.items()})

    def _of_groups(self) -> list[Looked]:
        looked = []
        for group in self._groups.asked():
            for name, positions in group.positions.items():
                reason = f"the group has committed nothing for it, or there is no topic {name} any more"
                each = self._at(
                    self._group(group.name, name), positions, reason, heard=self._now() if group.has_members else None
                )
                looked.append(replace(each, is_gone=not group.has_members))
        return looked

    def _query(self, query: str, stream: str, source: Hop, hop: Hop) -> Consumer:
        name = f"{query} {stream}"
        shadow = shadow_group(name) if self._shadow is not None else None
        return Consumer(name, ConsumerKind.QUERY, topic(stream, source), stream, hop, shadow)

    def _group(self, name: str, topic_name: str) -> Consumer:
        owner = next((each for each in self._streams if topic_name.startswith(f"{each}.")), None)
        return Consumer(name, ConsumerKind.GROUP, topic_name, owner)

    def _at(
        self,
        consumer: Consumer,
        positions: Mapping[int, int],
        reason: str = "its position is not known",
        heard: datetime | None = None,
    ) -> Looked:
        readings = {
            partition: Reading(
                position=positions.get(partition),
                end=self._ends.get((consumer.topic, partition)),
                low=self._lows.get((consumer.topic, partition)),
                reason=reason if partition not in positions else "the broker does not say where its end is",
            )
            for partition in self._topics.get(consumer.topic, ())
        }
        return Looked(
            consumer=consumer,
            at=self._now(),
            readings=readings,
            heard_at=heard if consumer.kind is ConsumerKind.GROUP else self._heard.of(consumer.name),
            held_by=self._heard.held_by(consumer.name) if consumer.kind is ConsumerKind.QUERY else None,
            retained_s=self._retained.get(consumer.topic),
            reason=f"there is no topic {consumer.topic}" if not readings else None,
        )

    def _silent(self, reason: str) -> list[LagJudged]:
        """Nothing is known of anybody; those that were known are said to be unknown."""
        self._ends = {}
        looked = [
            self._at(self._query(query, stream, source, hop), {}, reason)
            for query, source, hop in (
                ("route", Hop.RAW, Hop.VALID),
                ("lake", Hop.VALID, Hop.LAKE),
                ("live", Hop.VALID, Hop.SERVING),
            )
            for stream in self._streams
        ]
        for group in self._groups.others():
            looked += [self._at(self._group(group.name, name), {}, reason) for name in group.positions]
        return [self._judge.judge(replace(each, reason=reason)) for each in looked]
