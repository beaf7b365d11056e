"""How do valid events become Delta rows, once each?

Spark may run a micro-batch again after a crash. The write carries the checkpoint's identity and the batch's number, and
Delta skips a pair that it has (`txnAppId`, `txnVersion`). The identity is the checkpoint's own: a new checkpoint with an
old name would have its first batches skipped without a word.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf

from controlplane.contract.facts import BatchCommitted, SchemaRead
from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION, Hop, lake_table, topic
from controlplane.contract.valid import type_name, valid_schema
from pipeline.lake.checkpoint import HadoopFiles, Start, decide, look, starting_offsets
from pipeline.lake.held import held_in
from pipeline.lake.offsets import ranges_of_batch, user_metadata
from pipeline.maintenance.promise import STATS, promised, with_stats
from pipeline.route.decode import body, by_writer, framed_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.registry import Learned

UNKNOWN_ID = "TIDEGATE_UNKNOWN_VALID_SCHEMA_ID"
"""What a query's failure says, with the id behind a colon, when it met a schema id of `<s>.valid` that is new."""
_MOMENTS = ("timestamp-millis", "timestamp-micros")
_WIDE = {"int": "bigint", "float": "double"}
_ROWS_A_FILE = 250_000
_log = logging.getLogger(__name__)


def rows(valid: DataFrame, stream: StreamDefinition, writers: Mapping[int, str]) -> DataFrame:
    """Kafka source rows of `<s>.valid` in, typed rows with their event date out.

    Raises (in Spark): for bytes that no known schema reads; validated topics hold none.
    """
    event = by_writer(body(), valid_schema(stream), writers, mode="FAILFAST")
    schema_id = sf.col("schema_id")
    unread = sf.raise_error(
        sf.concat(sf.lit(f"{UNKNOWN_ID}:"), sf.coalesce(schema_id.cast("string"), sf.lit("no frame")))
    )
    decoded = valid.select(sf.col("value"), framed_id(writers).alias("schema_id")).select(
        sf.when(schema_id.isin(*writers), event).otherwise(unread).alias("event")
    )
    columns = [_wide(f"event.{field['name']}", field) for field in valid_schema(stream)["fields"]]
    return decoded.select(*columns).withColumn(EVENT_DATE, sf.to_date(stream.event_time.field))


def _wide(column: str, field: dict[str, Any]) -> Column:
    """As the widest of its kind: a schema that widens a number changes nothing in the table, whoever reads it."""
    wide = _WIDE.get(type_name(field["type"]))
    found = sf.col(column)
    return (found if wide is None else found.cast(wide)).alias(field["name"])


def write_events(  # noqa: PLR0913 (what a write consists of)
    events: DataFrame, stream: StreamDefinition, path: str, *, files: int, mode: str = "append", **options: str
) -> None:
    """Write rows of `rows` to an events table, in so many files a partition at most."""
    writer = events.coalesce(files).write.format("delta").mode(mode)
    writer.options(**table_options(stream), **options).partitionBy(EVENT_DATE).save(path)


def write_fast(session: SparkSession, stream: StreamDefinition) -> None:
    """What an append costs is mostly Parquet: settle how a session writes it.

    Moments are numbers, compression is light, pages have no minima and maxima: Delta keeps those of each file, by which
    readers skip. A dictionary of values that hardly repeat would be built only to be thrown away. Maintenance writes the large
    files, with all of that.
    """
    moments = [each["name"] for each in valid_schema(stream)["fields"] if type_name(each["type"]) in _MOMENTS]
    settings = {
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "parquet.compression.codec.zstd.level": "1",
        "parquet.column.statistics.enabled": "false",
        # A file of ours is smaller; a stream that is replayed writes a dozen dates side by side.
        "parquet.block.size": str(32 * 2**20),
        **{f"parquet.enable.dictionary#{column}": "false" for column in (SOURCE_OFFSET, *moments)},
    }
    for name, value in settings.items():
        session.conf.set(name, value)


def table_options(stream: StreamDefinition) -> dict[str, str]:
    """How the events table is kept: what files are skipped by, that others can follow what was appended, and for how long."""
    skipped_by = (SOURCE_PARTITION, SOURCE_OFFSET, stream.event_time.field)
    return {
        STATS: with_stats(skipped_by, stream.maintenance.cluster_by),
        "delta.enableChangeDataFeed": "true",
        **promised(stream.maintenance),
    }


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

    @property
    def stream(self) -> StreamDefinition:
        """With the schema that all its versions make."""
        return self.known.stream

    @property
    def table(self) -> str:
        """Path of the Delta table."""
        return lake_table(self.settings.lake_root, self.stream.name)

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
        begin = self._begin()
        offsets = starting_offsets(name, begin.offsets, self.partitions)
        self._prepare()
        _log.info("lake of %s starts at %s", self.stream.name, offsets if begin.offsets else "its checkpoint")
        source = (
            self.session.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self.settings.kafka)
            .option("subscribe", name)
            .option("startingOffsets", offsets)
            .option("maxOffsetsPerTrigger", self.settings.lake_batch)
            .option("kafka.isolation.level", "read_committed")
            .option("failOnDataLoss", "true")
            .load()
        )
        return (
            source.writeStream.queryName(f"lake {self.stream.name}")
            .option("checkpointLocation", self.checkpoint)
            .trigger(processingTime=f"{round(self.settings.lake_trigger.total_seconds() * 1000)} milliseconds")
            .foreachBatch(self.append)
            .start()
        )

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
        files, (has_table, held) = self._files(), held_in(self.table)
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
        """Write one micro-batch; a second time changes nothing."""
        began, known = time.monotonic(), self.known
        ranges = ranges_of_batch(self._files().read, batch_id)
        count = sum(until - since for since, until in ranges.values())
        files = max(1, min(len(ranges), count // _ROWS_A_FILE))
        name = topic(self.stream.name, Hop.VALID)
        write_events(
            rows(batch, known.stream, known.valid),
            known.stream,
            self.table,
            files=files,
            mergeSchema="true",
            txnAppId=self._identity(),
            txnVersion=str(batch_id),
            userMetadata=user_metadata(self.stream.name, name, ranges),
        )
        self.reporter.report(
            BatchCommitted(
                at=datetime.now(UTC),
                stream=self.stream.name,
                table=self.table,
                version=self._version(),
                rows=count,
                offsets=ranges,
                took_s=time.monotonic() - began,
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
