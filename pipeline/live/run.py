"""Live as a process: one pump a stream, each on a thread of its own."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import clickhouse_connect
from confluent_kafka import KafkaException

from controlplane.contract.names import Hop, topic
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from pipeline.kafka import await_broker, consumer, ensure_topics, partitions_of
from pipeline.ledger.payload import RegistrySchemas
from pipeline.live.columns import Columns
from pipeline.live.pump import GROUP, Pump, StoppedError
from pipeline.live.timed import Timed
from pipeline.registry import await_registry

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from confluent_kafka.admin import AdminClient

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_BEAT_S = 0.5
_LOOK_EVERY_S = 5.0
"""How often a topic is looked at for new partitions."""
_STOP_WITHIN_S = 8.0
_HANGS_AFTER_S = 5.0
"""A pump whose beat takes longer is no sign of life; one that retries counts each try."""

_log = logging.getLogger(__name__)


def run(settings: Settings, streams: Sequence[StreamDefinition], stopping: threading.Event) -> None:
    """Pump every stream until `stopping` is set.

    Raises:
        KafkaException: if the broker refuses; the next run goes on exactly.
        TimeoutError: if broker or registry do not answer.
    """
    admin = await_broker(settings.kafka)
    registry = await_registry(settings.registry)
    reporter, heart = Reporter(settings.api, settings.service_token), Heart(settings.notify_socket)
    pumps: dict[str, Pump] = {}

    def pump(stream: StreamDefinition) -> None:
        ensure_topics(admin, stream)
        clickhouse = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
        columns = Columns(registry, clickhouse, stream, reporter)
        columns.follow()
        client = consumer(settings.kafka, group=f"{GROUP}-{stream.name}")
        name = topic(stream.name, Hop.VALID)
        one = Pump(
            stream.name,
            partitions_of(admin, name),
            client,
            clickhouse,
            settings.registry,
            reporter,
            columns.follow,
            Timed(stream, RegistrySchemas(settings.registry)),
        )
        try:
            one.recover(stopping)
            pumps[stream.name] = one
            _keep_on(one, lambda: _partitions(admin, name), stopping)
        except StoppedError as error:
            _log.warning("stopped while it waited; the next run does what is left: %s", error)
        client.close()

    with ThreadPoolExecutor(len(streams), thread_name_prefix="pump") as threads:
        running = [threads.submit(pump, stream) for stream in streams]
        is_ready = False
        while not stopping.is_set() and not any(each.done() for each in running):
            if not is_ready and len(pumps) == len(streams):
                notify_ready(settings.notify_socket, f"{len(streams)} pumps")
                is_ready = True
            if all(time.monotonic() - each.beaten_at < _HANGS_AFTER_S for each in pumps.values()):
                heart.beat(next((each.waits_for for each in pumps.values() if each.waits_for), ""))
            wait(running, timeout=_BEAT_S, return_when=FIRST_COMPLETED)
        stopping.set()
        if wait(running, timeout=_STOP_WITHIN_S).not_done:
            _log.warning("a pump waits for a broker that is away; what it was about to do is done by the next run")
            os._exit(1)  # a thread inside the broker's client can be stopped in no other way
    reporter.close()
    for each in running:
        each.result()


def _keep_on(one: Pump, partitions: Callable[[], Sequence[int]], stopping: threading.Event) -> None:
    looked_at = time.monotonic()
    while not stopping.is_set():
        one.beat(stopping)
        if time.monotonic() - looked_at > _LOOK_EVERY_S:
            looked_at = time.monotonic()
            one.widen(partitions(), stopping)
    one.close_ranges(stopping)


def _partitions(admin: AdminClient, name: str) -> list[int]:
    """A topic's partitions now; none while the broker is away, which the pump itself will notice."""
    try:
        return partitions_of(admin, name)
    except KafkaException:
        return []
