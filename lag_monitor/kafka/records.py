"""Which is the first record at or after an offset?

One consumer, for a few records a second: it is given all places at once, and each is let go as soon as it has answered, so that
nothing is fetched ahead. It reads what is committed. Offsets are also taken by transactions' markers and by aborted records, so a
stretch of them may hold nothing; the consumer's position passes over them, which no other question tells. (librdkafka's partition
EOF would, but says it once only for the same end.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, TopicPartition

from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message

Place = tuple[str, int]
"""Topic and partition."""
_AT_MOST_S = 2.0
_POLL_S = 0.01
_SETTINGS = {
    "group.id": "tidegate-lag",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "fetch.message.max.bytes": 65_536,
    "fetch.wait.max.ms": 20,
    "queued.min.messages": 1,
    "fetch.queue.backoff.ms": 5,
    "log_level": 2,
}


@dataclass(frozen=True)
class Found:
    """What was there from an offset on; without an offset nothing, up to `until`."""

    offset: int | None
    until: int
    timestamp_ms: int = 0
    is_stamped_by_broker: bool = False
    headers: tuple[tuple[str, bytes], ...] = ()


class Records:
    """Reads single records."""

    def __init__(self, bootstrap: str) -> None:
        self._settings = {"bootstrap.servers": bootstrap, **_SETTINGS}
        self._consumer = Consumer(self._settings)

    def first(self, places: Mapping[Place, tuple[int, int]]) -> dict[Place, Found]:
        """The first record in each `[start, end)`; left out is what is refused, or has not answered in 2 s.

        Raises:
            UnknownError: if nothing can be asked for at all.
        """
        try:
            found = self._first(dict(places)) if places else {}
        except KafkaException as error:
            self._consumer.close()
            self._consumer = Consumer(self._settings)  # what was assigned to the other is forgotten
            raise UnknownError(f"no record can be read: {error.args[0]}") from error
        return {place: answer for place, answer in found.items() if answer is not None}

    def _first(self, waits: dict[Place, tuple[int, int]]) -> dict[Place, Found | None]:
        found: dict[Place, Found | None] = {}
        self._consumer.incremental_assign([TopicPartition(*place, start) for place, (start, _) in waits.items()])
        deadline = time.monotonic() + _AT_MOST_S
        while waits and time.monotonic() < deadline:
            answered = self._polled(waits)
            if answered:
                found |= answered
                waits = {place: wanted for place, wanted in waits.items() if place not in answered}
                self._consumer.incremental_unassign([TopicPartition(*place) for place in answered])
        if waits:
            self._consumer.incremental_unassign([TopicPartition(*place) for place in waits])
        return found

    def _polled(self, waits: Mapping[Place, tuple[int, int]]) -> dict[Place, Found | None]:
        """A record if one has come; else the places that have passed their end without one."""
        message = self._consumer.poll(_POLL_S)
        if message is None:
            at = self._consumer.position([TopicPartition(*place) for place in waits])
            passed = {(each.topic, each.partition): each.offset for each in at}
            return {place: Found(None, passed[place]) for place, (_, end) in waits.items() if passed[place] >= end}
        place = (message.topic() or "", message.partition() or 0)
        return {place: _answer(message)} if place in waits else {}


def _answer(message: Message) -> Found | None:
    """None when the partition is refused: it is gone, say."""
    if message.error() is not None:
        return None
    kind, timestamp_ms = message.timestamp()
    offset = message.offset() or 0
    headers = tuple((name, value or b"") for name, value in message.headers() or ())
    return Found(offset, offset + 1, timestamp_ms, kind == TIMESTAMP_LOG_APPEND_TIME, headers)
