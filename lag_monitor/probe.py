"""How long does an event take while nobody produces, or nobody watches? One is sent each second, as a producer would.

It is sent from here because nothing on its way is: when route, live or ClickHouse is down probes are still sent, and late. It is
a transaction of its own, so it waits for its commit as every other event does. It is timed where all others are.
"""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
from confluent_kafka import KafkaException, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from controlplane.contract.latency import ProbeSent
from controlplane.contract.names import HEADER_PRODUCER, Hop, topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from lag_monitor.kafka.cluster import Cluster

EVERY_S = 1.0
_ID = "tidegate-probe"
_TIMEOUT_S = 5.0


def watch_probe(settings: Settings, stream: StreamDefinition, cluster: Cluster) -> Callable[[], Iterable[ProbeSent]]:
    """A round: one probe is in the raw topic, or why it is not."""
    sender = _Sender(settings, stream, cluster)

    def look() -> list[ProbeSent]:
        now = datetime.now(UTC)
        try:
            sender.send(now)
        except (KafkaException, SchemaRegistryError, httpx.HTTPError, OSError) as error:
            sender.begin_anew()
            return [ProbeSent(at=datetime.now(UTC), sent_at=sender.sent_at, reason=f"no probe could be sent: {error}")]
        return [ProbeSent(at=datetime.now(UTC), sent_at=sender.sent_at)]

    return look


class _Sender:
    """A transactional producer; one that has failed is replaced."""

    def __init__(self, settings: Settings, stream: StreamDefinition, cluster: Cluster) -> None:
        self.sent_at: datetime | None = None
        self._kafka, self._cluster = settings.kafka, cluster
        self._topic = topic(stream.name, Hop.RAW)
        self._context = SerializationContext(self._topic, MessageField.VALUE)
        registry = SchemaRegistryClient({"url": settings.registry})
        self._serialize = AvroSerializer(registry, json.dumps(stream.avro_schema))
        self._producer: Producer | None = None

    def send(self, now: datetime) -> None:
        """One probe.

        Raises:
            KafkaException, SchemaRegistryError, httpx.HTTPError, OSError: if it cannot be sent.
        """
        producer = self._producer or self._begun()
        value = self._serialize({"sender": socket.gethostname(), "sent_at": now}, self._context)
        producer.begin_transaction()
        producer.produce(self._topic, value, key=_ID, headers=[(HEADER_PRODUCER, _ID.encode())])
        producer.commit_transaction(_TIMEOUT_S)
        self.sent_at = now

    def begin_anew(self) -> None:
        """The next one is sent by a new producer, which ends what the one before had open."""
        self._producer = None

    def _begun(self) -> Producer:
        if self._topic not in self._cluster.topics():
            raise OSError(f"route has not made the topic {self._topic} yet")
        settings = {"bootstrap.servers": self._kafka, "transactional.id": _ID, "linger.ms": 5, "log_level": 2}
        producer = Producer(settings)
        producer.init_transactions(_TIMEOUT_S)
        self._producer = producer
        return producer
