"""How does a diverted micro-batch come into the events after all, once, whoever is killed when?

Two tables change, and Delta commits to one at a time. So first the batch is taken out of `diverted`, in a commit that names it
and the version that still has it; then it is appended from that version, in a write that Delta takes only once. A crash in
between leaves a commit that says what is still to be done, and the ledger says meanwhile that the events are on their way;
the other order would have shown them twice.

A rollback may take a release back. Delta remembers the write all the same, so whether it is there is asked of what the tables are
made of, and the next write has another name; and what was ordered before the rollback is not done again for it.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from delta.tables import DeltaTable as SparkTable
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import functions as sf

from controlplane.contract.facts import BatchCommitted
from controlplane.contract.gates import Order, Stage
from controlplane.contract.names import DIVERTED, lake_table
from pipeline.lake.append import rows, write_events, write_fast
from pipeline.lake.commits import history_of
from pipeline.lake.diverted import last_batch
from pipeline.lake.lineage import NOTHING, says, way_back
from pipeline.lake.offsets import releases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
        self._released: Released | None = None
        """As of the first look: what was released since is done, and a rollback begins with another of these."""

    def beat(self) -> Iterator[BatchCommitted]:
        """Release what is ordered, and what was begun; tells of each that has come into the events.

        Raises:
            PySparkException, Py4JJavaError: if a table can't be written; the next beat goes on where it ends.
        """
        ordered = [each for each in self._orders.to(self._name, Stage.LAKE) if each.order is Order.RELEASE]
        begun = {} if self._has_looked else self._begun()
        if (ordered or begun) and self._released is None:
            self._released = released_in(_history(self._events))
        since = self._released.since if self._released is not None else None
        wanted = [each.subject for each in ordered if each.subject is not None and (since is None or each.at > since)]
        for batch in dict.fromkeys((*begun, *wanted)):
            if batch not in self._done and (fact := self._release(batch)) is not None:
                yield fact
        self._has_looked = True

    def _begun(self) -> dict[str, int]:
        """Batches that were taken out of `diverted` -> the version that still has them."""
        history = _history(self._diverted)
        made_of = way_back(says(history), max((int(each["version"]) for each in history), default=NOTHING))
        said = {int(each["version"]): releases_in(each.get("userMetadata")) for each in history}
        return {batch: at - 1 for at in made_of if (batch := said[at]) is not None}

    def _release(self, batch: str) -> BatchCommitted | None:
        began, known = time.monotonic(), self._known()
        released = self._released or Released()
        once = released.once(batch)
        is_there = batch in released.there or last_batch(self._events, once) >= 0
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
            txnAppId=once,
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


@dataclass(frozen=True)
class Released:
    """What the log of the events says of releases."""

    there: frozenset[str] = frozenset()
    """Batches whose release the newest version is made of."""
    taken_back: frozenset[str] = frozenset()
    """Those that were released, and rolled back."""
    epoch: str = ""
    """The newest rollback; empty when there was none."""
    since: datetime | None = None
    """When that was."""

    def once(self, batch: str) -> str:
        """Delta takes one write of it; after a rollback that took it back, one more."""
        return f"release:{batch}" + (f":{self.epoch}" if batch in self.taken_back else "")


def released_in(history: Sequence[Mapping[str, Any]]) -> Released:
    """Of the events' history, the newest commit first."""
    if not history:
        return Released()
    said, at = says(history), {int(each["version"]): each for each in history}
    batches = {version: releases_in(each.get("userMetadata")) for version, each in at.items()}
    made_of = set(way_back(said, max(at)))
    there = frozenset(batch for version, batch in batches.items() if batch and version in made_of)
    newest = max((version for version, each in said.items() if each.rollback is not None), default=None)
    if newest is None or (rollback := said[newest].rollback) is None:
        return Released(there)
    gone = frozenset(batch for version, batch in batches.items() if batch and version not in made_of) - there
    return Released(there, gone, rollback.operation, datetime.fromtimestamp(at[newest]["timestamp"] / 1000, UTC))


def _history(path: str) -> list[dict[str, Any]]:
    try:
        return history_of(DeltaTable(path))
    except TableNotFoundError:
        return []


@contextmanager
def _saying(session: SparkSession, metadata: str) -> Iterator[None]:
    session.conf.set(_SAYS, metadata)
    try:
        yield
    finally:
        session.conf.unset(_SAYS)
