"""How does a Kafka tool that knows nothing of us see how far our queries are?

Spark commits nothing, so kafka-consumer-groups, Burrow, KEDA or any console would show no lag at all. Where each query is, is
mirrored into a consumer group that nobody is a member of: `tidegate.route.shop`. A group that somebody is a member of is left
alone, whatever its name: an offset committed from outside would mislead him, and the broker refuses it. Only what has moved is
committed, at most every few seconds.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from controlplane.contract.lag import ConsumerKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient

    from controlplane.contract.lag import LagJudged
    from lag_monitor.kafka.records import Place

SHADOW = "tidegate."
"""What the names of shadow groups begin with."""
_EVERY_S = 3.0
_TIMEOUT_S = 3.0
_log = logging.getLogger(__name__)


def shadow_group(query: str) -> str:
    """Of a query: `route shop` -> `tidegate.route.shop`."""
    return SHADOW + query.replace(" ", ".")


class Shadow:
    """Mirrors positions by an admin client."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._committed: dict[str, dict[Place, int]] = {}
        self._at: dict[str, float] = {}
        self._waits: dict[str, tuple[dict[Place, int], Future[ConsumerGroupTopicPartitions]]] = {}
        self._failed: dict[str, str] = {}

    def mirror(self, facts: Iterable[LagJudged]) -> None:
        """Commit what has moved. Does not wait for the broker: whether it was taken is seen at a later round."""
        self._settle()
        for fact in facts:
            if fact.consumer_kind is ConsumerKind.QUERY:
                self._mirror(fact)

    def _mirror(self, fact: LagJudged) -> None:
        group, now = shadow_group(fact.consumer), time.monotonic()
        at = {(fact.topic, each.partition): each.position for each in fact.partitions if each.position is not None}
        moved = {place: to for place, to in at.items() if self._committed.get(group, {}).get(place) != to}
        if not moved or group in self._waits or now - self._at.get(group, -_EVERY_S) < _EVERY_S:
            return
        self._at[group] = now
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(*place, to) for place, to in moved.items()])
        # The broker refuses it for a group that has members (UNKNOWN_MEMBER_ID): nobody's offsets are touched.
        self._waits[group] = (
            moved,
            self._admin.alter_consumer_group_offsets([wanted], request_timeout=_TIMEOUT_S)[group],
        )

    def _settle(self) -> None:
        for group, (moved, future) in list(self._waits.items()):
            if not future.done():
                continue
            del self._waits[group]
            if (why := _refused(future)) is not None:
                self._complain(group, why)
                continue
            self._failed.pop(group, None)
            self._committed.setdefault(group, {}).update(moved)

    def _complain(self, group: str, why: str) -> None:
        if self._failed.get(group) != why:
            _log.warning("the position of a query is not mirrored into the consumer group %s: %s", group, why)
        self._failed[group] = why


def _refused(future: Future[ConsumerGroupTopicPartitions]) -> str | None:
    """Why the broker has not taken it; said of the request or of each partition."""
    try:
        taken = future.result()
    except KafkaException as error:
        return str(error.args[0])
    return next((str(each.error) for each in taken.topic_partitions or () if each.error is not None), None)
