"""How do valid events become Delta rows? What a row is made of, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION
from controlplane.contract.valid import type_name, valid_schema
from pipeline.maintenance.promise import STATS, promised, with_stats
from pipeline.route.decode import body, by_writer, framed_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition

UNKNOWN_ID = "TIDEGATE_UNKNOWN_VALID_SCHEMA_ID"
"""What a query's failure says, with the id behind a colon, when it met a schema id of `<s>.valid` that is new."""
_MOMENTS = ("timestamp-millis", "timestamp-micros")
_WIDE = {"int": "bigint", "float": "double"}


def rows(valid: DataFrame, stream: StreamDefinition, writers: Mapping[int, str]) -> DataFrame:
    """Kafka source rows of `<s>.valid` in, typed rows with their event date out.

    Raises (in Spark): for bytes that no known schema reads; validated topics hold none.
    """
    schema_id = framed_id(writers).alias("schema_id")
    decoded = valid.select("value", schema_id).select(event_of(stream, writers).alias("event"))
    columns = [_wide(f"event.{field['name']}", field) for field in valid_schema(stream)["fields"]]
    return decoded.select(*columns).withColumn(EVENT_DATE, sf.to_date(stream.event_time.field))


def event_of(stream: StreamDefinition, writers: Mapping[int, str]) -> Column:
    """The event in column `value`, whose writer's schema is in column `schema_id`.

    Raises (in Spark): for bytes that no known schema reads.
    """
    schema_id = sf.col("schema_id")
    event = by_writer(body(), valid_schema(stream), writers, mode="FAILFAST")
    unread = sf.raise_error(
        sf.concat(sf.lit(f"{UNKNOWN_ID}:"), sf.coalesce(schema_id.cast("string"), sf.lit("no frame")))
    )
    return sf.when(schema_id.isin(*writers), event).otherwise(unread)


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
