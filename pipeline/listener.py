"""What do a session's queries say of their micro-batches? Spark calls back after each; we only take the note.

The call comes on a thread of Spark's own, of which there is one for all queries, while Java waits for the answer: whoever works
in it delays what Spark says next. So it takes the text as it is and goes; the part's own loop reads it. PySpark's listener
would ask Java for each field in turn, some hundred calls a batch: this one makes one. Polling `lastProgress` misses a batch
that ends while two others do, and costs five calls a second and query; this costs nothing while nothing happens.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from py4j.java_gateway import java_import
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.java_gateway import ensure_callback_server_started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

_AT_MOST = 1000
_EMPTIED_WITHIN_MS = 2000
_log = logging.getLogger(__name__)


class Listener:
    """Takes note of each batch; called by Java, as the interface below is."""

    def __init__(self) -> None:
        self._said: deque[str] = deque()
        self.lost = 0
        """Batches that were not taken note of, because nobody read for very long or Java did not answer."""

    def onQueryProgress(self, event: Any) -> None:  # noqa: N802, ANN401 (Java's name; an object of Java's)
        """A micro-batch has ended."""
        try:
            self._said.append(event.json())
            if len(self._said) > _AT_MOST:
                self._said.popleft()
                self.lost += 1
        except Exception:  # noqa: BLE001 (whatever it is: it must not reach Spark)
            self.lost += 1

    def onQueryStarted(self, event: Any) -> None:  # noqa: N802, ANN401
        """Spark waits for it before the query starts; there is nothing to do."""

    def onQueryIdle(self, event: Any) -> None:  # noqa: N802, ANN401
        """Nothing to do."""

    def onQueryTerminated(self, event: Any) -> None:  # noqa: N802, ANN401
        """Nothing to do: the part's loop looks after its queries."""

    def take(self) -> Iterator[str]:
        """What has been said since, oldest first: JSON, one text a micro-batch."""
        with contextlib.suppress(IndexError):
            while True:
                yield self._said.popleft()

    class Java:
        """For Py4J."""

        implements = ("org.apache.spark.sql.streaming.PythonStreamingQueryListener",)


class Listening:
    """A listener of one session, from now on until it is closed; `close` it before the session."""

    def __init__(self, session: SparkSession, listener: Listener | None = None) -> None:
        self.listener = listener or Listener()
        self._told_lost = 0
        gateway: Any = SparkContext._gateway  # noqa: SLF001 (as PySpark itself adds a listener)
        java_import(gateway.jvm, "org.apache.spark.sql.streaming.*")
        start_callbacks: Any = ensure_callback_server_started
        start_callbacks(gateway)
        self._wrapped = gateway.jvm.PythonStreamingQueryListenerWrapper(self.listener)
        self._streams: Any = session.streams._jsqm  # noqa: SLF001
        self._bus: Any = session.sparkContext._jsc.sc().listenerBus()  # noqa: SLF001
        self._streams.addListener(self._wrapped)

    def take(self) -> Iterator[str]:
        """See `Listener.take`; what was lost is said once."""
        if (lost := self.listener.lost) != self._told_lost:
            _log.warning("%d micro-batches were not taken note of", lost - self._told_lost)
            self._told_lost = lost
        return self.listener.take()

    def close(self) -> Iterator[str]:
        """Wait until Spark has said what there is to say of queries that have stopped, and listen no more."""
        with contextlib.suppress(Py4JError):
            self._bus.waitUntilEmpty(_EMPTIED_WITHIN_MS)
        with contextlib.suppress(Py4JError):
            self._streams.removeListener(self._wrapped)
        return self.take()
