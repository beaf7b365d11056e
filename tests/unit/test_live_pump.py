"""What live commits: before an insert where it begins and ends, and once nothing more comes that all of it is in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.live import pump
from pipeline.live.pump import PassedOverError, Pump, StoppedError

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition


@dataclass
class Message:
    at: int
    place: int = 0

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes:
        return b"\0\0\0\0\1event"


class World:
    """A consumer, a ClickHouse and a reporter, in the order in which they were asked."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[int, tuple[int, str]]] | str] = []
        self.comes: list[list[Message]] = []
        self.ends = {0: 5, 1: 9}

    def consume(self, *_: Any, **__: Any) -> list[Message]:
        return self.comes.pop(0) if self.comes else []

    def commit(self, offsets: list[TopicPartition], **_: Any) -> None:
        self.said.append(("commit", {each.partition: (each.offset, each.metadata) for each in offsets}))

    def raw_insert(self, *_: Any, **__: Any) -> None:
        self.said.append("insert")

    def get_watermark_offsets(self, place: TopicPartition, **_: Any) -> tuple[int, int]:
        return 0, self.ends[place.partition]

    def report(self, *_: Any) -> None:
        """Nobody listens."""


def made(world: Any) -> Pump:
    made = Pump("shop", (0, 1), world, world, "http://registry", world)
    made._positions = {0: 5, 1: 9}
    return made


def test_an_insert_is_closed_once_nothing_more_comes_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "_CLOSED_AFTER_S", 0.0)
    world, stopping = World(), threading.Event()
    live = made(world)
    world.comes = [[Message(5), Message(6)], [], []]
    for _ in range(3):
        live.beat(stopping)
    intent, closed = {0: (5, "7"), 1: (9, "")}, {0: (7, ""), 1: (9, "")}
    assert world.said == [("commit", intent), "insert", ("commit", closed)]


def test_while_events_come_the_next_insert_closes_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "_CLOSED_AFTER_S", 3600.0)
    world, stopping = World(), threading.Event()
    live = made(world)
    world.comes = [[Message(5)], [], [Message(6)]]
    for _ in range(3):
        live.beat(stopping)
    first, second = {0: (5, "6"), 1: (9, "")}, {0: (6, "7"), 1: (9, "")}
    assert world.said == [("commit", first), "insert", ("commit", second), "insert"]


def test_a_stop_while_clickhouse_is_away_leaves_the_insert_open_for_the_next_run() -> None:
    class Away(World):
        def raw_insert(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("nobody listens there")

    world, stopping = Away(), threading.Event()
    live = made(world)
    world.comes = [[Message(5)]]
    stopping.set()
    with pytest.raises(StoppedError, match="ClickHouse does not take 1 events: nobody listens there"):
        live.beat(stopping)
    assert world.said == [("commit", {0: (5, "6"), 1: (9, "")})]


def test_a_client_that_gives_nothing_of_what_the_broker_has_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "_SILENT_FOR_S", -1.0)
    world, stopping = World(), threading.Event()
    live = made(world)
    live.beat(stopping)
    world.ends[1] = 12
    live.beat(stopping)
    live.beat(stopping)  # it may be a transaction's marker that stands at the end
    world.ends[1] = 15
    with pytest.raises(PassedOverError, match=r"shop\.valid 1 goes on from 12 to 15 and nothing has come since 9"):
        live.beat(stopping)


def test_what_comes_in_time_ends_the_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "_SILENT_FOR_S", -1.0)
    world, stopping = World(), threading.Event()
    live = made(world)
    for end in (7, 9, 11):
        world.ends[0] = end
        live.beat(stopping)
        world.comes = [[Message(end - 1)]]
        live.beat(stopping)
