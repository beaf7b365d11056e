"""When has the running route come to an event? Asked of its outputs, as everyone downstream sees them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from controlplane.contract.names import topic
from pipeline.kafka import OUTPUT_HOPS, await_broker, consumer, last_record, watermarks
from pipeline.references.versions import FOLDER
from pipeline.registry import await_registry
from pipeline.route.followed import Followed
from pipeline.route.options import RouteOptions
from pipeline.route.query import RouteRun
from pipeline.spark import failure_of
from quality.compile import broken_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import SparkSession

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_LOOK_EVERY_S = 0.25
_STALLED_AFTER_S = 60.0


class Routing:
    """The real query of one stream, in real-time mode, and a look at its outputs."""

    def __init__(
        self, spark: SparkSession, settings: Settings, stream: StreamDefinition, partitions: Sequence[int]
    ) -> None:
        scratch, registry = settings.data / "scratch", await_registry(settings.registry)
        options = RouteOptions(settings.kafka, scratch, "realtime", settings.route_batch, broken_rules)
        followed = Followed(stream, scratch, settings.data / FOLDER)
        self._route = RouteRun(spark, followed, registry, await_broker(settings.kafka), partitions, options)
        self._outputs = [topic(stream.name, hop) for hop in OUTPUT_HOPS]
        self._partitions = partitions
        self._client = consumer(settings.kafka, group="tidegate-bench")

    def run(self, events: int) -> None:
        """Route until so many records have landed, and stop."""
        self._route.start()
        self.await_landed(events)
        self._route.stop()

    def start(self) -> None:
        """Start, and wait for the first record."""
        before = self.landed()
        self._route.start()
        self.await_landed(before + 1)

    def landed(self) -> int:
        """Records of all outputs: the sink writes no transactions, so each offset is one."""
        return sum(
            high for name in self._outputs for _, high in watermarks(self._client, name, self._partitions).values()
        )

    def await_landed(self, events: int) -> None:
        """Wait until so many records have landed.

        Raises:
            QueryFailedError: if the query failed.
            TimeoutError: if it stands still.
        """
        grew_at, last = time.monotonic(), -1
        while (now := self.landed()) < events:
            if now != last:
                grew_at, last = time.monotonic(), now
            failure = None if self._route.query is None else failure_of(self._route.query)
            if failure is not None:
                raise failure
            if time.monotonic() - grew_at > _STALLED_AFTER_S:
                raise TimeoutError(f"route has come to {now:,} of {events:,} events and no further")
            time.sleep(_LOOK_EVERY_S)

    def last_landed_s(self) -> float:
        """When the newest record landed, by the broker's clock; epoch seconds."""
        last = [last_record(self._client, name, part) for name in self._outputs for part in self._partitions]
        return max(float(record.timestamp()[1]) for record in last if record is not None) / 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._route.stop()
        self._client.close()
