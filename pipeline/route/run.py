"""Route as a process: one Spark session, one query a stream, until told to stop."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from controlplane.contract.names import Hop, topic
from controlplane.contract.orders import Orders
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from pipeline.kafka import await_broker, ensure_topics, partitions_of
from pipeline.listener import Listening
from pipeline.progress import progressed
from pipeline.references.versions import FOLDER
from pipeline.registry import await_registry, register_stream
from pipeline.route.followed import Followed
from pipeline.route.options import RouteOptions
from pipeline.route.query import SPARK_SETTINGS, RouteRun
from pipeline.spark import build_session, session_options, started

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
        QueryFailedError: if a query fails; whoever started the process starts it again, and it goes on exactly.
        TimeoutError: if broker or registry do not answer.
    """
    spark = session_options(settings, "route")
    admin = await_broker(settings.kafka)
    registry = await_registry(settings.registry)

    def prepare(stream: StreamDefinition) -> tuple[Followed, list[int]]:
        followed = Followed(stream, spark["scratch"], settings.data / FOLDER)
        ensure_topics(admin, stream)
        register_stream(registry, followed.stream)
        return followed, partitions_of(admin, topic(stream.name, Hop.RAW))

    with ThreadPoolExecutor(len(streams), thread_name_prefix="start") as threads:
        prepared = list(threads.map(prepare, streams))
        session = build_session(
            "tidegate route",
            slots=2 * sum(len(partitions) for _, partitions in prepared) + 1,  # room for partitions that a topic gains
            **{**spark, **SPARK_SETTINGS},
        )
        orders = Orders(settings.api, settings.service_token)
        options = RouteOptions(
            settings.kafka, spark["scratch"], settings.route_mode, settings.route_batch, broken_rules, orders
        )
        runs = [RouteRun(session, followed, registry, admin, partitions, options) for followed, partitions in prepared]
        reporter, heart = Reporter(settings.api, settings.service_token), Heart(settings.notify_socket)
        listening = Listening(session)
        # A micro-batch of route begins when the one before has ended.
        trigger = settings.route_batch if settings.route_mode == "realtime" else timedelta()
        facts = partial(progressed, part="route", mode=settings.route_mode, trigger=trigger)
        try:
            list(threads.map(RouteRun.begin, runs))
            notify_ready(settings.notify_socket, f"{len(runs)} queries")
            reporter.stand("spark", (started(session, "route"),))
            while not stopping.wait(_BEAT_S):
                heart.beat("; ".join(each.waits_for for each in runs if each.waits_for))
                reporter.report(*(fact for each in runs for fact in each.beat()), *facts(listening.take()))
                reporter.stand("route", (fact for each in runs for fact in each.standing()))
        finally:
            for each in runs:
                each.stop()
            reporter.report(*facts(listening.close()))
            orders.close()
            reporter.close()
            session.stop()
