"""Lake as a process: one micro-batch query a stream, until told to stop."""

from __future__ import annotations

import logging
import re
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
from pipeline.lake.append import UNKNOWN_ID
from pipeline.lake.gate import BatchGate
from pipeline.lake.writer import LakeWriter
from pipeline.listener import Listening
from pipeline.progress import progressed
from pipeline.registry import await_registry, learned, register_stream
from pipeline.scale.scale import scale_of
from pipeline.scale.session import spark_settings
from pipeline.spark import Application, QueryFailedError, build_session, failure_of, session_options
from pipeline.suites import FollowedSuites
from pipeline.tables.run import Beside, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate

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
_ENDS_WITHIN_S = 30
"""A query that was stopped ends a moment later; a second one must not begin before."""
_LOOK_EVERY_S = 5.0
"""How often the registry is asked for new versions."""
_PROGRESS_BUG = ("NullPointerException", "KafkaMicroBatchStream$.metrics")
CHANGED_MEANWHILE = re.compile(r"DELTA_(METADATA|PROTOCOL)_CHANGED")
"""Delta fails an append while whose work somebody sets a property of its table, as maintenance may; nothing of it is written."""
_UNKNOWN = re.compile(rf"{UNKNOWN_ID}:(\d+)")
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
    closing = threading.Event()
    gates = {
        stream.name: BatchGate(
            stream.name,
            stream.gates.lake,
            gate,
            followed[stream.name],
            orders,
            reporter,
            closing,
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
    known = {name: partial(LakeWriter.knows, writer) for name, writer in writers.items()}
    tables = Tables(session, known, settings, Beside(gate, followed, orders, reporter, scale.boundary))
    queries: dict[str, StreamingQuery] = {}
    listening = Listening(session)
    facts = partial(progressed, part="lake", mode="microbatch", trigger=settings.lake_trigger)
    try:
        with ThreadPoolExecutor(len(writers), thread_name_prefix="start") as threads:
            queries = dict(zip(writers, threads.map(LakeWriter.start, writers.values()), strict=True))
        notify_ready(settings.notify_socket, f"{len(queries)} queries")
        tables.start()
        application = Application(session, "lake")
        reporter.stand("spark", (application.fact(),))
        looked_at = time.monotonic()
        for each in followed.values():
            reporter.stand(f"suites of {each.name}", each.facts())
        while not stopping.wait(_BEAT_S):
            heart.beat(_waits_for(gates.values(), tables))
            if time.monotonic() - looked_at > _LOOK_EVERY_S:
                looked_at = time.monotonic()
                _learn(writers.values(), tables)
                _look_at_suites(followed.values(), reporter)
                reporter.stand("spark", (application.fact(),))
            for name, writer in writers.items():
                writer.share(scale.slots, queries[name])
                queries[name] = _kept_running(writer, queries[name], tables)
            reporter.report(*facts(listening.take()))
    finally:
        closing.set()  # a batch that waits at its gate would hold up its query's end
        scale.close()
        for query in queries.values():
            query.stop()
        tables.stop()
        reporter.report(*facts(listening.close()))
        orders.close()
        reporter.close()
        session.stop()


def _waits_for(gates: Iterable[BatchGate], tables: Tables) -> str:
    return next((each.waits_for for each in gates if each.waits_for), tables.waits_for)


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


def _kept_running(writer: LakeWriter, query: StreamingQuery, tables: Tables) -> StreamingQuery:
    """The query, or the one that follows it.

    A record of a schema that is new fails its batch, of which nothing is written then: learnt, the next query runs it again. So it
    does where the table was changed under the batch.

    Spark 4.1.1 fails a query that has just run again the batch that a crash left open (SPARK-57438): the batch is done and
    committed, its progress can't be told. Then the next query goes on.
    """
    if query.isActive:
        return query
    failure = failure_of(query)
    if failure is None and writer.leaving.is_asked:
        query.awaitTermination(_ENDS_WITHIN_S)
        return writer.start()
    failure = failure or QueryFailedError(f"query {query.name} stopped by itself")
    if all(each in str(failure) for each in _PROGRESS_BUG):
        _log.info("%s: the batch that was left open is done; going on", query.name)
        return writer.start()
    if (changed := CHANGED_MEANWHILE.search(str(failure))) is not None:
        _log.info("%s: its table was changed meanwhile (%s); appending again", query.name, changed[0])
        return writer.start()
    if (met := _UNKNOWN.search(str(failure))) is not None:
        if writer.learn():
            tables.take(writer.stream)
        if int(met[1]) in writer.known.valid:  # it may have been learnt while the batch was under way
            return writer.start()
    raise failure
