"""How is a record replayed at most once, whatever is killed when?

One Kafka transaction has both the events for the raw topic and, for each, the marker that says as which raw record it was
sent. Either all of it is there or nothing. One writer a stream: it has a fixed transactional id, so a new one fences off an
older one and ends what that had open; only then are the markers read that say what has been done (KIP-98).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from controlplane.contract.names import HEADER_PRODUCER, Hop, replays_topic, topic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.replays import Marker
    from controlplane.contract.streams import StreamDefinition
    from quality.inbox.markers import Markers

_TIMEOUT_S = 30.0
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 (their public names)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outgoing:
    """One record of a transaction."""

    id: str
    key: bytes
    value: bytes | None
    """For the raw topic; None when it is discarded."""


class ReplayWriter:
    """The one writer of a stream's markers, and of what is replayed into its raw topic."""

    def __init__(self, kafka: str, stream: StreamDefinition, markers: Markers) -> None:
        self._kafka, self._stream, self._markers = kafka, stream, markers
        self._name = f"tidegate-replay-{stream.name}"
        self._raw, self._replays = topic(stream.name, Hop.RAW), replays_topic(stream.name)
        self._producer: Producer | None = None

    def begin(self) -> Producer:
        """Fence off a writer of before, and learn what has been done; the producer that writes from now on.

        Raises:
            KafkaException: if the broker refuses or is away.
            TimeoutError: if it does not say.
        """
        ensure_replays_topic(self._kafka, self._stream)
        producer = Producer(
            {
                "bootstrap.servers": self._kafka,
                "transactional.id": self._name,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "log_level": 2,
            }
        )
        producer.init_transactions(_TIMEOUT_S)
        catch_up(self._kafka, self._replays, self._markers)
        self._producer = producer
        return producer

    def write(self, records: Sequence[Outgoing], marker: Callable[[str, str | None], Marker]) -> int:
        """Send records and their markers in one transaction; those that have a marker already are left out.

        Args:
            records: what to send or to discard.
            marker: of a record, given its id and the `partition:offset` in the raw topic.

        Returns:
            How many were written.

        Raises:
            KafkaException: if nothing was written; `begin` has to be called again.
        """
        open_ids = set(self._markers.waiting(each.id for each in records))
        left = [each for each in records if each.id in open_ids]
        if not left:
            return 0
        producer = self._open()
        try:
            producer.begin_transaction()
            places = self._send_events(producer, left)
            made = [(each.id, marker(each.id, places.get(each.id))) for each in left]
            offsets = self._send_markers(producer, made)
            _commit(producer)
        except BaseException:
            self._give_up(producer)
            raise
        for (record, one), offset in zip(made, offsets, strict=True):
            self._markers.fold(offset, record, one)
        return len(made)

    def end(self) -> None:
        """Let go of the broker until the next `begin`."""
        self._producer = None

    def _send_events(self, producer: Producer, records: Sequence[Outgoing]) -> dict[str, str]:
        """Id -> `partition:offset` in the raw topic, as the broker has given them."""
        headers = [(HEADER_PRODUCER, self._name.encode())]
        sent = [each for each in records if each.value is not None]
        messages = [(each.id, self._raw, each.key, each.value, headers, None) for each in sent]
        return {record: f"{partition}:{offset}" for record, partition, offset in _delivered(producer, messages)}

    def _send_markers(self, producer: Producer, made: Sequence[tuple[str, Marker]]) -> list[int]:
        messages: list[tuple[Any, ...]] = [
            (record, self._replays, record.encode(), one.model_dump_json(exclude_defaults=True).encode(), [], 0)
            for record, one in made
        ]
        offsets = {record: offset for record, _, offset in _delivered(producer, messages)}
        return [offsets[record] for record, _ in made]

    def _open(self) -> Producer:
        return self.begin() if self._producer is None else self._producer

    def _give_up(self, producer: Producer) -> None:
        """What is not known to be there is asked for anew: the next writer ends the transaction, and reads the markers."""
        self._producer = None
        try:
            producer.abort_transaction(_TIMEOUT_S)
        except KafkaException as error:
            _log.warning("%s: the transaction was not aborted by us: %s", self._name, error)


def _delivered(producer: Producer, messages: Sequence[tuple[Any, ...]]) -> list[tuple[str, int, int]]:
    """Produce, and wait for where the broker has put each: id, partition, offset."""
    found: list[tuple[str, int, int]] = []
    failed: list[KafkaException] = []

    def note(record: str) -> Callable[[Any, Any], None]:
        def noted(error: Any, message: Any) -> None:  # noqa: ANN401 (the client is untyped)
            if error is None:
                found.append((record, message.partition(), message.offset()))
            elif error.code() not in _PURGED:
                failed.append(KafkaException(error))

        return noted

    for record, *message in messages:
        _produce(producer, message, note(record))
    left = producer.flush(_TIMEOUT_S)
    if failed:
        raise failed[0]
    if left or len(found) < len(messages):
        raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001 (its public name)
    return found


def _produce(producer: Producer, message: Sequence[Any], noted: Callable[[Any, Any], None]) -> None:
    """Queue one; waits while the client's buffer is full."""
    name, key, value, headers, partition = message
    where = {} if partition is None else {"partition": partition}
    while True:
        try:
            producer.produce(name, value, key=key, headers=headers, on_delivery=noted, **where)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _commit(producer: Producer) -> None:
    """A broker that is away may have taken the commit: only asking for the same again tells."""
    while True:
        try:
            producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
        else:
            return


def ensure_replays_topic(kafka: str, stream: StreamDefinition) -> None:
    """Create the topic of markers where it is missing: compacted, one partition, kept for ever.

    Raises:
        KafkaException: if the broker refuses or is away.
    """
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 2})
    name = replays_topic(stream.name)
    if name in admin.list_topics(timeout=_TIMEOUT_S).topics:
        return
    config = {
        "cleanup.policy": "compact",
        "retention.ms": "-1",
        "min.insync.replicas": str(max(1, stream.topics.replication - 1)),
    }
    wanted = NewTopic(name, num_partitions=1, replication_factor=stream.topics.replication, config=config)
    try:
        admin.create_topics([wanted])[name].result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            raise


def catch_up(kafka: str, name: str, markers: Markers) -> None:
    """Fold every marker that is committed by now.

    Raises:
        KafkaException: if the broker refuses.
        TimeoutError: if it stops answering.
    """
    client = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "tidegate-quality",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "log_level": 2,
        }
    )
    try:
        low, high = client.get_watermark_offsets(TopicPartition(name, 0), timeout=_TIMEOUT_S, cached=False)
        start = max(low, markers.next_offset)
        if start < high:
            client.assign([TopicPartition(name, 0, start)])
            _read_to_end(client, name, markers)
    finally:
        client.close()


def _read_to_end(client: Consumer, name: str, markers: Markers) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        for message in client.consume(5000, timeout=0.5):
            deadline = time.monotonic() + _TIMEOUT_S
            error = message.error()
            if error is None:
                markers.fold_message(message.offset(), message.key(), message.value())
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
                return
            else:
                raise KafkaException(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} gave nothing for {_TIMEOUT_S:.0f} s")
