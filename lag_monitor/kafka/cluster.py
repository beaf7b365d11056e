"""What does the cluster say of its topics and groups? Each question is asked for all partitions at once.

Ends are those of `read_committed`: what is behind an open transaction can't be taken by anybody yet, so it is nobody's lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lag_monitor.kafka.records import Place

TIMEOUT_S = 3.0
_INTERNAL = "__"


@dataclass(frozen=True)
class Group:
    """A consumer group of the cluster."""

    name: str
    has_members: bool


class Cluster:
    """Asks by one admin client."""

    def __init__(self, bootstrap: str) -> None:
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})

    def topics(self) -> dict[str, tuple[int, ...]]:
        """Every topic's partitions, those of the cluster itself left out.

        Raises:
            UnknownError: if the broker does not say.
        """
        try:
            found = self.admin.list_topics(timeout=TIMEOUT_S).topics
        except KafkaException as error:
            raise _unknown(error) from error
        return {name: tuple(sorted(each.partitions)) for name, each in found.items() if not name.startswith(_INTERNAL)}

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """One past the last offset that can be taken, of the partitions that are there.

        Raises:
            UnknownError: if the broker does not say of any.
        """
        return self._offsets(places, OffsetSpec.latest())

    def lows(self, places: Iterable[Place]) -> dict[Place, int]:
        """The first offset that is still there.

        Raises:
            UnknownError: if the broker does not say of any.
        """
        return self._offsets(places, OffsetSpec.earliest())

    def groups(self) -> tuple[Group, ...]:
        """Every consumer group.

        Raises:
            UnknownError: if the broker does not say.
        """
        try:
            found = self.admin.list_consumer_groups(request_timeout=TIMEOUT_S).result()
        except KafkaException as error:
            raise _unknown(error) from error
        gone = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
        return tuple(Group(each.group_id, each.state not in gone) for each in found.valid)

    def committed(self, group: str) -> dict[Place, int]:
        """Offsets that a group has committed.

        Raises:
            UnknownError: if the broker does not say.
        """
        try:
            asked = self.admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=TIMEOUT_S
            )
            found = asked[group].result().topic_partitions
        except KafkaException as error:
            raise _unknown(error) from error
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0 and each.error is None}

    def retained_s(self, topics: Iterable[str]) -> dict[str, float | None]:
        """For how long each topic keeps records; None: for ever, or by size too, or only the newest of a key.

        Raises:
            UnknownError: if the broker does not say.
        """
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        if not resources:
            return {}
        said: dict[str, float | None] = {}
        for resource, future in self.admin.describe_configs(resources, request_timeout=TIMEOUT_S).items():
            try:
                said[resource.name] = _retained_s({name: entry.value for name, entry in future.result().items()})
            except KafkaException as error:
                if error.args[0].retriable():
                    raise _unknown(error) from error
                said[resource.name] = None
        return said

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(*place): spec for place in places}
        if not asked:
            return {}
        found: dict[Place, int] = {}
        failed: KafkaException | None = None
        futures = self.admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT_S
        )
        for place, future in futures.items():
            try:
                offset = future.result().offset
            except KafkaException as error:
                failed = error
                continue
            if offset >= 0:  # a broker that has just started may say -1: it does not know yet
                found[place.topic, place.partition] = offset
        if failed is not None and not found:
            raise _unknown(failed) from failed
        return found


def _retained_s(config: Mapping[str, str | None]) -> float | None:
    kept_ms = int(config.get("retention.ms") or -1)
    is_by_size = int(config.get("retention.bytes") or -1) >= 0
    if "delete" not in (config.get("cleanup.policy") or "") or kept_ms < 0 or is_by_size:
        return None
    return kept_ms / 1000


def _unknown(error: KafkaException) -> UnknownError:
    return UnknownError(f"the broker does not say: {str(error.args[0]).splitlines()[0][:160]}")
