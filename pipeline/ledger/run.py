"""The ledger as a process: every second each stream's account, on a thread of its own, until told to stop.

What fails in one stream is said of that stream and tried again; the others' accounts go on meanwhile.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from controlplane.contract.facts import LedgerTaken, Verdict
from controlplane.contract.names import DIVERTED, lake_table
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from pipeline.kafka import await_broker, ensure_topics
from pipeline.ledger.examine import Examiner
from pipeline.ledger.hops import Hops
from pipeline.ledger.kept import Kept
from pipeline.ledger.lake import DeltaFiles, LakeCount, WithDiverted
from pipeline.ledger.log import KafkaLog
from pipeline.ledger.payload import RegistrySchemas, shown
from pipeline.ledger.serving import ServingCount
from pipeline.ledger.stopped import Stopped
from pipeline.ledger.stream import Sources, StreamLedger
from pipeline.ledger.tally import Tally
from pipeline.ledger.writers import Writers

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.ledger.stopped import StoppedHops

    class Ledger(Protocol):
        """Takes a stream's account."""

        def take(self) -> LedgerTaken:
            """The account as it is now."""

        def close(self) -> None:
            """Let go of everything."""


_EVERY_S = 1.0
_AGAIN_AFTER_S = 3.0
_HANGS_AFTER_S = 45.0
"""A stream without an account for so long is no sign of life; counting waits for brokers and tables that are away."""
_log = logging.getLogger(__name__)


def run(settings: Settings, streams: Sequence[StreamDefinition], stopping: threading.Event) -> None:
    """Report every stream's account until `stopping` is set.

    Raises:
        TimeoutError: if the broker does not answer at the start.
        KafkaException: if a client can never go on; the next run does, where the count was kept.
    """
    admin = await_broker(settings.kafka)
    reporter, heart = Reporter(settings.api, settings.service_token), Heart(settings.notify_socket)
    stopped = Stopped(settings.api, settings.service_token)
    taken_at = {stream.name: time.monotonic() for stream in streams}

    def keep(stream: StreamDefinition) -> None:
        writers = Writers(stream.name)

        def begin() -> StreamLedger:
            ensure_topics(admin, stream)
            return open_ledger(settings, stream, writers, stopped)

        def report(taken: LedgerTaken) -> None:
            taken_at[taken.stream] = time.monotonic()
            reporter.report(taken)
            reporter.stand(f"producers of {stream.name}", writers.facts())

        keep_ledger(stream.name, begin, report, stopping)

    with ThreadPoolExecutor(len(streams), thread_name_prefix="ledger") as threads:
        kept = [threads.submit(keep, stream) for stream in streams]
        notify_ready(settings.notify_socket, f"{len(streams)} ledgers")
        while not stopping.is_set() and not any(each.done() for each in kept):
            if time.monotonic() - min(taken_at.values()) < _HANGS_AFTER_S:
                heart.beat()
            wait(kept, timeout=_EVERY_S, return_when=FIRST_COMPLETED)
        stopping.set()
    stopped.close()
    reporter.close()
    for each in kept:
        each.result()


def open_ledger(
    settings: Settings, stream: StreamDefinition, writers: Writers | None = None, stopped: Stopped | None = None
) -> StreamLedger:
    """A stream's ledger on the real sources; of the thread that opens it. What it reads is shown to `writers`."""
    hops_stopped: StoppedHops = frozenset if stopped is None else partial(stopped.of, stream.name)
    held = (lambda: None) if stopped is None else partial(stopped.held, stream.name)
    kept = Kept(settings.data / "ledger" / f"{stream.name}.sqlite")
    log = KafkaLog(settings.kafka, stream.name)
    tally = Tally(log, kept, (writers or Writers(stream.name)).look)
    events, diverted = (DeltaFiles(lake_table(settings.lake_root, stream.name, each)) for each in ("events", DIVERTED))
    lake = LakeCount(WithDiverted(events, diverted), kept)
    serving = ServingCount(settings.clickhouse, stream.name)
    schemas = RegistrySchemas(settings.registry)

    def hops() -> closing[Hops]:
        return closing(Hops(settings.kafka, stream.name, tally.tapes, lake, serving))

    def close() -> None:
        for each in (log, serving, kept):
            each.close()

    examiner = Examiner(hops, lambda value: shown(value, schemas), stream.serving_retention)
    return StreamLedger(stream.name, Sources(tally, lake, serving, kept, close, hops_stopped, held), examiner)


def keep_ledger(
    stream: str, begin: Callable[[], Ledger], report: Callable[[LedgerTaken], None], stopping: threading.Event
) -> None:
    """Take one stream's account again and again; begin anew after a failure, and say of what kind it was.

    Raises:
        KafkaException: if a client can never go on.
    """
    while not stopping.is_set():
        try:
            _keep(begin(), report, stopping)
        except Exception as error:
            if isinstance(error, KafkaException) and error.args[0].fatal():
                raise
            _log.exception("the ledger of %s begins anew", stream)
            reason = f"the ledger failed and begins anew: {type(error).__name__}: {error}"
            report(
                LedgerTaken(at=datetime.now(UTC), stream=stream, partitions=(), verdict=Verdict.UNKNOWN, reason=reason)
            )
            stopping.wait(_AGAIN_AFTER_S)


def _keep(ledger: Ledger, report: Callable[[LedgerTaken], None], stopping: threading.Event) -> None:
    try:
        while not stopping.is_set():
            report(ledger.take())
            stopping.wait(_EVERY_S)
    finally:
        ledger.close()
