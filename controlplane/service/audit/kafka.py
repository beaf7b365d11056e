"""What of the record has Kafka, and how is more put there, each entry once and in order?

The topic itself says how far it is: its last committed record, read after our transactional id has shut out whoever had it before.
So nothing has to be kept of it anywhere else. One partition, kept for ever.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from controlplane.contract.audit import TOPIC
from controlplane.service.audit.keeper import CopyAwayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from confluent_kafka import Message

    from controlplane.contract.audit import AuditEntry

_TIMEOUT_S = 10.0
_LOOK_BACK = (2, 64, 4096)
"""Offsets before the end: commit markers and aborted records are offsets too."""
_QUIET = {"log_level": 0, "socket.timeout.ms": 10_000}
_CONFIG = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class KafkaCopy:
    """The topic, as a copy to hold the record against."""

    def __init__(self, bootstrap: str, topic: str = TOPIC, timeout_s: float = _TIMEOUT_S) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._timeout_s = timeout_s

    def entries(self) -> Iterator[tuple[int, str]]:
        """See `Copy`."""
        try:
            yield from self._read(None)
        except KafkaException as error:
            raise CopyAwayError(f"Kafka does not answer: {_said(error)}") from error

    def last(self) -> tuple[int, str] | None:
        """Number and hash of the last entry; None when it has none.

        Raises:
            KafkaException: if Kafka does not answer.
            CopyAwayError: if somebody else has written to the topic.
        """
        for back in (*_LOOK_BACK, None):
            if found := deque(self._read(back), maxlen=1):
                return found[0]
        return None

    def _read(self, back: int | None) -> Iterator[tuple[int, str]]:
        """Its entries from so many offsets before the end on, up to the end as it is now."""
        client = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "tidegate-audit",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                **_QUIET,
            }
        )
        try:
            if self._topic not in client.list_topics(timeout=self._timeout_s).topics:
                return
            low, high = client.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=self._timeout_s)
            client.assign([TopicPartition(self._topic, 0, low if back is None else max(low, high - back))])
            for message in _up_to(client, high):
                yield _entry(self._topic, message)
        finally:
            client.close()


def _entry(topic: str, message: Message) -> tuple[int, str]:
    try:
        said = json.loads(message.value())
        return int(said["seq"]), str(said["hash"])
    except (ValueError, KeyError, TypeError) as error:
        raise CopyAwayError(
            f"the record at offset {message.offset()} of {topic} is no entry: somebody else writes there"
        ) from error


def _up_to(client: Consumer, high: int) -> Iterator[Message]:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        for message in client.consume(1000, 0.2):
            deadline = time.monotonic() + _TIMEOUT_S
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
                return
            if error is not None:
                raise KafkaException(error)
            if message.offset() >= high:
                return
            yield message
        if time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no record came"))  # noqa: SLF001 (the same)


class KafkaSink:
    """The topic, as where entries are put."""

    def __init__(self, bootstrap: str, topic: str = TOPIC, timeout_s: float = _TIMEOUT_S) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._timeout_s = timeout_s
        self._producer: Producer | None = None

    def open(self) -> tuple[int, str] | None:
        """Shut out whoever exported before; what is the last entry then?

        Raises:
            CopyAwayError: if Kafka does not answer.
        """
        self._producer = None
        try:
            _make(self._bootstrap, self._topic, self._timeout_s)
            producer = Producer(
                {"bootstrap.servers": self._bootstrap, "transactional.id": f"tidegate-export-{self._topic}", **_QUIET}
            )
            producer.init_transactions(self._timeout_s)
            last = KafkaCopy(self._bootstrap, self._topic, self._timeout_s).last()
        except KafkaException as error:
            raise CopyAwayError(f"Kafka does not answer: {_said(error)}") from error
        self._producer = producer
        return last

    def put(self, entries: Sequence[AuditEntry]) -> None:
        """Put entries behind the last one: all of them, or none.

        Raises:
            CopyAwayError: if it is not known that they are there; `open` says then how far the topic is.
        """
        producer = self._producer
        if producer is None:
            raise CopyAwayError("it is not open")
        try:
            producer.begin_transaction()
            for entry in entries:
                value = json.dumps(entry.model_dump(mode="json"), ensure_ascii=False).encode()
                producer.produce(self._topic, value, str(entry.seq).encode(), partition=0)
            producer.commit_transaction(self._timeout_s)
        except (KafkaException, BufferError) as error:
            self._producer = None
            raise CopyAwayError(f"Kafka did not take them: {_said(error)}") from error


def _make(bootstrap: str, topic: str, timeout_s: float) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, **_QUIET})
    if topic in admin.list_topics(timeout=timeout_s).topics:
        return
    [made] = admin.create_topics([NewTopic(topic, 1, config=_CONFIG)], request_timeout=timeout_s).values()
    try:
        made.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _said(error: BaseException) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
