"""Are a stream's topics configured as its definition says, and do they keep events for as long as the lake needs them?"""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from controlplane.contract.access import authorization
from controlplane.contract.names import Hop, topic
from pipeline.kafka import TOPIC_HOPS, topic_config
from pipeline.maintenance.plan import TopicSettings
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controlplane.contract.streams import StreamDefinition

_TIMEOUT_S = 5.0
_RETENTION = "retention.ms"


class BrokerAwayError(Exception):
    """The broker does not answer, or refuses; says why."""


class Topics(Protocol):
    """Topics' configurations."""

    def read(self, names: Sequence[str]) -> dict[str, Mapping[str, str | None]]:
        """Configuration of each topic that there is.

        Raises:
            BrokerAwayError: if that cannot be had.
        """

    def change(self, name: str, settings: Mapping[str, str]) -> None:
        """Set some of a topic's configuration.

        Raises:
            BrokerAwayError: if it is not taken.
        """


class FakeTopics:
    """Configurations in memory; None for a broker that is away."""

    def __init__(self, configured: dict[str, dict[str, str | None]] | None) -> None:
        self.configured = configured

    def read(self, names: Sequence[str]) -> dict[str, Mapping[str, str | None]]:
        """See `Topics`."""
        if self.configured is None:
            raise BrokerAwayError("the broker is away")
        return {name: dict(self.configured[name]) for name in names if name in self.configured}

    def change(self, name: str, settings: Mapping[str, str]) -> None:
        """See `Topics`."""
        if self.configured is None:
            raise BrokerAwayError("the broker is away")
        self.configured[name].update(settings)


class KafkaTopics:
    """A broker's; an empty address stands for a platform that is stopped."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AdminClient | None = None

    def read(self, names: Sequence[str]) -> dict[str, Mapping[str, str | None]]:
        """See `Topics`."""
        admin = self._admin()
        try:
            existing = admin.list_topics(timeout=_TIMEOUT_S).topics
            asked = [ConfigResource(ResourceType.TOPIC, name) for name in names if name in existing]
            answers = admin.describe_configs(asked, request_timeout=_TIMEOUT_S) if asked else {}
            found = {resource.name: future.result(_TIMEOUT_S) for resource, future in answers.items()}
        except (KafkaException, TimeoutError) as error:
            raise BrokerAwayError(f"the broker is away: {first_line(error)}") from error
        return {name: {key: entry.value for key, entry in entries.items()} for name, entries in found.items()}

    def change(self, name: str, settings: Mapping[str, str]) -> None:
        """See `Topics`."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        try:
            for future in self._admin().incremental_alter_configs([resource]).values():
                future.result(_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise BrokerAwayError(first_line(error)) from error

    def _admin(self) -> AdminClient:
        if not self._bootstrap:
            raise BrokerAwayError("the broker is away: no platform runs")
        self._client = self._client or AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0})
        return self._client


def settings_of(stream: StreamDefinition, topics: Topics) -> list[TopicSettings]:
    """Every topic of a stream that there is.

    Raises:
        BrokerAwayError: if the broker does not say.
    """
    wanted = {topic(stream.name, hop): topic_config(stream, hop) for hop in TOPIC_HOPS}
    return [TopicSettings(name, wanted[name], has) for name, has in topics.read(tuple(wanted)).items()]


def raw_retention(stream: str, topics: Sequence[TopicSettings]) -> timedelta | None:
    """How long the raw topic keeps events; None when that is unknown, or without end."""
    raw = next((each for each in topics if each.topic == topic(stream, Hop.RAW)), None)
    kept = None if raw is None else raw.has.get(_RETENTION)
    return None if kept is None or int(kept) < 0 else timedelta(milliseconds=int(kept))


def lake_lag(api: str, token: str, stream: str) -> timedelta | str:
    """How far a stream's lake is behind its raw topic, as the control plane knows it; or why that is unknown."""
    if not api:
        return "no platform runs"
    asked = urllib.request.Request(f"{api}/api/v1/overview", headers=authorization(token))  # noqa: S310 (our own address)
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the same)
            overview: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        return f"the control plane does not answer: {error}"
    hops = {hop["hop"]: hop for each in overview["streams"] if each["name"] == stream for hop in each["hops"]}
    behind = [hops.get(hop, {}) for hop in (Hop.VALID, Hop.LAKE)]
    if any(hop.get("lag_s") is None for hop in behind):
        return next((str(hop["reason"]) for hop in behind if hop.get("reason")), "it has not been measured")
    return timedelta(seconds=sum(hop["lag_s"] for hop in behind))
