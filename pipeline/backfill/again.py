"""What would today's definition make of events that the lake has already, or of records that were turned away?

A row of the lake is made into the very struct that route decodes from a record, and goes through route's own frame and lake's
own rows from there: joins, rules, bytes, columns. So what is made again and what comes in live cannot differ. What is hard
are rows of older schemas: a field that they lack has its default, and a row that no record of today's schema could be
is turned away as undecodable, as its record would be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME, Reason
from controlplane.contract.valid import type_name, valid_schema
from pipeline.lake.append import rows
from pipeline.route.decode import Schemas
from pipeline.route.frame import decode, judged, valid_record
from pipeline.route.references import references_of
from pipeline.tables.news import of_today

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition
    from pipeline.route.frame import RuleCompiler

RECORD = "record"
"""Column of `Again`'s frames: the record that route would write to `<s>.valid`; null where the event cannot be read."""
_NARROW = {"int": "int", "float": "float"}
"""Avro type -> Spark's; the lake keeps the widest of its kind."""


@dataclass(frozen=True)
class Again:
    """One definition of a stream, and what its events are judged by.

    Frames that it gives have the columns of the event, `tg_partition`, `tg_offset`, `tg_raw_at`, `record`, `reason` (null: it
    is valid) and `broken` (names of rules).
    """

    stream: StreamDefinition
    """With the schema that all its versions make."""
    references: Mapping[str, DataFrame]
    broken_rules: RuleCompiler
    valid_id: int = 0
    """Of the schema that records are written with; one that is not registered will do where they are kept nowhere."""

    @classmethod
    def of(
        cls, session: SparkSession, stream: StreamDefinition, broken_rules: RuleCompiler, valid_id: int = 0
    ) -> Again:
        """With the reference tables that are in the stream's folder."""
        return cls(stream, references_of(session, stream), broken_rules, valid_id)

    def of_events(self, events: DataFrame) -> DataFrame:
        """Rows of the events table, also of one that an older schema has made.

        Args:
            events: at least the event's fields and where they came from; a field that is missing counts as null.
        """
        return self._judged(_as_decoded(of_today(events, self.stream), self.stream), {})

    def of_records(self, raw: DataFrame, writers: Mapping[int, str]) -> DataFrame:
        """Records of the raw topic.

        Args:
            raw: columns of Spark's Kafka source: key, value, partition, offset, timestamp.
            writers: schema id -> Avro JSON of what producers write; a record of another one cannot be read.
        """
        return self._judged(decode(raw, self.stream, self._schemas(writers)), writers)

    def rows(self, made: DataFrame) -> DataFrame:
        """Of those that are valid, rows as lake appends them."""
        valid = made.where(sf.col("reason").isNull()).select(sf.col(RECORD).alias("value"))
        return rows(valid, self.stream, {self.valid_id: json.dumps(valid_schema(self.stream))})

    def _judged(self, decoded: DataFrame, writers: Mapping[int, str]) -> DataFrame:
        found = judged(decoded, self.stream, self.references, self.broken_rules)
        record = sf.when(sf.col("undecoded").isNull(), valid_record(self.stream, self._schemas(writers)))
        fields = [each["name"] for each in self.stream.avro_schema["fields"]]
        kept = (*fields, SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIME)
        return found.select(*kept, record.alias(RECORD), "reason", "broken")

    def _schemas(self, writers: Mapping[int, str]) -> Schemas:
        return Schemas(writers=writers, valid_id=self.valid_id, stop_at_unknown=False)


def _as_decoded(events: DataFrame, stream: StreamDefinition) -> DataFrame:
    """As `pipeline.route.frame.decode` gives it; there are no bytes to carry on, so each event is encoded anew."""
    fields = stream.avro_schema["fields"]
    event = sf.struct(*(_field(each) for each in fields))
    absent = [sf.col(f"event.{each['name']}").isNull() for each in fields if not _may_be_null(each)]
    frame = events.select(
        sf.lit(None).cast("binary").alias("key"),
        sf.lit(None).cast("binary").alias("value"),
        sf.col(SOURCE_PARTITION).cast("int").alias(SOURCE_PARTITION),
        SOURCE_OFFSET,
        SOURCE_TIME,
        sf.lit(None).cast("bigint").alias("schema_id"),
        event.alias("event"),
    )
    undecoded = sf.when(reduce(or_, absent, sf.lit(False)), Reason.UNDECODABLE.value)
    return frame.withColumn("undecoded", undecoded)


def _field(field: dict[str, Any]) -> Column:
    found = sf.col(field["name"])
    narrow = _NARROW.get(type_name(field["type"]))
    found = found if narrow is None else found.cast(narrow)
    if not _may_be_null(field) and field.get("default") is not None:
        found = sf.coalesce(found, _default(field))
    return found.alias(field["name"])


def _default(field: dict[str, Any]) -> Column:
    """Avro writes the default of a time as a number of its units."""
    given = sf.lit(field["default"])
    match type_name(field["type"]):
        case "timestamp-millis":
            return sf.timestamp_millis(given)
        case "timestamp-micros":
            return sf.timestamp_micros(given)
        case "date":
            return sf.date_from_unix_date(given)
        case kind:
            return given.cast(_NARROW[kind]) if kind in _NARROW else given


def _may_be_null(field: dict[str, Any]) -> bool:
    kind = field["type"]
    return kind == "null" or (isinstance(kind, list) and "null" in kind)
