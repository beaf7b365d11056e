"""What happens to a record, as Spark Columns.

One row in, one row out: the row names its topic, so a record can be neither in two outputs nor in none. There is no
Python per event: a decode in a Python UDF is an order of magnitude slower, and real-time mode refuses it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import from_avro, to_avro

from controlplane.contract.names import (
    HEADER_REASON,
    HEADER_RULES,
    HEADER_SCHEMA_ID,
    HEADER_SEEN_AT,
    HEADER_SOURCE,
    HEADER_STAGE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIME,
    Hop,
    Reason,
    topic,
)
from controlplane.contract.valid import valid_schema
from pipeline.kafka import OUTPUT_HOPS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.rules import RowRule
    from controlplane.contract.streams import StreamDefinition

    RuleCompiler = Callable[[Sequence[RowRule]], Column]

UNKNOWN_ID = "TIDEGATE_UNKNOWN_SCHEMA_ID"
"""What a query's failure says, with the id behind a colon, when it met a schema id that route has not asked about."""
_FRAME_BYTES = 5


@dataclass(frozen=True)
class Schemas:
    """What route knows of the registry."""

    writers: Mapping[int, str]
    """Schema id -> Avro JSON of every version producers may write with."""
    valid_id: int
    """Id of the schema that route writes `<s>.valid` with."""
    refused: frozenset[int] = frozenset()
    """Ids that the registry was asked about and does not have for this stream."""
    stop_at_unknown: bool = True
    """Stop on an id never asked about (and ask), instead of taking it for a bad one."""


def route(
    raw: DataFrame,
    stream: StreamDefinition,
    schemas: Schemas,
    references: Mapping[str, DataFrame],
    broken_rules: RuleCompiler,
    tails: Mapping[Hop, Mapping[int, int]],
) -> DataFrame:
    """Kafka source rows in; rows for the Kafka sink out: topic, partition, key, value, headers.

    Args:
        raw: columns of Spark's Kafka source.
        stream: what to do.
        schemas: what the ids mean.
        references: reference table by name.
        broken_rules: turns row rules into an array column of the names of those that a row breaks.
        tails: what is already in each output; such rows are dropped.
    """
    decoded = _decode(raw, stream, schemas)
    enriched = _enrich(decoded, stream, references)
    judged = _judge(enriched, stream, broken_rules)
    return _address(judged, stream, schemas.valid_id, tails)


def _decode(raw: DataFrame, stream: StreamDefinition, schemas: Schemas) -> DataFrame:
    identified = raw.select(
        "key",
        "value",
        sf.col("partition").alias(SOURCE_PARTITION),
        sf.col("offset").alias(SOURCE_OFFSET),
        sf.col("timestamp").alias(SOURCE_TIME),
        framed_id(schemas.writers).alias("schema_id"),
    )
    event = by_writer(json.dumps(stream.avro_schema), schemas.writers, mode="PERMISSIVE")
    return identified.select("*", event.alias("event")).withColumn("undecoded", _undecoded(schemas, _names(stream)))


def framed_id(known: Collection[int]) -> Column:
    """The schema id in column `value`, framed as Confluent does (magic byte 0, four bytes); null when it is not.

    Args:
        known: ids that are likely; any other is read as well, only slower.
    """
    framed = (sf.length("value") > _FRAME_BYTES) & (sf.expr("substring(value, 1, 1)") == sf.expr("X'00'"))
    stated = sf.expr("cast(conv(hex(substring(value, 2, 4)), 16, 10) as bigint)")
    # Comparing the frame of an id that is known costs a tenth of reading a number from it.
    frame = sf.expr(f"substring(value, 1, {_FRAME_BYTES})")
    number = reduce(lambda rest, each: sf.when(frame == _frame_of(each), sf.lit(each)).otherwise(rest), known, stated)
    return sf.when(framed, number.cast("bigint"))


def _frame_of(schema_id: int) -> Column:
    return sf.expr(f"X'00{schema_id:08X}'")


def by_writer(reader: str, writers: Mapping[int, str], *, mode: str) -> Column:
    """The event in column `value` by its writer's schema (column `schema_id`), resolved to the reader's.

    Args:
        reader: Avro JSON.
        writers: schema id -> Avro JSON.
        mode: `PERMISSIVE` gives null for bytes that do not fit, `FAILFAST` fails the query.
    """
    body = sf.expr(f"substring(value, {_FRAME_BYTES + 1})")
    decoded: Column | None = None
    for schema_id, writer in sorted(writers.items()):
        event = from_avro(body, writer, {"mode": mode, "avroSchema": reader})
        is_writer = sf.col("schema_id") == schema_id
        decoded = sf.when(is_writer, event) if decoded is None else decoded.when(is_writer, event)
    if decoded is None:
        raise ValueError("no writer schema is registered; register the stream before routing it")
    return decoded


def _names(stream: StreamDefinition) -> list[str]:
    return [str(field["name"]) for field in stream.avro_schema["fields"]]


def _undecoded(schemas: Schemas, fields: Sequence[str]) -> Column:
    """Why there is no event, or null."""
    schema_id = sf.col("schema_id")
    known = schema_id.isin(*schemas.writers)
    unknown = sf.lit(Reason.UNKNOWN_SCHEMA_ID.value)
    if schemas.stop_at_unknown:
        stop = sf.raise_error(sf.concat(sf.lit(f"{UNKNOWN_ID}:"), schema_id.cast("string"))).cast("string")
        unknown = sf.when(schema_id.isin(*schemas.refused), unknown).otherwise(stop) if schemas.refused else stop
    return (
        sf.when(schema_id.isNull(), Reason.NOT_AVRO.value)
        .when(~known, unknown)
        .when(_is_empty("event", fields), Reason.UNDECODABLE.value)
    )


def _is_empty(event: str, fields: Sequence[str]) -> Column:
    """Bytes that do not fit come out as null, or as a record of nulls: so does Spark's PERMISSIVE."""
    return reduce(and_, (sf.col(f"{event}.{name}").isNull() for name in fields))


def _enrich(decoded: DataFrame, stream: StreamDefinition, references: Mapping[str, DataFrame]) -> DataFrame:
    frame = decoded
    for number, enrichment in enumerate(stream.enrich):
        table = references[enrichment.reference]
        keys = {column: f"__key_{number}_{column}" for column in enrichment.on.values()}
        wanted = table.select(
            *(sf.col(column).alias(alias) for column, alias in keys.items()),
            *(sf.col(column).alias(field) for field, column in enrichment.take.items()),
        )
        matches = [sf.col(f"event.{field}") == sf.col(keys[column]) for field, column in enrichment.on.items()]
        condition = matches[0]
        for match in matches[1:]:
            condition = condition & match
        frame = frame.join(sf.broadcast(wanted), condition, "left").drop(*keys.values())
    return frame


def _judge(enriched: DataFrame, stream: StreamDefinition, broken_rules: RuleCompiler) -> DataFrame:
    decoded = sf.col("undecoded").isNull()
    fields = [sf.col(f"event.{field['name']}").alias(field["name"]) for field in stream.avro_schema["fields"]]
    # As numbers: adding an interval to a timestamp goes through the calendar of the time zone, for every event.
    latest_us = sf.unix_micros(SOURCE_TIME) + sf.lit(stream.event_time.ahead // timedelta(microseconds=1))
    taken = [field for enrichment in stream.enrich for field in enrichment.take]
    flat = enriched.select(
        "key", "value", SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIME, "schema_id", "undecoded", *fields, *taken
    )
    checked = flat.withColumn("broken", sf.when(decoded, broken_rules(stream.row_rules)))
    return checked.withColumn(
        "reason",
        sf.when(~decoded, sf.col("undecoded"))
        .when(sf.size("broken") > 0, Reason.RULE_BROKEN.value)
        .when(sf.unix_micros(stream.event_time.field) > latest_us, Reason.EVENT_TIME_AHEAD.value),
    )


def _address(
    judged: DataFrame, stream: StreamDefinition, valid_id: int, tails: Mapping[Hop, Mapping[int, int]]
) -> DataFrame:
    name = stream.name
    valid = sf.col("reason").isNull()
    hop = (
        sf.when(valid, Hop.VALID.value)
        .when(sf.col("undecoded").isNotNull(), Hop.DEAD.value)
        .otherwise(Hop.QUARANTINE.value)
    )
    addressed = judged.withColumn("hop", hop).where(_is_new(tails))
    return addressed.select(
        sf.concat(sf.lit(f"{name}."), sf.col("hop")).alias("topic"),
        sf.col(SOURCE_PARTITION).alias("partition"),
        "key",
        sf.when(valid, _framed(stream, valid_id)).otherwise(sf.col("value")).alias("value"),
        sf.when(valid, _headers(_source())).otherwise(_headers(_source(), *_turned_away())).alias("headers"),
    )


def _framed(stream: StreamDefinition, valid_id: int) -> Column:
    schema = valid_schema(stream)
    record = sf.struct(*(sf.col(field["name"]) for field in schema["fields"]))
    return sf.concat(_frame_of(valid_id), to_avro(record, json.dumps(schema)))


def _source() -> tuple[str, Column]:
    return HEADER_SOURCE, sf.concat_ws(":", sf.col(SOURCE_PARTITION), sf.col(SOURCE_OFFSET))


def _turned_away() -> list[tuple[str, Column]]:
    return [
        (HEADER_REASON, sf.col("reason")),
        (HEADER_STAGE, sf.lit("ingest")),
        (HEADER_RULES, sf.coalesce(sf.concat_ws(",", sf.col("broken")), sf.lit(""))),
        (HEADER_SCHEMA_ID, sf.coalesce(sf.col("schema_id").cast("string"), sf.lit(""))),
        (HEADER_SEEN_AT, sf.date_format(SOURCE_TIME, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")),
    ]


def _headers(*headers: tuple[str, Column]) -> Column:
    return sf.array(
        *(sf.struct(sf.lit(key).alias("key"), value.cast("binary").alias("value")) for key, value in headers)
    )


def _is_new(tails: Mapping[Hop, Mapping[int, int]]) -> Column:
    """True for rows beyond the tail of the topic that they are addressed to.

    A literal map: nested conditions would grow with topics times partitions.
    """
    known = {
        f"{hop.value}:{partition}": offset for hop in OUTPUT_HOPS for partition, offset in tails.get(hop, {}).items()
    }
    if not known:
        return sf.lit(True)
    pairs = [sf.lit(part) for pair in known.items() for part in pair]
    address = sf.concat_ws(":", sf.col("hop"), sf.col(SOURCE_PARTITION))
    tail = sf.try_element_at(sf.create_map(*pairs).cast("map<string,bigint>"), address)
    return sf.col(SOURCE_OFFSET) > sf.coalesce(tail, sf.lit(-1))


def output_topics(stream: str) -> tuple[str, ...]:
    """The topics that route writes."""
    return tuple(topic(stream, hop) for hop in OUTPUT_HOPS)
