"""Live as a process: one pump a stream, each on a thread of its own."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import clickhouse_connect

from controlplane.contract.names import Hop, topic
from controlplane.contract.reporting import Reporter, notify_ready
from pipeline.kafka import await_broker, consumer, ensure_topics, partitions_of
from pipeline.live.pump import GROUP, Pump
from pipeline.registry import await_registry
from pipeline.serving import apply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition


def run(settings: Settings, streams: Sequence[StreamDefinition], stopping: threading.Event) -> None:
    """Pump every stream until `stopping` is set.

    Raises:
        KafkaException: if the broker refuses; the next run goes on exactly.
        TimeoutError: if broker or registry do not answer.
    """
    admin = await_broker(settings.kafka)
    await_registry(settings.registry)
    reporter = Reporter(settings.api)
    started = threading.Barrier(len(streams) + 1)

    def pump(stream: StreamDefinition) -> None:
        try:
            ensure_topics(admin, stream)
            clickhouse = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
            apply.create(clickhouse, stream)
            client = consumer(settings.kafka, group=f"{GROUP}-{stream.name}")
            name = topic(stream.name, Hop.VALID)
            one = Pump(stream.name, partitions_of(admin, name), client, clickhouse, settings.registry, reporter)
            one.recover(stopping)
            started.wait()
            while not stopping.is_set():
                one.beat(stopping)
            one.close_ranges()
            client.close()
        finally:
            started.abort()

    with ThreadPoolExecutor(len(streams), thread_name_prefix="pump") as threads:
        pumps = [threads.submit(pump, stream) for stream in streams]
        try:
            started.wait()
            notify_ready(settings.notify_socket, f"{len(streams)} pumps")
        except threading.BrokenBarrierError:
            stopping.set()
        wait(pumps, return_when=FIRST_EXCEPTION)
        stopping.set()
    reporter.close()
    for each in pumps:
        each.result()
