"""One stream's micro-batches, each into the table where it belongs, once.

Spark may run a micro-batch again after a crash. Each write carries the checkpoint's identity and the batch's number, and
Delta skips a pair that it has (`txnAppId`, `txnVersion`). The identity is the checkpoint's own: a new checkpoint with an
old name would have its first batches skipped without a word. What was once diverted stays so when its batch is run again.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from controlplane.contract.facts import BatchCommitted, SchemaRead
from controlplane.contract.gates import Outcome
from controlplane.contract.names import DIVERTED, Hop, lake_table, topic
from pipeline.lake.append import event_of, rows, write_events, write_fast
from pipeline.lake.checkpoint import HadoopFiles, Start, decide, look, starting_offsets
from pipeline.lake.diverted import Diverted, last_batch, rejected, write_diverted
from pipeline.lake.gate import Batch
from pipeline.lake.held import held_in
from pipeline.lake.leaving import Leaving
from pipeline.lake.offsets import ranges_of_batch, user_metadata
from pipeline.lake.sample import columns_read, frame_of, read_stretches, stretches
from pipeline.reason import told_of
from pipeline.route.decode import framed_id
from pipeline.scale.boundary import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Suite
    from pipeline.lake.gate import BatchGate, Decision
    from pipeline.lake.offsets import Ranges
    from pipeline.registry import Learned

_ROWS_A_FILE = 250_000
_TOLD_AT_MOST = 20_000
_KEPT_AT_MOST = 50_000
"""Events of a micro-batch that is kept in memory while it is judged and written."""
_log = logging.getLogger(__name__)


class BatchFailedError(Exception):
    """A micro-batch has failed: nothing of it is written, and whoever runs it again goes on exactly."""


def files_of(count: int, partitions: int, share: int | None) -> int:
    """How many tasks write a micro-batch, a file each: few large files, but on executors none with more than its share."""
    few = max(1, min(partitions, count // _ROWS_A_FILE))
    return few if share is None else max(few, -(-count // share))


@contextmanager
def _kept(events: DataFrame, is_kept: bool) -> Iterator[None]:
    """Few events are decoded once, for the gate and for the write; many would not fit beside what the write needs."""
    if is_kept:
        events.persist()
    try:
        yield
    finally:
        if is_kept:
            events.unpersist()


@dataclass
class LakeWriter:
    """One stream's appends."""

    session: SparkSession
    ask: Callable[[], Learned]
    """What the registry knows of the stream."""
    known: Learned
    """What it knew when it was asked last."""
    partitions: Sequence[int]
    """Of the valid topic, when the query starts; Spark finds further ones by itself."""
    settings: Settings
    reporter: Reporter
    gate: BatchGate
    """Asked before each write."""
    boundary: Boundary = field(default_factory=Boundary)
    """Between micro-batches; those of other queries too."""
    slots: int | None = None
    """Executors that share a micro-batch; None for a local session."""
    leaving: Leaving = field(default_factory=Leaving)
    """How its query is stopped between two micro-batches."""
    has_written: bool = False
    """Since the query started: its first batch may be one that a crash has interrupted."""

    @property
    def stream(self) -> StreamDefinition:
        """With the schema that all its versions make."""
        return self.known.stream

    @property
    def table(self) -> str:
        """Path of the Delta table."""
        return lake_table(self.settings.lake_root, self.stream.name)

    @property
    def diverted(self) -> str:
        """Path of the table of micro-batches that the gate diverted."""
        return lake_table(self.settings.lake_root, self.stream.name, DIVERTED)

    @property
    def checkpoint(self) -> str:
        """Path of the query's checkpoint."""
        return f"{self.settings.checkpoint_root.rstrip('/')}/lake/{self.stream.name}"

    def start(self) -> StreamingQuery:
        """Start the query where its checkpoint says, if it agrees with the table, else where the table ends.

        Raises:
            CheckpointRefusedError: if neither can be trusted.
        """
        name = topic(self.stream.name, Hop.VALID)
        self.has_written = False
        self.leaving = Leaving()
        begin = self._begin()
        offsets = starting_offsets(name, begin.offsets, self.partitions)
        self._prepare()
        _log.info("lake of %s starts at %s", self.stream.name, offsets if begin.offsets else "its checkpoint")
        source = (
            self.session.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self.settings.kafka)
            .option("subscribe", name)
            .option("startingOffsets", offsets)
            .options(**self._shared())
            .option("kafka.isolation.level", "read_committed")
            .option("failOnDataLoss", "true")
            .load()
        )
        return (
            source.writeStream.queryName(f"lake {self.stream.name}")
            .option("checkpointLocation", self.checkpoint)
            .trigger(processingTime=f"{round(self.settings.lake_trigger.total_seconds() * 1000)} milliseconds")
            .foreachBatch(self._appended)
            .start()
        )

    def _shared(self) -> dict[str, str]:
        """How much a micro-batch takes, and in how many tasks it reads; Spark settles both when a query starts."""
        if self.slots is None:
            return {"maxOffsetsPerTrigger": str(self.settings.lake_batch)}
        bound = self.slots * self.settings.executor_batch
        return {"maxOffsetsPerTrigger": str(bound), "minPartitions": str(self.slots)}

    def share(self, slots: int | None, query: StreamingQuery) -> None:
        """Let so many executors share a micro-batch, from the next one on if that can be: its query is stopped between two."""
        if slots == self.slots and not self.leaving.is_asked:
            return
        self.slots = slots
        self.leave(query)

    def leave(self, query: StreamingQuery) -> None:
        """Stop the query between two micro-batches; ask again until it has stopped."""
        self.leaving.ask(query, self.settings.lake_trigger, self._is_committed)

    def _is_committed(self, batch_id: int) -> bool:
        return self._files().read(f"commits/{batch_id}") is not None

    def _appended(self, batch: DataFrame, batch_id: int) -> None:
        """`append`, with errors of bounded length.

        Java's have pages of plans; the stack of Spark, which searches them by a regular expression when a query is stopped,
        was seen to overflow.
        """
        try:
            with self.boundary.working():
                self.append(batch, batch_id)
        except Exception as error:  # noqa: BLE001 (whatever it is)
            raise BatchFailedError(f"micro-batch {batch_id}: {told_of(error, _TOLD_AT_MOST)}") from None
        self.leaving.after(batch_id)

    def knows(self) -> Learned:
        """What it knows of the stream now."""
        return self.known

    def learn(self) -> bool:
        """Ask the registry for new versions; the next micro-batch is read with them. True when there were any.

        Raises:
            SchemaRegistryError, httpx.HTTPError: if the registry is away or refuses.
        """
        found = self.ask()
        if found == self.known:
            return False
        _log.info("lake of %s reads schema ids %s from now on", self.stream.name, sorted(found.valid))
        self.known = found
        self._prepare()
        return True

    def _prepare(self) -> None:
        write_fast(self.session, self.stream)
        self.reporter.stand(f"lake {self.stream.name}", (self._reads(),))

    def _reads(self) -> SchemaRead:
        return SchemaRead(
            at=datetime.now(UTC),
            stream=self.stream.name,
            reader="lake",
            hop=Hop.VALID,
            schema_ids=tuple(sorted(self.known.valid)),
        )

    def _begin(self) -> Start:
        files, (has_table, held) = self._files(), held_in(self.table, self.diverted)
        begin = decide(look(files), held, has_table=has_table, where=self.checkpoint)
        if begin.set_aside is not None:
            target = files.set_aside(f"aside-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            _log.warning(
                "lake of %s begins a new checkpoint where its table ends: %s; the old one is kept in %s",
                self.stream.name,
                begin.set_aside,
                target,
            )
        return begin

    def append(self, batch: DataFrame, batch_id: int) -> None:
        """Write one micro-batch where its gate says; a second time changes nothing.

        Raises:
            ClosingError: if the part is to stop while the batch waits.
        """
        began, known, identity = time.monotonic(), self.known, self._identity()
        ranges = ranges_of_batch(self._files().read, batch_id)
        count = sum(until - since for since, until in ranges.values())
        events = rows(batch, known.stream, known.valid)
        written_to = None if self.has_written else self._written_to(identity, batch_id)
        is_few = count <= min(known.stream.gates.lake.sample, _KEPT_AT_MOST)
        with _kept(events, is_few and self.gate.has_suite and written_to is None):
            decision = (
                None if written_to or not count else self.gate.decide(self._judged(events, batch_id, ranges, identity))
            )
            said = user_metadata(self.stream.name, topic(self.stream.name, Hop.VALID), ranges)
            once = {"txnAppId": identity, "txnVersion": str(batch_id), "userMetadata": said}
            if decision is not None and decision.outcome is Outcome.DIVERTED:
                self._begin_table(events, ranges)
                write_diverted(self._rejected(batch, known, decision, identity), known.stream, self.diverted, **once)
            elif written_to != self.diverted:
                if written_to is None:
                    files = files_of(count, len(ranges), None if self.slots is None else self.settings.executor_batch)
                    write_events(events, known.stream, self.table, files=files, mergeSchema="true", **once)
                self._report(count, ranges, time.monotonic() - began - (decision.waited_s if decision else 0))
        self.has_written = True
        if decision is not None:
            self.gate.done(decision, time.monotonic() - began - decision.waited_s)

    def _begin_table(self, events: DataFrame, ranges: Ranges) -> None:
        """There is a table of events from the first batch on, even if that is diverted: one that is missing was lost."""
        if DeltaTable.is_deltatable(self.table):
            return
        before = {partition: (since, since) for partition, (since, _) in ranges.items()}
        said = user_metadata(self.stream.name, topic(self.stream.name, Hop.VALID), before)
        write_events(events.limit(0), self.stream, self.table, files=1, userMetadata=said)

    def _written_to(self, identity: str, batch_id: int) -> str | None:
        """The table to which a batch went before a crash; what was decided then stays, whatever the suite says now."""
        tables = (self.diverted, self.table)
        return next((each for each in tables if last_batch(each, identity) >= batch_id), None)

    def _judged(self, events: DataFrame, batch_id: int, ranges: Ranges, identity: str) -> Batch:
        known, name = self.known, topic(self.stream.name, Hop.VALID)
        sampled = stretches(ranges, known.stream.gates.lake.sample, f"{identity}:{batch_id}")

        def look(suite: Suite) -> pd.DataFrame:
            if sampled is None:
                return frame_of(events, columns_read(suite))
            some = read_stretches(self.session, self.settings.kafka, name, sampled)
            return frame_of(rows(some, known.stream, known.valid), columns_read(suite))

        return Batch(batch_id, sum(until - since for since, until in ranges.values()), look)

    def _rejected(self, batch: DataFrame, known: Learned, decision: Decision, identity: str) -> DataFrame:
        broken = ",".join(each.rule for each in decision.judgement.rules if not each.kept)
        event = event_of(known.stream, known.valid)
        name = f"{identity}:{decision.batch.number}"
        return rejected(batch, framed_id(known.valid), event, Diverted(name, broken, decision.fingerprint))

    def _report(self, count: int, ranges: Ranges, took_s: float) -> None:
        self.reporter.report(
            BatchCommitted(
                at=datetime.now(UTC),
                stream=self.stream.name,
                table=self.table,
                version=self._version(),
                rows=count,
                offsets=ranges,
                took_s=took_s,
            )
        )

    def _identity(self) -> str:
        text = self._files().read("metadata")
        if text is None:
            raise ValueError(f"{self.checkpoint} has no identity: its file `metadata` is missing")
        return str(json.loads(text)["id"])

    def _version(self) -> int:
        jvm: Any = self.session._jvm  # noqa: SLF001
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.session._jsparkSession, self.table)  # noqa: SLF001
        return int(log.unsafeVolatileSnapshot().version())

    def _files(self) -> HadoopFiles:
        return HadoopFiles(self.session, self.checkpoint)
