"""The ledger as a process: every second each stream's account, until told to stop."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from controlplane.contract.facts import LedgerPartition, LedgerTaken
from controlplane.contract.names import Hop, lake_table, topic
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from pipeline.kafka import OUTPUT_HOPS, await_broker, consumer, ensure_topics, partitions_of, watermarks
from pipeline.ledger.produced import ProducedCount, StillCountingError
from pipeline.ledger.tables import LakeCount, Uncounted, serving_count
from pipeline.ledger.verdict import judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client
    from confluent_kafka import Consumer

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_EVERY_S = 1.0
_log = logging.getLogger(__name__)


class StreamLedger:
    """One stream's account."""

    def __init__(self, settings: Settings, stream: StreamDefinition, partitions: Sequence[int]) -> None:
        self._settings = settings
        self._stream = stream.name
        self._partitions = partitions
        self._kafka: Consumer = consumer(settings.kafka, group="tidegate-ledger")
        self._lake = LakeCount(lake_table(settings.lake_root, stream.name))
        counting = consumer(settings.kafka, group="tidegate-ledger-produced", **{"enable.partition.eof": True})
        self._produced = ProducedCount(counting, stream.name, partitions, settings.data / "ledger")
        self._clickhouse: Client | None = None
        self._changed_at = datetime.now(UTC)
        self._last: tuple[LedgerPartition, ...] = ()

    def take(self) -> LedgerTaken:
        """Count from the end of the way to its beginning, and judge."""
        unknown: list[str] = []
        serving = self._try(self._serving, "ClickHouse", unknown)
        lake = self._try(self._lake.read, "the lake", unknown)
        routed = {hop: self._try(partial(self._ends, hop), f"{self._stream}.{hop}", unknown) for hop in OUTPUT_HOPS}
        is_counted = self._try(self._count_produced, f"{self._stream}.raw", unknown) is not None
        partitions = tuple(
            LedgerPartition(
                partition=partition,
                raw_from=each.since,
                raw_until=each.until,
                produced=self._whole(partition, unknown) if is_counted else None,
                valid=_of(routed[Hop.VALID], partition),
                dead=_of(routed[Hop.DEAD], partition),
                quarantined=_of(routed[Hop.QUARANTINE], partition),
                lake=_of(lake, partition),
                serving=_of(serving, partition),
            )
            for partition, each in sorted(self._produced.counted.items())
        )
        now = datetime.now(UTC)
        if partitions != self._last:
            self._last, self._changed_at = partitions, now
        verdict, reason = judge(partitions, unknown, self._changed_at, now)
        return LedgerTaken(
            at=now,
            stream=self._stream,
            partitions=partitions,
            verdict=verdict,
            reason=reason,
            changed_at=self._changed_at,
        )

    def _try(self, count: Callable[[], dict[int, int]], where: str, unknown: list[str]) -> dict[int, int] | None:
        try:
            return count()
        except (Uncounted, StillCountingError, ClickHouseError, KafkaException, OSError, TimeoutError) as error:
            unknown.append(f"{where}: {str(error).splitlines()[0]}")
            return None

    def _serving(self) -> dict[int, int]:
        # Kept: a new client asks the server for its version and all its settings first.
        self._clickhouse = self._clickhouse or clickhouse_connect.get_client(
            dsn=self._settings.clickhouse, autogenerate_session_id=False
        )
        return serving_count(self._clickhouse, self._stream)

    def _ends(self, hop: Hop) -> dict[int, int]:
        """End offsets are counts here: route's sink writes no transactions, so every offset is a record."""
        name = topic(self._stream, hop)
        return {partition: high for partition, (_, high) in watermarks(self._kafka, name, self._partitions).items()}

    def _count_produced(self) -> dict[int, int]:
        self._produced.advance()
        return {}

    def _whole(self, partition: int, unknown: list[str]) -> int | None:
        each = self._produced.counted[partition]
        if each.since > 0:
            unknown.append(
                f"{self._stream}.raw[{partition}] was counted from offset {each.since} on: older events were dropped"
            )
            return None
        return each.events


def _of(counts: dict[int, int] | None, partition: int) -> int | None:
    return None if counts is None else counts.get(partition, 0)


def run(settings: Settings, streams: Sequence[StreamDefinition], stopping: threading.Event) -> None:
    """Report every stream's account until `stopping` is set.

    Raises:
        TimeoutError: if the broker does not answer.
    """
    admin = await_broker(settings.kafka)
    for stream in streams:
        ensure_topics(admin, stream)
    ledgers = [StreamLedger(settings, stream, partitions_of(admin, topic(stream.name, Hop.RAW))) for stream in streams]
    reporter, heart = Reporter(settings.api), Heart(settings.notify_socket)
    notify_ready(settings.notify_socket, f"{len(ledgers)} ledgers")
    while not stopping.is_set():
        for each in ledgers:
            heart.beat()
            reporter.report(each.take())
        stopping.wait(_EVERY_S)
    reporter.close()
