"""How does a diverted micro-batch come into the events after all, once, whoever is killed when?

Two tables change, and Delta commits to one at a time. So first the batch is taken out of `diverted`, in a commit that names it
and the version that still has it; then it is appended from that version, in a write that Delta takes only once. A crash in
between leaves a commit that says what is still to be done, and the ledger says meanwhile that the events are on their way;
the other order would have shown them twice.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from delta.tables import DeltaTable as SparkTable
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import functions as sf

from controlplane.contract.facts import BatchCommitted
from controlplane.contract.gates import Order, Stage
from controlplane.contract.names import DIVERTED, lake_table
from pipeline.lake.append import rows, write_events, write_fast
from pipeline.lake.diverted import last_batch
from pipeline.lake.offsets import releases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from pipeline.lake.gate import OrderSource
    from pipeline.registry import Learned

_SAYS = "spark.databricks.delta.commitInfo.userMetadata"
_log = logging.getLogger(__name__)


class Releases:
    """One stream's; of the thread that makes it.

    Args:
        session: of that thread alone.
        known: the stream, and the schemas that its records are read with.
        lake_root: where the tables are.
        orders: who says what is to be released.
    """

    def __init__(
        self, session: SparkSession, known: Callable[[], Learned], lake_root: str, orders: OrderSource
    ) -> None:
        self._session, self._known, self._orders = session, known, orders
        self._name = known().stream.name
        self._events = lake_table(lake_root, self._name)
        self._diverted = lake_table(lake_root, self._name, DIVERTED)
        self._done: set[str] = set()
        self._has_looked = False
        """Has finished what an earlier run had begun."""

    def beat(self) -> Iterator[BatchCommitted]:
        """Release what is ordered, and what was begun; tells of each that has come into the events.

        Raises:
            PySparkException, Py4JJavaError: if a table can't be written; the next beat goes on where it ends.
        """
        ordered = [each for each in self._orders.to(self._name, Stage.LAKE) if each.order is Order.RELEASE]
        wanted = dict.fromkeys(each.subject for each in ordered if each.subject is not None)
        if not self._has_looked:
            wanted = {**dict.fromkeys(self._begun()), **wanted}
        for batch in wanted:
            if batch not in self._done and (fact := self._release(batch)) is not None:
                yield fact
        self._has_looked = True

    def _begun(self) -> dict[str, int]:
        """Batches that were taken out of `diverted` -> the version that still has them."""
        try:
            history = DeltaTable(self._diverted).history()
        except TableNotFoundError:
            return {}
        said = {releases_in(each.get("userMetadata")): int(each["version"]) - 1 for each in history}
        return {batch: version for batch, version in said.items() if batch is not None}

    def _release(self, batch: str) -> BatchCommitted | None:
        began, known = time.monotonic(), self._known()
        is_there = last_batch(self._events, _once(batch)) >= 0
        version = None if is_there else self._begun().get(batch)
        if version is None and not is_there:
            version = self._take_out(batch)
        if version is None:
            self._done.add(batch)
            _log.info("%s: there is nothing to release of micro-batch %s", self._name, batch)
            return None
        found = self._of(version, batch)
        count = found.count()
        write_fast(self._session, known.stream)
        write_events(
            rows(found.select("value"), known.stream, known.valid),
            known.stream,
            self._events,
            files=1,
            mergeSchema="true",
            txnAppId=_once(batch),
            txnVersion="0",
            userMetadata=json.dumps({"stream": self._name, "releases": batch}),
        )
        self._done.add(batch)
        _log.info("%s: micro-batch %s is released: %s events", self._name, batch, f"{count:,}")
        return BatchCommitted(
            at=datetime.now(UTC),
            stream=self._name,
            table=self._events,
            version=DeltaTable(self._events).version(),
            rows=count,
            offsets={},
            took_s=time.monotonic() - began,
        )

    def _take_out(self, batch: str) -> int | None:
        """The version that still has a batch; None when none has."""
        if not DeltaTable.is_deltatable(self._diverted) or self._of(None, batch).isEmpty():
            return None
        with _saying(self._session, json.dumps({"stream": self._name, "releases": batch})):
            SparkTable.forPath(self._session, self._diverted).delete(sf.col("batch") == batch)
        return self._begun()[batch]

    def _of(self, version: int | None, batch: str) -> DataFrame:
        reader = self._session.read.format("delta")
        read = reader if version is None else reader.option("versionAsOf", version)
        return read.load(self._diverted).where(sf.col("batch") == batch)


def _once(batch: str) -> str:
    """Delta takes one write of it."""
    return f"release:{batch}"


@contextmanager
def _saying(session: SparkSession, metadata: str) -> Iterator[None]:
    session.conf.set(_SAYS, metadata)
    try:
        yield
    finally:
        session.conf.unset(_SAYS)
