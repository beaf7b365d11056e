"""How is a query stopped between two micro-batches?

`stop` cuts a micro-batch short: nothing is lost by it, but the batch has to run again. Between triggers there is none. A query that
lags has no such moment, one micro-batch follows the other; so it is stopped when the checkpoint says that a batch is
committed, while Spark still asks Kafka for the offsets of the next.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from pyspark.sql.streaming.query import StreamingQuery

_LOOK_EVERY_S = 0.005
_COMMITS_WITHIN_S = 10.0
_log = logging.getLogger(__name__)


def is_between(now_s: float, trigger_s: float, *, is_active: bool) -> bool:
    """Does a query that triggers so often rest, and for a moment longer? Spark triggers at multiples of the interval."""
    left = trigger_s - now_s % trigger_s
    return not is_active and left >= min(0.25, trigger_s / 4)


class Leaving:
    """A query's way out; each query has one of its own."""

    def __init__(self) -> None:
        self._query: StreamingQuery | None = None
        self._is_committed: Callable[[int], bool] = lambda _: False
        self._thread: threading.Thread | None = None

    @property
    def is_asked(self) -> bool:
        """Somebody wants the query to be stopped; one that has stopped is then to be started again."""
        return self._query is not None

    def ask(self, query: StreamingQuery, trigger: timedelta, is_committed: Callable[[int], bool]) -> None:
        """Stop the query now if it rests, else after its next micro-batch; ask again until it has stopped.

        Args:
            query: which.
            trigger: how often it begins a micro-batch.
            is_committed: does the checkpoint say so of a micro-batch?
        """
        self._query, self._is_committed = query, is_committed
        if is_between(time.time(), trigger.total_seconds(), is_active=query.status["isTriggerActive"]):
            query.stop()

    def after(self, batch_id: int) -> None:
        """A micro-batch has done its work: Spark commits it when this returns."""
        query = self._query
        if query is not None and self._thread is None:
            self._thread = threading.Thread(target=self._stop, args=(query, batch_id), name="leave", daemon=True)
            self._thread.start()

    def _stop(self, query: StreamingQuery, batch_id: int) -> None:
        until = time.monotonic() + _COMMITS_WITHIN_S
        while time.monotonic() < until and query.isActive:
            if self._is_committed(batch_id):
                query.stop()
                return
            time.sleep(_LOOK_EVERY_S)
        self._thread = None
