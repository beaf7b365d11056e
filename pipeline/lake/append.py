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
from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, Hop, lake_table, topic
from controlplane.contract.valid import type_name, valid_schema
from pipeline.lake.checkpoint import HadoopFiles, Start, decide, look, starting_offsets
from pipeline.lake.held import held_in
from pipeline.lake.offsets import ranges_of_batch, user_metadata
from pipeline.route.decode import body, by_writer, framed_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

EVENT_DATE = "event_date"
_ROWS_A_FILE = 250_000
_ROWS_A_BATCH = 1_000_000
_log = logging.getLogger(__name__)


def rows(valid: DataFrame, stream: StreamDefinition, writers: Mapping[int, str]) -> DataFrame:
    """Kafka source rows of `<s>.valid` in, typed rows with their event date out.

    Raises (in Spark): for bytes that no known schema reads; validated topics hold none.
    """
    event = by_writer(body(), valid_schema(stream), writers, mode="FAILFAST")
    unread = sf.raise_error(
        sf.lit(f"{stream.name}.valid holds a record of a schema id that was not known at the start")
    )
    decoded = valid.select(sf.col("value"), framed_id(writers).alias("schema_id")).select(
        sf.when(sf.col("schema_id").isin(*writers), event).otherwise(unread).alias("event")
    )
    return decoded.select("event.*").withColumn(EVENT_DATE, sf.to_date(_timestamp(stream)))


def _timestamp(stream: StreamDefinition) -> Column:
    field = stream.event_time.field
    kind = next(type_name(each["type"]) for each in stream.avro_schema["fields"] if each["name"] == field)
    return sf.timestamp_millis(sf.col(field)) if kind == "long" else sf.col(field)


@dataclass
class LakeWriter:
    """One stream's appends."""

    session: SparkSession
    stream: StreamDefinition
    writers: Mapping[int, str]
    partitions: Sequence[int]
    """Of the valid topic, when the query starts; Spark finds further ones by itself."""
    settings: Settings
    reporter: Reporter

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
        self.reporter.stand(f"lake {self.stream.name}", (self._reads(),))
        _log.info("lake of %s starts at %s", self.stream.name, offsets if begin.offsets else "its checkpoint")
        source = (
            self.session.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self.settings.kafka)
            .option("subscribe", name)
            .option("startingOffsets", offsets)
            .option("maxOffsetsPerTrigger", _ROWS_A_BATCH)
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

    def _reads(self) -> SchemaRead:
        return SchemaRead(
            at=datetime.now(UTC),
            stream=self.stream.name,
            reader="lake",
            hop=Hop.VALID,
            schema_ids=tuple(sorted(self.writers)),
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
        began = time.monotonic()
        ranges = ranges_of_batch(self._files().read, batch_id)
        count = sum(until - since for since, until in ranges.values())
        files = max(1, min(len(ranges), count // _ROWS_A_FILE))
        name = topic(self.stream.name, Hop.VALID)
        (
            rows(batch, self.stream, self.writers)
            .coalesce(files)
            .write.format("delta")
            .mode("append")
            .option("mergeSchema", "true")
            .option("txnAppId", self._identity())
            .option("txnVersion", str(batch_id))
            .option("userMetadata", user_metadata(self.stream.name, name, ranges))
            .partitionBy(EVENT_DATE)
            .option("delta.dataSkippingStatsColumns", f"{SOURCE_PARTITION},{SOURCE_OFFSET}")
            .save(self.table)
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
