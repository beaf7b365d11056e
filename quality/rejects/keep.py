"""How do turned-away records get from their topics into the lake? One thread, in batches, each commit with its offsets.

A batch ends after 5 s or 20,000 records, so thousands of records do not become thousands of files; maintenance compacts the
rest by partition. What is hard is to begin: topics may not be there yet, and where to read on is known by the table alone.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import pyarrow as pa
from confluent_kafka import Consumer, KafkaException, TopicPartition
from deltalake.exceptions import DeltaError

from controlplane.contract.names import Hop, replays_topic, topic
from quality.inbox.index import KEPT
from quality.rejects.record import rows
from quality.rejects.table import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from confluent_kafka import Message

    from controlplane.contract.replays import RejectsKept
    from quality.inbox.inbox import Inbox

HOPS = (Hop.DEAD, Hop.QUARANTINE)
EVERY_S = 5.0
RECORDS_AT_MOST = 20_000
_LOOK_EVERY_S = 5.0
_AGAIN_AFTER_S = 2.0
_REPORT_EVERY_S = 2.0
_FORGET_EVERY_S = 3600.0
_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


class Keeper:
    """Keeps the records of all streams, from a thread of its own; `close` ends it."""

    def __init__(self, kafka: str, inboxes: Sequence[Inbox], report: Callable[[RejectsKept], None]) -> None:
        self._kafka, self._report = kafka, report
        self._inboxes = {each.stream.name: each for each in inboxes}
        self._by_topic = {topic(name, hop): (inbox, hop) for name, inbox in self._inboxes.items() for hop in HOPS}
        self._replays = {replays_topic(name): inbox for name, inbox in self._inboxes.items()}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-rejects", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Keep no more; what was read and is not committed is read again by the next one."""
        self._closing.set()
        self._thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                # What a commit that has failed did is known by the table alone.
                for inbox in self._inboxes.values():
                    self._load(inbox)
                with _Reading(self._kafka, self._by_topic, self._replays) as reading:
                    self._follow(reading)
            except (KafkaException, DeltaError, OSError) as error:
                _log.warning("turned-away records are not kept at the moment, it is tried again: %s", error)
                self._wait_after(error)
            except Exception as error:  # noqa: BLE001 (a record that nobody foresaw must not end the keeping)
                _log.exception("turned-away records are not kept; it is tried again")
                self._wait_after(error)

    def _wait_after(self, error: Exception) -> None:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        self._say_unknown(f"they are not being read: {first}")
        self._closing.wait(_AGAIN_AFTER_S)

    def _load(self, inbox: Inbox) -> None:
        inbox.index.replace(inbox.table.load())
        inbox.index.forget(datetime.now(UTC) - KEPT)

    def _follow(self, reading: _Reading) -> None:
        looked_at = reported_at = -_LOOK_EVERY_S
        forgot_at = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now - looked_at >= _LOOK_EVERY_S:
                reading.look(self._offsets)
                looked_at = now
            reading.take()
            if reading.is_due(time.monotonic()):
                self._keep(reading)
            if now - forgot_at >= _FORGET_EVERY_S:
                for inbox in self._inboxes.values():
                    inbox.index.forget(datetime.now(UTC) - KEPT)
                forgot_at = now
            if now - reported_at >= _REPORT_EVERY_S:
                self._say(reading)
                reported_at = now

    def _offsets(self, places: Iterable[Place]) -> dict[Place, int]:
        wanted = list(places)
        found: dict[Place, int] = {}
        for name, (inbox, _) in self._by_topic.items():
            found |= inbox.table.offsets([each for each in wanted if each.topic == name])
        return found

    def _keep(self, reading: _Reading) -> None:
        """One commit a stream: rows and offsets, then the index."""
        by_inbox: dict[str, list[tuple[str, list[Message]]]] = {}
        for name, messages in reading.taken.items():
            by_inbox.setdefault(self._by_topic[name][0].stream.name, []).append((name, messages))
        for stream, parts in by_inbox.items():
            inbox = self._inboxes[stream]
            made = pa.concat_tables([rows(self._by_topic[name][1], messages) for name, messages in parts])
            inbox.table.append(made, _ends(message for _, messages in parts for message in messages))
            inbox.index.add(made)
            for name, _ in parts:
                reading.taken.pop(name)

    def _say(self, reading: _Reading) -> None:
        for inbox in self._inboxes.values():
            missing = [
                topic(inbox.stream.name, hop) for hop in HOPS if topic(inbox.stream.name, hop) in reading.missing
            ]
            inbox.unknown = f"there is no topic {missing[0]} yet" if missing else None
            self._report(inbox.kept(datetime.now(UTC)))

    def _say_unknown(self, why: str) -> None:
        for inbox in self._inboxes.values():
            inbox.unknown = why
            self._report(inbox.kept(datetime.now(UTC)))


def _ends(messages: Iterable[Message]) -> dict[Place, int]:
    """Where to read on after these: they come in order within a partition."""
    return {Place(each.topic(), each.partition()): each.offset() + 1 for each in messages}


class _Reading:
    """A consumer at its place in every topic, and what it has read and is not kept yet."""

    def __init__(self, kafka: str, wanted: Mapping[str, tuple[Inbox, Hop]], replays: Mapping[str, Inbox]) -> None:
        self._wanted, self._replays = wanted, replays
        self._client = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "tidegate-quality",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "log_level": 2,
            }
        )
        self._assigned: set[Place] = set()
        self._since = 0.0
        self.taken: dict[str, list[Message]] = {}
        self.missing: set[str] = set(wanted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def look(self, offsets: Callable[[Iterable[Place]], dict[Place, int]]) -> None:
        """Take on partitions that are new, each from where the table ends.

        Raises:
            KafkaException: if the broker does not answer.
            DeltaError, OSError: if a table cannot be read.
        """
        there = self._client.list_topics(timeout=_TIMEOUT_S).topics
        self.missing = {name for name in self._wanted if name not in there}
        names = [name for name in (*self._wanted, *self._replays) if name in there]
        places = [Place(name, partition) for name in names for partition in there[name].partitions]
        new = [each for each in places if each not in self._assigned]
        if not new:
            return
        begin = offsets(new)
        starts = [TopicPartition(each.topic, each.partition, begin.get(each, 0)) for each in new]
        self._client.incremental_assign(starts)
        self._assigned.update(new)

    def take(self) -> None:
        """Read a little."""
        if not self._assigned:
            time.sleep(0.2)
            return
        for message in self._client.consume(2000, timeout=0.3):
            if message.error():
                raise KafkaException(message.error())
            if (inbox := self._replays.get(message.topic())) is not None:
                inbox.markers.fold_message(message.offset(), message.key(), message.value())
                continue
            if not self.taken:
                self._since = time.monotonic()
            self.taken.setdefault(message.topic(), []).append(message)

    def is_due(self, now: float) -> bool:
        """Is it time to keep what was read?"""
        count = sum(map(len, self.taken.values()))
        return count >= RECORDS_AT_MOST or (count > 0 and now - self._since >= EVERY_S)
