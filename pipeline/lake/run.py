"""Lake as a process: one micro-batch query a stream, until told to stop."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from controlplane.contract.gates import Stage
from controlplane.contract.names import Hop, topic
from controlplane.contract.orders import Orders
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from pipeline.kafka import await_broker, ensure_topics, partitions_of
from pipeline.lake.gate import BatchGate
from pipeline.lake.holding import StreamHolding
from pipeline.lake.holds import holds_of
from pipeline.lake.keeping import StreamQuery
from pipeline.lake.writer import LakeWriter
from pipeline.listener import Listening
from pipeline.progress import progressed
from pipeline.registry import await_registry, learned, register_stream
from pipeline.scale.scale import Scale, scale_of
from pipeline.scale.session import spark_settings
from pipeline.spark import Application, build_session, session_options
from pipeline.suites import FollowedSuites
from pipeline.tables.run import Beside, Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate
    from pipeline.registry import Learned

SPARK_SETTINGS = {
    # A table that is computed anew must not hold up the appends.
    "spark__scheduler__mode": "FAIR",
    # Without it every row is sorted by its date before it is written; a batch of few dates writes them side by side.
    "spark__sql__maxConcurrentOutputFileWriters": "16",
}
"""Of the session that lake runs in, as `build_session` takes them."""
_GATES = (Stage.LAKE, Stage.ROLLUP, Stage.SERVING)
"""Those that stand in this process."""
_SLOTS = 2
"""Tasks at once in a local session."""
_BEAT_S = 0.2
_LOOK_EVERY_S = 5.0
"""How often the registry is asked for new versions."""
_HOLDS_EVERY_S = 1.0
"""How often it is asked whether an operation wants a stream held."""
_log = logging.getLogger(__name__)


def run(settings: Settings, streams: Sequence[StreamDefinition], gate: Gate, stopping: threading.Event) -> None:
    """Append every stream's valid events to Delta until `stopping` is set.

    Args:
        settings: where everything is.
        streams: which.
        gate: judges what is to be committed.
        stopping: set to end it.

    Raises:
        QueryFailedError: if a query fails; the next run goes on exactly.
        CheckpointRefusedError: if where to go on is unknown; says what to do.
        TimeoutError: if broker or registry do not answer.
    """
    gate.prepare()  # while the JVM starts: the first micro-batch after a crash should not wait for it
    admin = await_broker(settings.kafka)
    registry = await_registry(settings.registry)
    for stream in streams:
        ensure_topics(admin, stream)
        register_stream(registry, stream)
    partitions = {stream.name: partitions_of(admin, topic(stream.name, Hop.VALID)) for stream in streams}
    asks = {stream.name: partial(learned, registry, stream) for stream in streams}
    options = {**session_options(settings, "lake"), **SPARK_SETTINGS, **spark_settings(settings)}
    session = build_session("tidegate lake", slots=_SLOTS, **options)
    reporter, orders, heart = (
        Reporter(settings.api, settings.service_token),
        Orders(settings.api, settings.service_token),
        Heart(settings.notify_socket),
    )
    scale = scale_of(session, settings, reporter, _SLOTS)
    followed = {stream.name: FollowedSuites(stream, _GATES) for stream in streams}
    closing = {stream.name: threading.Event() for stream in streams}
    gates = {
        stream.name: BatchGate(
            stream.name,
            stream.gates.lake,
            gate,
            followed[stream.name],
            orders,
            reporter,
            closing[stream.name],
            scale.boundary.resting,
        )
        for stream in streams
    }
    writers = {
        name: LakeWriter(
            session, ask, ask(), partitions[name], settings, reporter, gates[name], scale.boundary, scale.slots
        )
        for name, ask in asks.items()
    }
    tables = Tables(session, _known_to(writers), settings, Beside(gate, followed, orders, reporter, scale.boundary))
    me = f"lake {os.getpid()} on {socket.gethostname()}"
    queries = {
        name: StreamQuery(
            writer, gates[name], closing[name], StreamHolding(name, holds_of(settings, name, session), me)
        )
        for name, writer in writers.items()
    }
    listening = Listening(session)
    facts = partial(progressed, part="lake", mode="microbatch", trigger=settings.lake_trigger)
    try:
        with ThreadPoolExecutor(len(writers), thread_name_prefix="start") as threads:
            list(threads.map(partial(StreamQuery.begin, tables=tables), queries.values()))
        notify_ready(settings.notify_socket, f"{len(queries)} queries")
        tables.start()
        application = Application(session, "lake")
        reporter.stand("spark", (application.fact(),))
        looked_at = held_at = time.monotonic()
        for each in followed.values():
            reporter.stand(f"suites of {each.name}", each.facts())
        while not stopping.wait(_BEAT_S):
            heart.beat(_waits_for(gates.values(), tables))
            if time.monotonic() - looked_at > _LOOK_EVERY_S:
                looked_at = time.monotonic()
                _learn(writers.values(), tables)
                _look_at_suites(followed.values(), reporter)
                reporter.stand("spark", (application.fact(),))
            if time.monotonic() - held_at > _HOLDS_EVERY_S:
                held_at = time.monotonic()
                _look_at_holds(queries, reporter)
            for query in queries.values():
                query.beat(tables, scale.slots)
            reporter.report(*facts(listening.take()))
    finally:
        _end(queries.values(), closing.values(), scale)
        tables.stop()
        reporter.report(*facts(listening.close()))
        orders.close()
        reporter.close()
        session.stop()


def _known_to(writers: Mapping[str, LakeWriter]) -> dict[str, Callable[[], Learned]]:
    return {name: partial(LakeWriter.knows, writer) for name, writer in writers.items()}


def _end(queries: Iterable[StreamQuery], closing: Iterable[threading.Event], scale: Scale) -> None:
    for each in closing:
        each.set()  # a batch that waits at its gate would hold up its query's end
    scale.close()
    for query in queries:
        query.stop()


def _waits_for(gates: Iterable[BatchGate], tables: Tables) -> str:
    return next((each.waits_for for each in gates if each.waits_for), tables.waits_for)


def _look_at_holds(queries: Mapping[str, StreamQuery], reporter: Reporter) -> None:
    for name, query in queries.items():
        reporter.stand(f"hold of {name}", (query.look(),))


def _look_at_suites(followed: Iterable[FollowedSuites], reporter: Reporter) -> None:
    for each in followed:
        if each.look():
            reporter.stand(f"suites of {each.name}", each.facts())


def _learn(writers: Iterable[LakeWriter], tables: Tables) -> None:
    """Ask for new versions before a record of theirs is met; a registry that is away is asked again the next time."""
    for writer in writers:
        try:
            if writer.learn():
                tables.take(writer.stream)
        except Exception as error:  # noqa: BLE001 (the registry may be away for any reason)
            _log.warning("%s: nobody to ask for new schemas (%s); going on as it is", writer.stream.name, error)
