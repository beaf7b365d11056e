"""How does a program send events? Avro by the registry, idempotent, in transactions.

    with EventProducer(stream, kafka, registry, transactional_id="orders-1") as producer, producer.transaction() as send:
        send({"order_id": "o-1", ...})

Either all events of a transaction are read downstream or none is. A producer that starts with the transactional id of
an earlier one fences it off: two never write at once (KIP-98).
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from controlplane.contract.names import HEADER_FEED_POSITION, HEADER_PRODUCER, Hop, topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.streams import StreamDefinition

_TIMEOUT_S = 30.0
_BUFFER_KIB = 32 * 1024
"""Events that wait for the broker; when it is full, `send` waits: that is how a fast producer is pushed back."""
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 (their public names)
"""What an aborted transaction's events end with: that is what aborting means."""


class Send(Protocol):
    """Takes one event into the open transaction."""

    def __call__(self, value: dict[str, Any] | bytes, *, key: str | None = None, position: int | None = None) -> None:
        """Queue an event, blocking while the client's buffer is full.

        Args:
            value: fields by the stream's schema, or bytes to send as they are.
            key: Kafka key; taken from the stream's key fields when absent.
            position: the sender's own sequence number, kept in a header.

        Raises:
            SerializationError: if the value does not fit the schema.
        """


class EventProducer:
    """A transactional producer of one stream's raw topic."""

    def __init__(self, stream: StreamDefinition, kafka: str, registry: str, *, transactional_id: str) -> None:
        self._stream = stream
        self._topic = topic(stream.name, Hop.RAW)
        self._context = SerializationContext(self._topic, MessageField.VALUE)
        client = SchemaRegistryClient({"url": registry})
        self._serialize = AvroSerializer(client, json.dumps(stream.avro_schema))
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "transactional.id": transactional_id,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "queue.buffering.max.kbytes": _BUFFER_KIB,
                "linger.ms": 5,
                "log_level": 3,
            }
        )
        self._who = (HEADER_PRODUCER, transactional_id.encode())
        self._failed: list[KafkaException] = []
        self._lock = threading.Lock()
        self._producer.init_transactions(_TIMEOUT_S)

    def encode(self, value: dict[str, Any]) -> bytes:
        """The framed Avro bytes of an event: magic byte, schema id, body."""
        return bytes(self._serialize(value, self._context))

    @contextmanager
    def transaction(self) -> Iterator[Send]:
        """Commit what is sent inside; abort all of it if the block raises.

        Raises:
            KafkaException: if the broker refuses, or another producer has taken over the transactional id.
        """
        self._producer.begin_transaction()
        try:
            yield self._send
            self._raise_failed()
        except BaseException:
            self._failed.clear()
            self._producer.abort_transaction(_TIMEOUT_S)
            raise
        self._commit()
        self._raise_failed()

    def _commit(self) -> None:
        """A broker that is away may have taken the commit: only asking for the same again tells."""
        while True:
            try:
                self._producer.commit_transaction(_TIMEOUT_S)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return

    def _send(self, value: dict[str, Any] | bytes, *, key: str | None = None, position: int | None = None) -> None:
        encoded = value if isinstance(value, bytes) else self.encode(value)
        if key is None and isinstance(value, dict):
            key = "|".join(str(value.get(field) or "") for field in self._stream.key)
        headers = [self._who] if position is None else [self._who, (HEADER_FEED_POSITION, str(position).encode())]
        while True:
            try:
                self._producer.produce(self._topic, encoded, key=key, headers=headers, on_delivery=self._note_failure)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _note_failure(self, error: Any, _message: Any) -> None:  # noqa: ANN401 (the client is untyped)
        if error is not None and error.code() not in _PURGED:
            with self._lock:
                self._failed.append(KafkaException(error))

    def _raise_failed(self) -> None:
        with self._lock:
            if self._failed:
                raise self._failed.pop()

    def flush(self) -> None:
        """Wait until the broker has what was sent so far; inside a transaction nobody reads it yet."""
        self._producer.flush(_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.flush(_TIMEOUT_S)
