"""How do we talk to the broker: topics that exist, consumers that never guess, and the last record of a partition?

The last record is the hard part. A partition's end offset counts commit markers and aborted records too, so the record
before it may not be one: we look back, a little further each time, until one comes.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from controlplane.contract.names import Hop, topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from confluent_kafka import Message

    from controlplane.contract.streams import StreamDefinition

TOPIC_HOPS = (Hop.RAW, Hop.VALID, Hop.DEAD, Hop.QUARANTINE)
OUTPUT_HOPS = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)
_TIMEOUT_S = 10.0
_POLL_S = 0.05
_AT_ONCE = 10_000
_AWAY = (
    KafkaError._TRANSPORT,  # noqa: SLF001 (the client's own errors: their public names)
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
)
_LOOK_BACK = (1, 2, 8, 64, 1024, 65536)
_log = logging.getLogger(__name__)


def consumer(bootstrap: str, group: str = "tidegate", **options: str | float | bool) -> Consumer:
    """A `read_committed` consumer that commits nothing by itself; positions are set by `assign`."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
            "fetch.wait.max.ms": 20,
            "log_level": 3,
            **options,
        }
    )


def await_broker(bootstrap: str, within_s: float = 120.0) -> AdminClient:
    """Wait until the broker answers.

    Raises:
        TimeoutError: if it does not in time.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    deadline = time.monotonic() + within_s
    while True:
        try:
            admin.list_topics(timeout=2)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kafka at {bootstrap} did not answer in {within_s:.0f} s: {error}") from error
        else:
            return admin


def may_pass(error: KafkaException) -> bool:
    """Is this a broker that is away, starts, or hands over, rather than one that says no?"""
    cause = error.args[0]
    return bool(cause.retriable() or cause.code() in _AWAY)


def ensure_topics(admin: AdminClient, stream: StreamDefinition) -> None:
    """Create a stream's topics where missing, and give its outputs at least the partitions of its source.

    Raises:
        TimeoutError: if the broker does not show them all in time.
        KafkaException: if it refuses.
    """
    existing = admin.list_topics(timeout=_TIMEOUT_S).topics
    raw = existing.get(topic(stream.name, Hop.RAW))
    partitions = max(stream.topics.partitions, len(raw.partitions) if raw else 0)
    missing = [hop for hop in TOPIC_HOPS if topic(stream.name, hop) not in existing]
    _settle(admin.create_topics([_new_topic(stream, hop, partitions) for hop in missing]) if missing else {})
    short = [
        NewPartitions(name, partitions)
        for name in (topic(stream.name, hop) for hop in TOPIC_HOPS)
        if name in existing and 0 < len(existing[name].partitions) < partitions  # none: just created by someone else
    ]
    _settle(admin.create_partitions(short) if short else {})
    _await_partitions(admin, [topic(stream.name, hop) for hop in TOPIC_HOPS], partitions)


def _await_partitions(admin: AdminClient, names: Sequence[str], partitions: int) -> None:
    """A topic that we or another part have just created may be shown without its partitions for a moment more."""
    deadline = time.monotonic() + _TIMEOUT_S
    while short := [name for name in names if len(partitions_of(admin, name)) < partitions]:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"the broker has not shown {partitions} partitions of {', '.join(short)} in {_TIMEOUT_S} s"
            )
        time.sleep(_POLL_S)


def topic_config(stream: StreamDefinition, hop: Hop) -> dict[str, str]:
    """How a stream's topic is configured."""
    keep = stream.topics.retention if hop is Hop.RAW else 2 * stream.topics.retention
    return {
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(round(keep.total_seconds() * 1000)),
        "min.insync.replicas": str(max(1, stream.topics.replication - 1)),
    }


def _new_topic(stream: StreamDefinition, hop: Hop, partitions: int) -> NewTopic:
    return NewTopic(
        topic(stream.name, hop),
        num_partitions=partitions,
        replication_factor=stream.topics.replication,
        config=topic_config(stream, hop),
    )


def _settle(futures: dict[str, object]) -> None:
    for name, future in futures.items():
        try:
            future.result(timeout=_TIMEOUT_S)  # type: ignore[attr-defined]
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise
            _log.info("topic %s was created by someone else meanwhile", name)


def partitions_of(admin: AdminClient, name: str) -> list[int]:
    """Partition numbers of a topic, ascending; empty when there is no such topic."""
    metadata = admin.list_topics(name, timeout=_TIMEOUT_S).topics[name]
    return sorted(metadata.partitions)


def watermarks(
    client: Consumer, name: str, partitions: Iterable[int], within_s: float = _TIMEOUT_S
) -> dict[int, tuple[int, int]]:
    """First and end offset of each partition, as the broker has them now; `within_s` for each.

    Raises:
        KafkaException: if the broker does not say.
    """
    return {partition: _watermark(client, TopicPartition(name, partition), within_s) for partition in partitions}


def _watermark(client: Consumer, place: TopicPartition, within_s: float) -> tuple[int, int]:
    """A client that was made before a partition learns of it only by asking."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            found: tuple[int, int] = client.get_watermark_offsets(place, timeout=within_s, cached=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._UNKNOWN_PARTITION or time.monotonic() > deadline:  # noqa: SLF001
                raise
            client.list_topics(place.topic, timeout=_TIMEOUT_S)
            time.sleep(_POLL_S)
        else:
            return found


def last_record(client: Consumer, name: str, partition: int) -> Message | None:
    """The newest committed record of a partition; None when it holds none."""
    low, high = watermarks(client, name, [partition])[partition]
    for back in _LOOK_BACK:
        start = max(low, high - back)
        records = read_range(client, name, partition, start, high)
        if records:
            return records[-1]
        if start == low:
            return None
    return None


def read_range(client: Consumer, name: str, partition: int, start: int, until: int) -> Sequence[Message]:
    """Committed records of a partition in `[start, until)`, in order.

    Raises:
        KafkaException: if the broker refuses.
        TimeoutError: if it stops answering.
    """
    if start >= until:
        return []
    here = TopicPartition(name, partition, start)
    client.assign([here])
    deadline = time.monotonic() + _TIMEOUT_S
    records: list[Message] = []
    while (at := client.position([here])[0].offset) < until:
        # Asked for more than there is, it would wait for its whole time.
        got = client.consume(min(_AT_ONCE, until - max(at, start)), timeout=_POLL_S)
        for message in got:
            if message.error():
                raise KafkaException(message.error())
        records.extend(message for message in got if message.offset() < until)
        if records and records[-1].offset() >= until - 1:
            break
        if got:
            deadline = time.monotonic() + _TIMEOUT_S
        elif time.monotonic() > deadline:
            raise TimeoutError(f"{name}[{partition}] gave no record before offset {until} in {_TIMEOUT_S:.0f} s")
    client.unassign()
    return records
