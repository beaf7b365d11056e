"""How is one stream's query kept running, but for when it must not run?

It is started again after what is in order: a schema that is learnt, a table that was changed meanwhile. While an operation holds
the stream it is stopped between two micro-batches and stays so; a batch that waits for an operator would never end, so it
is given up, of which nothing is written.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from pipeline.lake.append import UNKNOWN_ID
from pipeline.lake.holding import Works
from pipeline.spark import QueryFailedError, failure_of

if TYPE_CHECKING:
    import threading

    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.facts import StreamHeld
    from pipeline.lake.gate import BatchGate
    from pipeline.lake.holding import StreamHolding
    from pipeline.lake.writer import LakeWriter
    from pipeline.tables.run import Tables

_ENDS_WITHIN_S = 30
"""A query that was stopped ends a moment later; a second one must not begin before."""
_PROGRESS_BUG = ("NullPointerException", "KafkaMicroBatchStream$.metrics")
CHANGED_MEANWHILE = re.compile(r"DELTA_(METADATA|PROTOCOL)_CHANGED")
"""Delta fails an append while whose work somebody sets a property of its table, as maintenance may; nothing of it is written."""
_UNKNOWN = re.compile(rf"{UNKNOWN_ID}:(\d+)")
_log = logging.getLogger(__name__)


class StreamQuery:
    """One stream's query, and what an operation wants of it.

    Args:
        writer: starts it.
        gate: what a batch may wait at.
        closing: the gate's; set to have a batch that waits there given up.
        holding: what operations want.
    """

    def __init__(self, writer: LakeWriter, gate: BatchGate, closing: threading.Event, holding: StreamHolding) -> None:
        self._writer, self._gate, self._closing, self._holding = writer, gate, closing, holding
        self.query: StreamingQuery | None = None
        """None while it is held."""
        self._is_given_up = False
        """The batch that waited at its gate was, and its query is about to fail of it."""

    def begin(self, tables: Tables) -> None:
        """Start the query, unless it is held; before `tables` are started.

        Raises:
            OSError, ValueError: if it is not known whether it is.
            CheckpointRefusedError: see `LakeWriter.start`.
        """
        self._holding.begin()
        if self._holding.wanted is not None:
            tables.rest(self._writer.stream.name)
        self.query = None if self._holding.holds_appends() else self._writer.start()

    def look(self) -> StreamHeld:
        """Whether it is to be held; asked now and then."""
        self._holding.look()
        return self._holding.fact()

    def beat(self, tables: Tables, slots: int | None) -> None:
        """Hold it, or keep it running.

        Args:
            tables: what follows it.
            slots: executors that share a micro-batch from now on; None for a local session.

        Raises:
            QueryFailedError: if the query has failed; the next run goes on exactly.
            OSError: if lake's answer cannot be written or taken back.
        """
        name = self._writer.stream.name
        if self._holding.wanted is not None:
            tables.rest(name)
        self._holding.step(Works(appends=self.query is not None, tables=tables.is_at(name)))
        if self._holding.wanted is None:
            tables.go_on(name)
        if self._holding.holds_appends() or self._is_given_up:
            self._let_end()
        elif self.query is None:
            self.query = self._writer.start()
        else:
            self._writer.share(slots, self.query)
            self.query = kept_running(self._writer, self.query, tables)

    def stop(self) -> None:
        """End it now; a micro-batch that is under way is run again by the next run."""
        if self.query is not None:
            self.query.stop()

    def _let_end(self) -> None:
        """Once between two micro-batches; a batch that waits at its gate is given up."""
        query = self.query
        if query is not None and query.isActive:
            if self._gate.waits_for:
                self._is_given_up = True
                self._closing.set()
            self._writer.leave(query)
            return
        if query is not None and (failure := failure_of(query)) is not None:
            _log.info("%s is held; what it was at is run again: %s", query.name, str(failure)[:200])
        elif query is not None:
            query.awaitTermination(_ENDS_WITHIN_S)
        self.query, self._is_given_up = None, False
        self._closing.clear()


def kept_running(writer: LakeWriter, query: StreamingQuery, tables: Tables) -> StreamingQuery:
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
