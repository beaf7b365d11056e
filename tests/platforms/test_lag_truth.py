"""Lag against a known truth: records, timestamps, markers and gaps that the test has written, groups at many positions."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from controlplane.contract.lag import ConsumerKind, LagJudged, LagSource, LagVerdict, PartitionLag
from controlplane.up import Platform
from lag_monitor.heard import Heard
from lag_monitor.kafka.cluster import Cluster
from lag_monitor.kafka.records import Records
from lag_monitor.kafka.shadow import Shadow, shadow_group
from lag_monitor.lag import Lag
from lag_monitor.positions.lake import LakeEnds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PARTITIONS = 3
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker alone."""
    stopping = threading.Event()
    with Platform(tmp_path_factory.mktemp("broker"), only=("kafka",), told=lambda _: None) as platform:
        platform.start()
        thread = threading.Thread(target=platform.run_until, args=(stopping.is_set,), daemon=True)
        thread.start()
        yield platform.settings.kafka
        stopping.set()
        thread.join(10)


@pytest.fixture
def admin(kafka: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka})


@pytest.fixture
def lag(kafka: str, tmp_path: Path) -> Lag:
    """Of no stream of ours: every group of the cluster."""
    away = Heard("http://127.0.0.1:9", "")
    return Lag((), Cluster(kafka), Records(kafka), LakeEnds(str(tmp_path)), away, None, lambda: datetime.now(UTC))


def make_topic(admin: AdminClient, eventually: Callable[..., object], **config: str) -> str:
    name = f"truth-{uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config)])[name].result()
    eventually(
        lambda: len(admin.list_topics(name, timeout=5).topics[name].partitions) == PARTITIONS, "the topic is there"
    )
    return name


class Writer:
    """A transactional producer; the markers of its transactions take offsets too."""

    def __init__(self, kafka: str, topic: str) -> None:
        self.topic = topic
        self._producer = Producer({"bootstrap.servers": kafka, "transactional.id": uuid4().hex, "log_level": 2})
        self._producer.init_transactions(30)

    @contextmanager
    def transaction(self, *, ends: str = "commit") -> Iterator[None]:
        self._producer.begin_transaction()
        yield
        self._producer.flush(10)
        if ends == "commit":
            self._producer.commit_transaction(10)
        elif ends == "abort":
            self._producer.abort_transaction(10)

    def finish(self) -> None:
        self._producer.commit_transaction(10)

    def write(self, partition: int, timestamp_ms: int = 0) -> None:
        self._producer.produce(self.topic, b"x" * 40, partition=partition, timestamp=timestamp_ms)


def read_all(kafka: str, topic: str, expected: int) -> dict[int, dict[int, int]]:
    """What is really there, by an ordinary consumer: partition -> offset -> timestamp."""
    client = Consumer({"bootstrap.servers": kafka, "group.id": "reader", "enable.auto.commit": False})
    client.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found: dict[int, dict[int, int]] = {partition: {} for partition in range(PARTITIONS)}
    deadline = time.monotonic() + 30
    while sum(map(len, found.values())) < expected and time.monotonic() < deadline:
        for message in client.consume(1000, timeout=0.2):
            assert message.error() is None
            found[message.partition()][message.offset()] = message.timestamp()[1]
    client.close()
    assert sum(map(len, found.values())) == expected
    return found


def commit(admin: AdminClient, group: str, topic: str, positions: Mapping[int, int]) -> None:
    places = [TopicPartition(topic, partition, offset) for partition, offset in positions.items()]
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])[group].result()


def of(facts: list[LagJudged], topic: str) -> dict[str, LagJudged]:
    return {fact.consumer: fact for fact in facts if fact.topic == topic}


def check(part: PartitionLag, at: datetime, truth: Mapping[int, int]) -> None:
    """Within the error that is stated; and the error must be worth something."""
    waits = min((offset for offset in truth if offset >= (part.position or 0)), default=None)
    true_s = 0.0 if waits is None else at.timestamp() - truth[waits] / 1000
    assert part.lag_s is not None, part
    assert part.error_s is not None
    assert abs(part.lag_s - true_s) <= part.error_s + 0.002, (true_s, part)
    assert part.error_s <= max(1.0, 0.02 * part.lag_s) + 0.002, "a read was affordable"
    assert (part.source is LagSource.CAUGHT_UP) == (waits is None), (waits, part)
    assert (part.lag_events == 0) == (waits is None)


@pytest.mark.parametrize("stamped_by", ["CreateTime", "LogAppendTime"])
def test_lag_in_seconds_is_true_at_every_position(
    kafka: str, admin: AdminClient, lag: Lag, eventually: Callable[..., object], stamped_by: str
) -> None:
    topic = make_topic(admin, eventually, **{"message.timestamp.type": stamped_by})
    writer, now_ms, written = Writer(kafka, topic), round(time.time() * 1000), 0
    for round_ in range(12):
        with writer.transaction(ends="abort" if round_ % 4 == 2 else "commit"):
            for number in range(30 + 7 * round_):
                # Stamps of producers go back and forth, over hours.
                age_ms = (13 - round_) * HOUR_MS // 2 + (number * 7919) % 400_000
                writer.write((number + round_) % PARTITIONS, now_ms - age_ms)
                written += round_ % 4 != 2
    truth = read_all(kafka, topic, written)
    ends = lag._cluster.ends((topic, partition) for partition in range(PARTITIONS))
    name = uuid4().hex[:8]
    for step in range(15):
        at = {partition: ends[topic, partition] * step // 14 for partition in range(PARTITIONS)}
        commit(admin, f"{name}-{step}", topic, at)

    def is_dated() -> dict[str, LagJudged] | None:
        facts = of(lag.look(), topic)
        is_whole = len(facts) == 15 and all(each.lag_s is not None for each in facts.values())
        return facts if is_whole else None

    facts = eventually(is_dated, "every group is dated", 20)
    assert isinstance(facts, dict)
    sources = set()
    for fact in facts.values():
        assert fact.consumer_kind is ConsumerKind.GROUP
        assert fact.lag_s == max(part.lag_s or 0 for part in fact.partitions)
        for part in fact.partitions:
            check(part, fact.at, truth[part.partition])
            sources.add(part.source)
    assert sources >= {LagSource.CAUGHT_UP, LagSource.RECORD}


def test_what_only_markers_and_aborted_records_are_left_of_is_caught_up(
    kafka: str, admin: AdminClient, lag: Lag, eventually: Callable[..., object]
) -> None:
    topic, group = make_topic(admin, eventually), uuid4().hex
    writer = Writer(kafka, topic)
    with writer.transaction():
        for partition in range(PARTITIONS):
            writer.write(partition)

    def stands(what: str, events: int, verdict: LagSource | None) -> PartitionLag:
        def found() -> PartitionLag | None:
            fact = of(lag.look(), topic).get(group)
            part = None if fact is None else fact.partitions[0]
            return part if part is not None and part.lag_events == events and part.source is verdict else None

        part = eventually(found, what, 15)
        assert isinstance(part, PartitionLag)
        return part

    commit(admin, group, topic, dict.fromkeys(range(PARTITIONS), 1))
    marker = stands("a marker alone is nothing", 0, LagSource.CAUGHT_UP)
    assert (marker.position, marker.end, marker.verdict) == (1, 2, LagVerdict.OK)
    with writer.transaction(ends="abort"):
        writer.write(0)
    assert stands("nor are aborted records", 0, LagSource.CAUGHT_UP).end == 4
    with writer.transaction(ends="never"):
        writer.write(0)
    assert stands("what is not committed can't be taken by anybody", 0, LagSource.CAUGHT_UP).end == 4
    writer.finish()
    assert stands("now it can", 5, LagSource.RECORD).end == 6


def test_a_position_that_retention_has_passed_and_one_that_was_never_committed(
    kafka: str, admin: AdminClient, lag: Lag, eventually: Callable[..., object]
) -> None:
    topic, group = make_topic(admin, eventually), uuid4().hex
    writer = Writer(kafka, topic)
    with writer.transaction():
        for _ in range(50):
            writer.write(0)
            writer.write(1)
    commit(admin, group, topic, {0: 5})
    admin.delete_records([TopicPartition(topic, 0, 20)])[TopicPartition(topic, 0)].result()

    def found() -> LagJudged | None:
        fact = of(lag.look(), topic).get(group)
        return fact if fact is not None and fact.partitions[0].verdict is LagVerdict.WARN else None

    lag._asked.clear()  # lows are asked for every few seconds
    fact = eventually(found, "it is told of", 15)
    assert isinstance(fact, LagJudged)
    passed, never, empty = fact.partitions
    assert (passed.lag_events, passed.reason) == (31, "15 offsets were deleted by retention before it took them")
    assert passed.retention_s is not None
    assert passed.retention_s > 600_000, "a week is the broker's default"
    assert (never.position, never.lag_s, never.verdict) == (None, None, LagVerdict.UNKNOWN)
    assert never.reason is not None
    assert "committed nothing" in never.reason
    assert (empty.lag_events, empty.verdict) == (0, LagVerdict.OK)
    assert fact.lag_s is None, "of a partition it is not known"


def judged(query: str, topic: str, position: int) -> LagJudged:
    partitions = (PartitionLag(partition=0, position=position, end=9),)
    return LagJudged(
        at=datetime.now(UTC), consumer=query, consumer_kind=ConsumerKind.QUERY, topic=topic, partitions=partitions
    )


def committed(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    """As any tool reads it."""
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
    return {(each.topic, each.partition): each.offset for each in found.topic_partitions}


def test_a_shadow_group_is_what_any_tool_reads_and_a_group_with_members_is_left_alone(
    kafka: str, admin: AdminClient, eventually: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    topic = make_topic(admin, eventually)
    shadow, query = Shadow(admin), f"route {uuid4().hex[:6]}"
    shadow.mirror([judged(query, topic, 7)])
    eventually(lambda: committed(admin, shadow_group(query)) == {(topic, 0): 7}, "it is mirrored", 15)

    taken = f"lake {uuid4().hex[:6]}"
    member = Consumer({"bootstrap.servers": kafka, "group.id": shadow_group(taken), "auto.offset.reset": "earliest"})
    member.subscribe([topic])
    eventually(lambda: member.poll(0.1) is not None or member.assignment(), "it has a member", 30)
    member.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)

    def is_refused() -> bool:
        shadow.mirror([judged(taken, topic, 8)])
        return any(shadow_group(taken) in record.message for record in caplog.records)

    eventually(is_refused, "the broker refuses", 15)
    assert committed(admin, shadow_group(taken)) == {(topic, 0): 3}
    member.close()
