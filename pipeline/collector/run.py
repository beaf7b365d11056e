"""The collector as a process: HTTP in an event loop, transactions on one thread, what is asked now and then on others.

Told to stop, it accepts nothing new, answers what is under way, and ends.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from confluent_kafka.schema_registry import SchemaRegistryClient

from pipeline.collector.answers import Limits
from pipeline.collector.api import Collector, create_api
from pipeline.collector.behind import Behind, lag_of
from pipeline.collector.commit import Committer
from pipeline.collector.events.schemas import Schemas, raw_versions
from pipeline.collector.kafka import KafkaLog
from pipeline.collector.keys import Keys, client_of
from pipeline.collector.waiting import Waiting
from pipeline.kafka import await_broker, ensure_topics
from pipeline.registry import await_registry, register_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.collector.kafka import Log

_HELD_BODIES = 4
"""As many of the largest may be in memory."""
_ANSWERED_WITHIN_S = 15
_LOOK_S = 1.0


def run(settings: Settings, streams: Sequence[StreamDefinition]) -> None:
    """Answer until a signal.

    Raises:
        LostError: if nothing can be sent any more.
        SchemaRefusedError, ModeRefusedError: if the registry does not take a stream's schema.
    """
    stopping, lost = threading.Event(), list[Exception]()
    waiting = Waiting(settings.collector_waiting, _HELD_BODIES * settings.collector_body)
    schemas = Schemas(streams, raw_versions(SchemaRegistryClient({"url": settings.registry, "timeout": 5})))
    committer = Committer(waiting, lambda: _begun(settings, schemas), stopping)
    limits = Limits(min(settings.collector_batch, settings.collector_waiting), settings.collector_body)
    behind = Behind(lag_of(settings.api, settings.authorization), settings.collector_behind)
    collector = Collector(Keys(client_of(settings.api)), schemas, waiting, behind, limits)
    server = _server(settings, collector)

    def commit() -> None:
        try:
            committer.run()
        except Exception as error:  # noqa: BLE001 (it ends the part, and is raised there)
            lost.append(error)
        finally:
            server.should_exit = True

    threads = [
        threading.Thread(target=commit, name="transactions"),
        threading.Thread(target=schemas.follow, args=(stopping,), name="schemas"),
        threading.Thread(target=behind.follow, args=(stopping,), name="behind"),
    ]
    for each in threads:
        each.start()
    try:
        server.run()
    finally:
        stopping.set()
        for each in threads:
            each.join()
    if lost:
        raise lost[0]


def _begun(settings: Settings, schemas: Schemas) -> Log:
    """With every topic and raw schema there, as any producer begins; and with what JSON is judged by.

    Raises:
        TimeoutError, KafkaException, SchemaRegistryError, HTTPError: if it cannot begin yet.
        SchemaRefusedError, ModeRefusedError: if the registry does not take a stream's schema.
    """
    admin, registry = await_broker(settings.kafka, _LOOK_S), await_registry(settings.registry, _LOOK_S)
    for stream in schemas.streams.values():
        ensure_topics(admin, stream)
        register_raw(registry, stream)
    if not schemas.refresh():
        raise TimeoutError(f"the registry at {settings.registry} does not say by which schemas events are judged")
    return KafkaLog(settings.kafka, settings.collector_id)


def _server(settings: Settings, collector: Collector) -> uvicorn.Server:
    address = urlsplit(settings.collector)
    return uvicorn.Server(
        uvicorn.Config(
            create_api(collector),
            host=address.hostname or "127.0.0.1",
            port=address.port or 8094,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_ANSWERED_WITHIN_S,
        )
    )
