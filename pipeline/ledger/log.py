"""Where does the ledger read a stream's four topics? One reading of all their partitions at once, `read_committed`.

It asks for the ends of all partitions in one request, and lets the broker gather for a moment rather than answer each
record by itself: the ledger is late by a fraction of a second anyway, and an answer costs more than what is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from confluent_kafka import IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from controlplane.contract.names import HEADER_PRODUCER, HEADER_SOURCE, Hop, topic
from pipeline.kafka import TOPIC_HOPS, consumer, partitions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from confluent_kafka import Message

Place = tuple[Hop, int]
"""A topic of the stream, by its hop, and one of its partitions."""
_TIMEOUT_S = 3.0
_AT_ONCE = 20_000
_WITHIN_S = 0.1
_OPTIONS: dict[str, str | float | bool] = {
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "fetch.wait.max.ms": 200,
    "fetch.min.bytes": 256 * 1024,
    "queued.max.messages.kbytes": 32 * 1024,
}


class Log(Protocol):
    """The four topics of a stream; what goes wrong is a `KafkaException`."""

    def places(self) -> list[Place]:
        """Every partition that there is now."""

    def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """First offset that is still there."""

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """End offset of what is committed."""

    def read_from(self, positions: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on, and no others."""

    def read(self) -> Sequence[tuple[Hop, Message]]:
        """What has come; a message with the error `_PARTITION_EOF` says that a partition ends at its offset."""

    def close(self) -> None:
        """Let go of the broker."""


class KafkaLog:
    """The real one."""

    def __init__(self, bootstrap: str, stream: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self._client = consumer(bootstrap, group="tidegate-ledger", **_OPTIONS)
        self._hops = {topic(stream, hop): hop for hop in TOPIC_HOPS}
        self._names = {hop: name for name, hop in self._hops.items()}

    def places(self) -> list[Place]:
        """See `Log`."""
        return [(hop, partition) for hop, name in self._names.items() for partition in partitions_of(self._admin, name)]

    def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """See `Log`."""
        return self._offsets(places, OffsetSpec.earliest())

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """See `Log`."""
        return self._offsets(places, OffsetSpec.latest())

    def read_from(self, positions: Mapping[Place, int]) -> None:
        """See `Log`."""
        self._client.assign(
            [TopicPartition(self._names[hop], partition, offset) for (hop, partition), offset in positions.items()]
        )

    def read(self) -> Sequence[tuple[Hop, Message]]:
        """See `Log`."""
        hops = self._hops
        got = self._client.consume(_AT_ONCE, timeout=_WITHIN_S)
        return [(hops.get(message.topic(), Hop.RAW), message) for message in got]  # an error may be of no topic

    def close(self) -> None:
        """See `Log`."""
        self._client.close()

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(self._names[hop], partition): spec for hop, partition in places}
        found = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT_S
        )
        return {(self._hops[each.topic], each.partition): future.result().offset for each, future in found.items()}


class FakeMessage:
    """A record of a `FakeLog`, or the news of a partition's end."""

    def __init__(  # noqa: PLR0913 (all that a record has)
        self,
        place: Place,
        offset: int,
        source: int | None = None,
        *,
        at_ms: int = 0,
        error: int = 0,
        value: bytes = b"",
        producer: str | None = None,
    ) -> None:
        self._hop, self._partition = place
        self._offset, self._source, self._at_ms, self._error = offset, source, at_ms, error
        self._value, self._producer = value, producer

    def topic(self) -> str:
        """A topic's name."""
        return topic("fake", self._hop)

    def partition(self) -> int:
        """Its number."""
        return self._partition

    def offset(self) -> int:
        """Its own offset, not its source's."""
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        """Kind and milliseconds."""
        return 2, self._at_ms

    def headers(self) -> list[tuple[str, bytes]] | None:
        """Of an output record: where it came from; of a raw one: who sent it."""
        if self._producer is not None:
            return [(HEADER_PRODUCER, self._producer.encode())]
        return None if self._source is None else [(HEADER_SOURCE, f"{self._partition}:{self._source}".encode())]

    def value(self) -> bytes:
        """What it holds."""
        return self._value

    def error(self) -> KafkaError | None:
        """The news of an end, or what went wrong."""
        return KafkaError(self._error) if self._error else None


class FakeLog:
    """Topics in memory: lists of records by place, None for a transaction's marker.

    Args:
        records: what there is, and may be added to.
        some: how much of a partition's rest one reading gives; all of it when nothing is said.
    """

    def __init__(
        self, records: dict[Place, list[FakeMessage | None]], some: Callable[[int], int] = lambda rest: rest
    ) -> None:
        self.records, self._some = records, some
        self.dropped: dict[Place, int] = {}
        """How many records retention has taken."""
        self.failures: list[Exception] = []
        """What the next readings raise, and lose what they had."""
        self.says_ends = True
        """Whether the news of a partition's end comes: on a busy one it never may."""
        self._positions: dict[Place, int] = {}

    def places(self) -> list[Place]:
        """See `Log`."""
        return list(self.records)

    def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """See `Log`."""
        return {place: self.dropped.get(place, 0) for place in places}

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """See `Log`."""
        return {place: len(self.records[place]) for place in places}

    def read_from(self, positions: Mapping[Place, int]) -> None:
        """See `Log`."""
        self._positions = dict(positions)

    def read(self) -> list[tuple[Hop, FakeMessage]]:
        """See `Log`."""
        got = [(place[0], message) for place in self._positions for message in self._rest(place)]
        if self.failures:
            raise self.failures.pop()
        return got

    def _rest(self, place: Place) -> list[FakeMessage]:
        rest = self.records[place][self._positions[place] :]
        taken = rest[: self._some(len(rest))]
        self._positions[place] += len(taken)
        given = [each for each in taken if each is not None]
        is_end = self.says_ends and len(taken) == len(rest)
        news = FakeMessage(place, self._positions[place], error=KafkaError._PARTITION_EOF)  # noqa: SLF001 (its public name)
        return [*given, news] if is_end else given

    def close(self) -> None:
        """See `Log`."""
