"""How does route's query read its raw topic and write its outputs? Everything about Spark's Kafka source and sink."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from controlplane.contract.names import Hop, topic
from pipeline.route.tails import DELIVERY_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter

    from pipeline.route.options import RouteOptions

SINK_OPTIONS = {
    "kafka.acks": "all",
    "kafka.enable.idempotence": "true",
    "kafka.linger.ms": "5",
    "kafka.batch.size": str(256 * 1024),
    "kafka.compression.type": "lz4",
}
"""Of the sink's producer; all that counts for what writing an event costs."""


def raw_stream(session: SparkSession, kafka: str, stream: str, starts: Mapping[int, int]) -> DataFrame:
    """A stream's raw topic from these offsets on; only these partitions, because others may have no output yet."""
    name = topic(stream, Hop.RAW)
    return (
        session.readStream.format("kafka")
        .options(**_source_options(kafka, name, starts))
        .option("failOnDataLoss", "true")
        .load()
    )


def raw_batch(
    session: SparkSession, kafka: str, stream: str, starts: Mapping[int, int], until: Mapping[int, int]
) -> DataFrame:
    """A stretch of the raw topic; `until` is exclusive and has a value for each partition of `starts`."""
    name = topic(stream, Hop.RAW)
    ends = {partition: until[partition] for partition in starts}
    return (
        session.read.format("kafka")
        .options(**_source_options(kafka, name, starts))
        .option("endingOffsets", json.dumps({name: ends}))
        .load()
    )


def _source_options(kafka: str, name: str, starts: Mapping[int, int]) -> dict[str, str]:
    return {
        "kafka.bootstrap.servers": kafka,
        "kafka.isolation.level": "read_committed",
        "assign": json.dumps({name: sorted(starts)}),
        "startingOffsets": json.dumps({name: dict(starts)}),
    }


def sink_options(kafka: str) -> dict[str, str]:
    """Of the sink: what it costs, and how long it may take to deliver."""
    timeout_ms = round(DELIVERY_TIMEOUT.total_seconds() * 1000)
    return {
        "kafka.bootstrap.servers": kafka,
        **SINK_OPTIONS,
        "kafka.delivery.timeout.ms": str(timeout_ms),
        "kafka.request.timeout.ms": str(timeout_ms // 2),
    }


def writer(frame: DataFrame, stream: str, options: RouteOptions) -> DataStreamWriter:
    """The query that writes a frame of `route` to its topics, ready to start, with a checkpoint made fresh."""
    checkpoint = options.scratch / "route" / stream
    shutil.rmtree(checkpoint, ignore_errors=True)
    found = (
        frame.writeStream.format("kafka")
        .queryName(f"route {stream}")
        .outputMode("update")
        .options(**sink_options(options.kafka))
        .option("checkpointLocation", str(checkpoint))
    )
    if options.mode == "microbatch":
        return found.trigger(processingTime="0 seconds")
    # PySpark 4.1 has no argument for this trigger yet; 4.2 names it `realTime`.
    jvm: Any = frame.sparkSession._jvm  # noqa: SLF001
    every = f"{round(options.batch.total_seconds() * 1000)} milliseconds"
    found._jwrite = found._jwrite.trigger(  # noqa: SLF001
        jvm.org.apache.spark.sql.streaming.Trigger.RealTime(every)
    )
    return found
