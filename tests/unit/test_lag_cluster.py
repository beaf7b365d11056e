"""What is made of a broker's answers."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from lag_monitor.kafka.cluster import Cluster

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition


class Answer(NamedTuple):
    offset: int


class Admin:
    """Answers for each partition as it is told."""

    def __init__(self, offsets: dict[int, int]) -> None:
        self._offsets = offsets

    def list_offsets(self, asked: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Answer]]:
        answers: dict[TopicPartition, Future[Answer]] = {}
        for place in asked:
            answers[place] = Future()
            answers[place].set_result(Answer(self._offsets[place.partition]))
        return answers


def test_an_offset_that_a_starting_broker_does_not_know_is_unknown_and_not_before_the_beginning() -> None:
    cluster = Cluster("127.0.0.1:1")
    admin: Any = Admin({0: 12, 1: -1})
    cluster.admin = admin
    places = [("shop.raw", 0), ("shop.raw", 1)]
    assert cluster.ends(places) == {("shop.raw", 0): 12}
    assert cluster.lows(places) == {("shop.raw", 0): 12}
