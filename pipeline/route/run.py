"""Route as a process: one Spark session, one query a stream, until told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from controlplane.contract.names import Hop, topic
from controlplane.contract.reporting import Reporter, notify_ready
from pipeline.kafka import await_broker, ensure_topics, partitions_of
from pipeline.registry import await_registry, register_stream
from pipeline.route.query import SPARK_JVM, SPARK_SETTINGS, RouteOptions, RouteRun
from pipeline.spark import build_session

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.route.frame import RuleCompiler

_BEAT_S = 0.2
_log = logging.getLogger(__name__)


def run(
    settings: Settings, streams: Sequence[StreamDefinition], broken_rules: RuleCompiler, stopping: threading.Event
) -> None:
    """Route every stream until `stopping` is set.

    Raises:
        StreamingQueryException: if a query fails; whoever started the process starts it again, and it goes on exactly.
        TimeoutError: if broker or registry do not answer.
    """
    admin = await_broker(settings.kafka)
    registry = await_registry(settings.registry)
    for stream in streams:
        ensure_topics(admin, stream)
        register_stream(registry, stream)
    partitions = {stream.name: partitions_of(admin, topic(stream.name, Hop.RAW)) for stream in streams}
    scratch = settings.data.resolve() / "scratch" / "route-process"
    session = build_session(
        "tidegate route",
        slots=sum(map(len, partitions.values())) + 1,
        memory=settings.spark_memory,
        jars=settings.spark_jars,
        scratch=scratch,
        jvm=SPARK_JVM,
        **SPARK_SETTINGS,
    )
    options = RouteOptions(settings.kafka, scratch, settings.route_mode, settings.route_batch, broken_rules)
    runs = [RouteRun(session, stream, registry, partitions[stream.name], options) for stream in streams]
    reporter = Reporter(settings.api)
    try:
        for each in runs:
            each.start()
        notify_ready(settings.notify_socket, f"{len(runs)} queries")
        while not stopping.wait(_BEAT_S):
            reporter.report(*(fact for each in runs if (fact := each.beat()) is not None))
    finally:
        for each in runs:
            each.stop()
        reporter.close()
        session.stop()
