"""What are the newest records of the valid topics? A bounded number of each partition, each record once.

A round reads what has come since the round before, of that the newest 50 of each partition. That is a sample, and not of all: a
gap at the boundary of a batch shows if the look falls behind it, and its share of the events is not exact.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, TopicPartition

from lag_monitor.kafka.cluster import Cluster
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from confluent_kafka import Message

    from lag_monitor.kafka.records import Place

RECORDS_AT_MOST = 50
"""Of a partition and a round."""
_WITHIN_S = 1.0
_POLL_S = 0.05
_TOPICS_EVERY_S = 10.0
_SETTINGS = {
    "group.id": "tidegate-latency",
    "enable.auto.commit": False,
    "auto.offset.reset": "latest",
    "fetch.message.max.bytes": 65_536,
    "fetch.wait.max.ms": 20,
    "log_level": 2,
}


class Tails:
    """Reads the ends of topics."""

    def __init__(self, bootstrap: str) -> None:
        self._cluster = Cluster(bootstrap)
        self._consumer = Consumer({"bootstrap.servers": bootstrap, **_SETTINGS})
        self._read: dict[Place, int] = {}
        self._topics: dict[str, tuple[int, ...]] = {}
        self._topics_at = -_TOPICS_EVERY_S

    def newest(self, topics: Iterable[str]) -> Iterator[Message]:
        """The newest records that were not read before; at first none, because how long they lay there is not known.

        Raises:
            UnknownError: if the broker does not say where the ends are, or refuses.
        """
        if time.monotonic() - self._topics_at >= _TOPICS_EVERY_S:
            self._topics, self._topics_at = self._cluster.topics(), time.monotonic()
        places = [(topic, partition) for topic in topics for partition in self._topics.get(topic, ())]
        ends = self._cluster.ends(places)
        wanted = {
            place: (max(self._read[place], end - RECORDS_AT_MOST), end)
            for place, end in ends.items()
            if end > self._read.get(place, end)
        }
        self._read.update(ends)
        yield from self._consumed(wanted)

    def _consumed(self, wanted: dict[Place, tuple[int, int]]) -> Iterator[Message]:
        if not wanted:
            return
        missing = sum(end - start for start, end in wanted.values())
        deadline = time.monotonic() + _WITHIN_S
        self._consumer.assign([TopicPartition(*place, start) for place, (start, _) in wanted.items()])
        try:
            while missing > 0 and time.monotonic() < deadline:
                for message in self._consumer.consume(missing, timeout=_POLL_S):
                    if message.error() is not None:
                        raise UnknownError(f"the broker gives no record: {message.error()}")
                    if message.offset() < wanted[message.topic(), message.partition()][1]:
                        missing -= 1
                        yield message
        except KafkaException as error:
            raise UnknownError(f"the broker gives no record: {error}") from error
        finally:
            self._consumer.unassign()
