"""What is a stream's topic, subject, table or header called?

One place, because producers, Spark, ClickHouse, the ledger and the console all have to agree.
"""

from __future__ import annotations

from enum import StrEnum

HEADER_SOURCE = "tidegate-source"
"""`partition:offset` of the raw record that an output record was made from, ASCII."""
HEADER_REASON = "tidegate-reason"
"""A `Reason` value, on dead and quarantined records."""
HEADER_RULES = "tidegate-rules"
"""Comma-separated names of the row rules that a quarantined record broke."""
HEADER_STAGE = "tidegate-stage"
"""The `Stage` that turned the record away."""
HEADER_SUITE = "tidegate-suite"
"""Fingerprint of the suite by which it did."""
HEADER_SCHEMA_ID = "tidegate-schema-id"
"""The writer's schema id as decimal ASCII; absent when the record is not framed Avro."""
HEADER_SEEN_AT = "tidegate-seen-at"
"""When the raw topic took the record, ISO 8601 UTC."""
HEADER_FEED_POSITION = "tidegate-feed-position"
"""A feed's own sequence number, decimal ASCII; lets a restarted feed go on where its last transaction ended."""
HEADER_PRODUCER = "tidegate-producer"
"""Who sent the record: the producer's transactional id; of the collector with whose key it was (`tidegate-collector/checkout`)."""

SOURCE_PARTITION = "tg_partition"
"""Field of every valid record: partition of the raw topic that it came from; below 0 where a backfill brought it, not Kafka."""
SOURCE_OFFSET = "tg_offset"
"""Field of every valid record: its offset in that partition."""
SOURCE_TIME = "tg_raw_at"
"""Field of every valid record: when the raw topic took it."""

SOURCE_REFERENCES = "tg_references"
"""Field of every valid record of a stream with enrichments: fingerprint of the reference tables that enriched it."""

EVENT_DATE = "event_date"
"""Column of the lake's events table: the day of event time, by which it is partitioned."""
AS_OF = "as_of"
"""Column of every view that people query: when the raw topic took the newest event that ClickHouse has."""
CHANGE_TYPE = "_change_type"
COMMIT_VERSION = "_commit_version"
CHANGE_COLUMNS = (CHANGE_TYPE, COMMIT_VERSION, "_commit_timestamp")
"""What Delta's change feed adds to a table's columns."""
_OURS_BEGIN_WITH = "tg_"

BLOCK = 20_000
"""Raw offsets in one block: what the ledger and ClickHouse's arrivals count by. A block of a partition is its raw offset
divided by this, rounded down. Large enough that a billion events are few rows, small enough to be searched in a second."""


class Hop(StrEnum):
    """The places an event passes, in order."""

    RAW = "raw"
    VALID = "valid"
    DEAD = "dead"
    QUARANTINE = "quarantine"
    LAKE = "lake"
    SERVING = "serving"


class Reason(StrEnum):
    """Why a record was not passed on."""

    NOT_AVRO = "not_avro"
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"
    MISREAD_SCHEMA = "misread_schema"
    """Of a version that Avro would read without an error, to wrong values."""
    UNDECODABLE = "undecodable"
    RULE_BROKEN = "rule_broken"
    EVENT_TIME_AHEAD = "event_time_ahead"
    GATE_FAILED = "gate_failed"
    """Of a micro-batch that lake's gate diverted; the record itself may be in order."""


def is_ours(column: str) -> bool:
    """Do tables or views have a column of that name beside an event's own? In any case: Delta and Spark don't tell it apart.

    Provenance, the lake's partitions, the views' freshness, and what Delta's change feed adds.
    """
    return column.lower() in (EVENT_DATE, AS_OF, *CHANGE_COLUMNS) or column.lower().startswith(_OURS_BEGIN_WITH)


def topic(stream: str, hop: Hop) -> str:
    """Kafka topic of a stream at a hop (`raw`, `valid`, `dead` or `quarantine`)."""
    if hop in (Hop.LAKE, Hop.SERVING):
        message = f"hop {hop!r} is a table, not a topic"
        raise ValueError(message)
    return f"{stream}.{hop}"


def subject(stream: str, hop: Hop) -> str:
    """Registry subject of a topic's value, by Confluent's TopicNameStrategy."""
    return f"{topic(stream, hop)}-value"


def lake_table(lake: str, stream: str, table: str = "events") -> str:
    """Path of a stream's Delta table below the lake's root."""
    return f"{lake.rstrip('/')}/{stream}/{table}"


REJECTS = "rejects"
"""Folder of the Delta table of dead and quarantined records, below its stream's."""
DIVERTED = "diverted"
"""Folder of the Delta table of micro-batches that lake's gate diverted, below its stream's."""


def replays_topic(stream: str) -> str:
    """Compacted topic that says of each rejected record what was done with it: replayed as which raw record, or discarded."""
    return f"{stream}.replays"


def lake_entity(entity: str) -> str:
    """Folder of an entity's Delta table, below its stream's."""
    return f"entity_{entity}"


def lake_rollup(rollup: str) -> str:
    """Folder of a rollup's Delta table of closed windows, below its stream's."""
    return f"rollup_{rollup}"


def events_table(stream: str) -> str:
    """ClickHouse table that takes a stream's valid events."""
    return f"{stream}_events"


def valid_view(stream: str) -> str:
    """ClickHouse view of a stream's valid events, with how fresh they are: what people query."""
    return f"{stream}_valid"


def arrivals_table(stream: str) -> str:
    """ClickHouse table that counts a stream's events by source partition and block, with highest offset and times."""
    return f"{stream}_arrivals"


def live_table(stream: str, rollup: str) -> str:
    """ClickHouse table that holds a rollup's per-second aggregate states."""
    return f"{stream}_{rollup}_live"


def batch_tables(stream: str, rollup: str) -> tuple[str, str]:
    """ClickHouse tables with a rollup's closed windows: of the two copies one is read while the other is written."""
    return f"{stream}_{rollup}_batch_0", f"{stream}_{rollup}_batch_1"


def staging_table(stream: str, rollup: str) -> str:
    """ClickHouse table in which what is to be published is put together."""
    return f"{stream}_{rollup}_staging"


def published_table(stream: str) -> str:
    """ClickHouse table that says which copy of each rollup is read, and up to where."""
    return f"{stream}_published"


def filling_view(table: str) -> str:
    """ClickHouse materialized view that fills a table from the stream's events."""
    return f"{table}_mv"


def serving_relations(stream: str, rollup: str | None) -> tuple[str, ...]:
    """Every table and view that ClickHouse has for a rollup; for None, what it has for the stream itself."""
    if rollup is None:
        arrivals = arrivals_table(stream)
        return (events_table(stream), valid_view(stream), arrivals, filling_view(arrivals), published_table(stream))
    live = live_table(stream, rollup)
    batch = (*batch_tables(stream, rollup), staging_table(stream, rollup))
    return (live, filling_view(live), *batch, rollup_view(stream, rollup))


def rollup_view(stream: str, rollup: str) -> str:
    """ClickHouse view of a rollup's windows, the closed ones and the live ones: what people query."""
    return f"{stream}_{rollup}"
