"""What happens to a record, as Spark Columns.

One row in, one row out: the row names its topic, so a record can be neither in two outputs nor in none. There is no
Python per event: a decode in a Python UDF is an order of magnitude slower, and real-time mode refuses it.
"""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.gates import Policy, Stage
from controlplane.contract.names import (
    HEADER_REASON,
    HEADER_RULES,
    HEADER_SCHEMA_ID,
    HEADER_SEEN_AT,
    HEADER_SOURCE,
    HEADER_STAGE,
    HEADER_SUITE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIME,
    Hop,
    Reason,
    topic,
)
from controlplane.contract.rule_types import fractions_of
from pipeline.kafka import OUTPUT_HOPS
from pipeline.route.decode import framed_id, marked_event, undecoded
from pipeline.route.encode import enrichment_bytes, valid_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.rules import RowRule
    from controlplane.contract.streams import Enrichment, StreamDefinition
    from pipeline.route.decode import Schemas

    RuleCompiler = Callable[[Sequence[RowRule], Collection[str]], Column]
    """Rules, and the fields that may hold a NaN -> names of the rules that a row breaks, an array column."""


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
    new = raw.where(sf.col("offset") > _tail(_least(tails), "partition"))
    return _address(judged(decode(new, stream, schemas), stream, references, broken_rules), stream, schemas, tails)


def judged(
    decoded: DataFrame, stream: StreamDefinition, references: Mapping[str, DataFrame], broken_rules: RuleCompiler
) -> DataFrame:
    """Rows of `decode` with what enrichment adds, the names of broken rules and, where a row is turned away, its `reason`."""
    return _judge(_enrich(decoded, stream, references), stream, broken_rules)


def valid_record(stream: StreamDefinition, schemas: Schemas) -> Column:
    """What is written to `<s>.valid` of a row of `judged`."""
    return valid_bytes(stream, schemas, _added(stream))


def decode(raw: DataFrame, stream: StreamDefinition, schemas: Schemas) -> DataFrame:
    """Kafka source rows in; key, value, where they came from, `event`, and why there is none in `undecoded`."""
    identified = raw.select(
        "key",
        "value",
        sf.col("partition").alias(SOURCE_PARTITION),
        sf.col("offset").alias(SOURCE_OFFSET),
        sf.col("timestamp").alias(SOURCE_TIME),
        framed_id(schemas.writers).alias("schema_id"),
    )
    event = marked_event(stream.avro_schema, schemas.writers)
    return identified.select("*", event.alias("event")).withColumn("undecoded", undecoded("event", schemas))


def _enrich(decoded: DataFrame, stream: StreamDefinition, references: Mapping[str, DataFrame]) -> DataFrame:
    """Each join adds one column: the bytes of what it takes, null where nothing matches."""
    frame = decoded
    for added, enrichment in _added(stream).items():
        keys = {column: f"{added}_{column}" for column in enrichment.on.values()}
        wanted = references[enrichment.reference].select(
            *(sf.col(column).alias(alias) for column, alias in keys.items()),
            enrichment_bytes(stream, enrichment).alias(added),
        )
        matches = (sf.col(f"event.{field}") == sf.col(keys[column]) for field, column in enrichment.on.items())
        frame = frame.join(sf.broadcast(wanted), reduce(and_, matches), "left").drop(*keys.values())
    return frame


def _added(stream: StreamDefinition) -> dict[str, Enrichment]:
    return {f"tg_added_{number}": enrichment for number, enrichment in enumerate(stream.enrich)}


def _judge(enriched: DataFrame, stream: StreamDefinition, broken_rules: RuleCompiler) -> DataFrame:
    decoded = sf.col("undecoded").isNull()
    fields = [sf.col(f"event.{field['name']}").alias(field["name"]) for field in stream.avro_schema["fields"]]
    # As numbers: adding an interval to a timestamp goes through the calendar of the time zone, for every event.
    latest_us = sf.unix_micros(SOURCE_TIME) + sf.lit(stream.event_time.ahead // timedelta(microseconds=1))
    kept = ("key", "value", SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIME, "schema_id", "undecoded", *_added(stream))
    rules = () if stream.gates.ingest.policy is Policy.PASS else stream.row_rules
    broken = broken_rules(rules, fractions_of(stream.avro_schema))
    checked = enriched.select(*kept, *fields).withColumn("broken", sf.when(decoded, broken))
    return checked.withColumn(
        "reason",
        sf.when(~decoded, sf.col("undecoded"))
        .when(sf.size("broken") > 0, Reason.RULE_BROKEN.value)
        .when(sf.unix_micros(stream.event_time.field) > latest_us, Reason.EVENT_TIME_AHEAD.value),
    )


def _address(
    rows: DataFrame, stream: StreamDefinition, schemas: Schemas, tails: Mapping[Hop, Mapping[int, int]]
) -> DataFrame:
    valid = sf.col("reason").isNull()
    dead = sf.col("undecoded").isNotNull()

    def by_hop(of: Callable[[Hop], Column]) -> Column:
        return sf.when(valid, of(Hop.VALID)).when(dead, of(Hop.DEAD)).otherwise(of(Hop.QUARANTINE))

    is_new = sf.col(SOURCE_OFFSET) > by_hop(lambda hop: _tail(tails.get(hop, {})))
    record = valid_record(stream, schemas)
    return rows.where(is_new).select(
        by_hop(lambda hop: sf.lit(topic(stream.name, hop))).alias("topic"),
        sf.col(SOURCE_PARTITION).alias("partition"),
        "key",
        sf.when(valid, record).otherwise(sf.col("value")).alias("value"),
        sf.when(valid, _headers(_source()))
        .otherwise(_headers(_source(), *_turned_away(stream, dead)))
        .alias("headers"),
    )


def _least(tails: Mapping[Hop, Mapping[int, int]]) -> dict[int, int]:
    """What every output is past, so that it is dropped wherever it belongs, before it is decoded."""
    by_hop = [tails.get(hop, {}) for hop in OUTPUT_HOPS]
    return {partition: min(each.get(partition, -1) for each in by_hop) for each in by_hop for partition in each}


def _tail(offsets: Mapping[int, int], partition: str = SOURCE_PARTITION) -> Column:
    """The last source offset that is already in a topic; -1 for a partition where nothing is.

    Looked up by position in a literal array: conditions nested by partition would grow with their number.
    """
    by_partition = sf.array(
        *(sf.lit(offsets.get(each, -1)).cast("bigint") for each in range(max(offsets, default=-1) + 1))
    )
    return sf.coalesce(sf.get(by_partition.cast("array<bigint>"), sf.col(partition)), sf.lit(-1))


def _source() -> tuple[str, Column]:
    return HEADER_SOURCE, sf.concat(
        sf.col(SOURCE_PARTITION).cast("string"), sf.lit(":"), sf.col(SOURCE_OFFSET).cast("string")
    )


def _turned_away(stream: StreamDefinition, dead: Column) -> list[tuple[str, Column]]:
    """A dead letter names no suite: it could not be read, so none had a say."""
    suite = sf.when(dead, "").otherwise(stream.fingerprint(Stage.INGEST))
    return [
        (HEADER_REASON, sf.col("reason")),
        (HEADER_STAGE, sf.lit(Stage.INGEST.value)),
        (HEADER_SUITE, suite),
        (HEADER_RULES, sf.coalesce(sf.concat_ws(",", sf.col("broken")), sf.lit(""))),
        (HEADER_SCHEMA_ID, sf.coalesce(sf.col("schema_id").cast("string"), sf.lit(""))),
        (HEADER_SEEN_AT, sf.date_format(SOURCE_TIME, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")),
    ]


def _headers(*headers: tuple[str, Column]) -> Column:
    return sf.array(
        *(sf.struct(sf.lit(key).alias("key"), value.cast("binary").alias("value")) for key, value in headers)
    )


def output_topics(stream: str) -> tuple[str, ...]:
    """The topics that route writes."""
    return tuple(topic(stream, hop) for hop in OUTPUT_HOPS)
