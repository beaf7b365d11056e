"""How do requests become transactions? Those that come within some 20 ms share one, and are answered together.

A transaction costs the same for one event and for thousands, so nobody gets one for himself. While the broker is away what waits is
refused at once: who sent it keeps it and sends it again, so that nothing is kept here that could be lost.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.schema_registry import SchemaRegistryError

from controlplane.contract.metrics.meter import METER
from pipeline.collector.answers import RefusedError
from pipeline.collector.kafka import AwayError, InDoubtError, LostError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pipeline.collector.kafka import Log
    from pipeline.collector.waiting import Asked, Waiting

_LINGER_S = 0.02
_EVENTS_AT_MOST = 10_000
"""Of one transaction, unless one request has more."""
_LOOK_S = 0.1
_AGAIN_S = 2
_log = logging.getLogger(__name__)
STARTING = RefusedError(503, "the collector starts: it waits for the broker", retry_after_s=_AGAIN_S)
STOPPING = RefusedError(503, "the collector stops: nothing of this is kept", retry_after_s=_AGAIN_S)


class Committer:
    """Takes what waits into transactions; `run` belongs to a thread of its own."""

    def __init__(self, waiting: Waiting, begin: Callable[[], Log], stopping: threading.Event) -> None:
        self._waiting, self._begin, self._stopping = waiting, begin, stopping
        waiting.close(STARTING)

    def run(self) -> None:
        """Until told to stop, and nothing waits any more.

        Raises:
            LostError: if nothing can be sent any more; what waited was refused.
        """
        try:
            log = self._begun()
            while log is not None and (taken := self._taken()):
                self._carry(log, taken)
        finally:
            self._waiting.close(STOPPING)

    def _begun(self) -> Log | None:
        while not self._stopping.is_set():
            try:
                log = self._begin()
            except (KafkaException, SchemaRegistryError, TimeoutError, httpx.HTTPError) as error:
                _log.warning("the collector can't begin, and tries again: %s", error)
                self._stopping.wait(_AGAIN_S)
            else:
                self._waiting.open()
                return log
        return None

    def _taken(self) -> list[Asked]:
        while True:
            is_last = self._stopping.is_set()
            if (taken := self._waiting.take(_EVENTS_AT_MOST, _LINGER_S, _LOOK_S)) or is_last:
                return taken

    def _carry(self, log: Log, taken: Sequence[Asked]) -> None:
        began = time.monotonic()
        try:
            log.commit([record for asked in taken for record in asked.records])
        except AwayError as error:
            self._refuse(
                taken, "taken_back", f"Kafka does not take events now, nothing of this is kept: {error}", began
            )
            self._settle(log)
        except (InDoubtError, LostError) as error:
            said = f"it is not known whether Kafka has kept this, all of it or none: {error}"
            self._refuse(taken, "in_doubt", said, began)
            if isinstance(error, LostError):
                raise
            self._settle(log)
        else:
            took_s = time.monotonic() - began
            METER.observe("tidegate_collector_transaction_seconds", "committed", value=took_s)
            self._waiting.done(taken, took_s)

    def _refuse(self, taken: Sequence[Asked], result: str, why: str, began: float) -> None:
        took_s = time.monotonic() - began
        METER.observe("tidegate_collector_transaction_seconds", result, value=took_s)
        _log.warning("%d requests are refused: %s", len(taken), why)
        refused = RefusedError(503, why, retry_after_s=_AGAIN_S, more={"kept": None if result == "in_doubt" else False})
        self._waiting.done(taken, took_s, refused)

    def _settle(self, log: Log) -> None:
        """Nothing is taken until what was open is finished."""
        if log.settle():
            return
        away = "Kafka does not answer: nothing of this is kept"
        self._waiting.close(RefusedError(503, away, retry_after_s=_AGAIN_S, more={"kept": False}))
        while not self._stopping.is_set():
            if log.settle():
                _log.info("Kafka answers again")
                self._waiting.open()
                return
            self._stopping.wait(_LOOK_S)
