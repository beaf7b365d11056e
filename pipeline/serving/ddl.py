"""Which tables and views does a stream have in ClickHouse?

One insert of events feeds everything else by materialized views, so that an insert that is dropped as a duplicate is
dropped everywhere. Every table keeps the tokens of its last inserts for that. What is hard is names: a measure or a
dimension may be called like a field, and SQL would read the one for the other. So every view computes under names that
no field can have (`tg_` is reserved) and gives the final ones in a second step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.names import (
    AS_OF,
    BLOCK,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIME,
    arrivals_table,
    batch_tables,
    events_table,
    filling_view,
    live_table,
    rollup_view,
    staging_table,
    valid_view,
)
from controlplane.contract.rollups import SECOND, WINDOW_START, folded, state_type
from controlplane.contract.valid import type_name, valid_schema
from pipeline.serving.columns import WHOLE, column_type, literal, milliseconds, name, second, text, widens
from pipeline.serving.windows import batch_columns, freshness, published, view_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from controlplane.contract.streams import Rollup, StreamDefinition, Window

INSERT_SETTINGS = {
    "async_insert": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "throw_on_max_partitions_per_insert_block": 0,
    "input_format_avro_allow_missing_fields": 1,
}
"""What every insert of events needs, with `insert_deduplication_token` and `format_avro_schema_registry_url`.

Partitions without a bound because rollups are kept in monthly partitions of *event* time, and that is the producers' word: a
block with events of more than a hundred months would be refused, again and again. Missing fields because an event may have been
written before its table had gained a column; it takes the column's default.
"""
_NOT_AWAITED = "SETTINGS alter_sync = 0"
"""Old parts are read as the new type from the first moment and rewritten later; inserts must not wait for that."""
_DEDUPLICATED = "non_replicated_deduplication_window = 1000"


@dataclass(frozen=True)
class Relation:
    """A table, with the views that fill and read it."""

    table: str
    fingerprint: str
    """Of the statements; kept as the table's comment, so that a changed definition is noticed."""
    statements: tuple[str, ...]
    """In an order that can be run; each does nothing when what it makes is there."""


class ServingChangedError(Exception):
    """ClickHouse holds a table of an older definition that cannot become the new one in place."""


def statements(stream: StreamDefinition) -> list[str]:
    """Every table and view of a stream, in an order that can be run."""
    return [
        events(stream),
        published(stream.name),
        *(each for relation in relations(stream) for each in relation.statements),
        valid(stream.name, event_columns(stream)),
    ]


def events(stream: StreamDefinition) -> str:
    """The table that takes a stream's valid events; expired ones go by whole days of arrival where they can."""
    columns = ", ".join(f"{name(column)} {kind}" for column, kind in event_columns(stream).items())
    return (
        f"CREATE TABLE IF NOT EXISTS {events_table(stream.name)} ({columns}) ENGINE = MergeTree "
        f"PARTITION BY toYYYYMMDD({SOURCE_TIME}) "
        f"ORDER BY ({name(stream.event_time.field)}, {SOURCE_PARTITION}, {SOURCE_OFFSET}) "
        f"TTL {_expires(stream)} SETTINGS {_DEDUPLICATED}"
    )


def valid(stream: str, columns: Iterable[str], *, anew: bool = False) -> str:
    """The view of a stream's valid events: these columns of the events table, and how fresh they are."""
    shown = ", ".join(map(name, columns))
    made = "CREATE OR REPLACE VIEW" if anew else "CREATE VIEW IF NOT EXISTS"
    return (
        f"{made} {valid_view(stream)} AS WITH {freshness(stream)} AS tg_as_of "  # noqa: S608 (checked names)
        f"SELECT {shown}, tg_as_of AS {AS_OF} FROM {events_table(stream)}"
    )


def valid_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """Column -> type of that view, made of an events table with these columns."""
    return {**columns, AS_OF: "Nullable(DateTime64(3, 'UTC'))"}


def _expires(stream: StreamDefinition) -> str:
    """As ClickHouse writes it down, so that the two can be compared."""
    return f"toDateTime({SOURCE_TIME}) + toIntervalSecond({int(stream.serving_retention.total_seconds())})"


def event_columns(stream: StreamDefinition) -> dict[str, str]:
    """Column -> ClickHouse type of a stream's events."""
    return {field: column_type(avro) for field, avro in valid_fields(stream).items()}


def alterations(stream: StreamDefinition, present: Mapping[str, str], engine: str) -> list[str]:
    """What makes the events table fit the stream of today.

    Args:
        stream: the stream of today.
        present: the table's columns, name -> type; empty when there is no table.
        engine: its `engine_full` in `system.tables`.

    Raises:
        ServingChangedError: if a column would have to lose values.
    """
    table = events_table(stream.name)
    if not present:
        return []
    changes = [] if _expires(stream) in engine else [f"ALTER TABLE {table} MODIFY TTL {_expires(stream)}"]
    for column, kind in event_columns(stream).items():
        old = present.get(column)
        if old is None:
            value = _called_before(stream, column, present)
            changes.append(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name(column)} {kind}{value}")
        elif old != kind and not widens(old, kind):
            raise ServingChangedError(
                f"{table}.{column} is {old} and the stream's schema now says {kind}, which cannot hold all its values; "
                "give the field a new name, or drop the table and let the topic fill it again"
            )
        elif old != kind:
            changes.append(f"ALTER TABLE {table} MODIFY COLUMN {name(column)} {kind} {_NOT_AWAITED}")
    return changes


def _called_before(stream: StreamDefinition, column: str, present: Mapping[str, str]) -> str:
    """A renamed column's value in rows that have it by its name of before."""
    aliases = next(each.get("aliases", ()) for each in valid_schema(stream)["fields"] if each["name"] == column)
    old = next((each for each in aliases if each in present), None)
    return "" if old is None else f" DEFAULT {name(old)}"


def relations(stream: StreamDefinition) -> list[Relation]:
    """What is computed from a stream's events: arrivals, then each rollup."""
    return [_arrivals(stream), *(_rollup(stream, key, rollup) for key, rollup in stream.rollups.items())]


def _arrivals(stream: StreamDefinition) -> Relation:
    happened = stream.event_time.field
    fold = {
        "partition": (SOURCE_PARTITION, "Int32"),
        "block": (f"intDiv({SOURCE_OFFSET}, {BLOCK})", "Int64"),
        "events": ("count()", "SimpleAggregateFunction(sum, UInt64)"),
        "max_offset": (f"max({SOURCE_OFFSET})", "SimpleAggregateFunction(max, Int64)"),
        "max_event_ms": (
            f"max({milliseconds(name(happened), valid_fields(stream)[happened])})",
            "SimpleAggregateFunction(max, Int64)",
        ),
        "max_raw_ms": (f"max(toUnixTimestamp64Milli({SOURCE_TIME}))", "SimpleAggregateFunction(max, Int64)"),
    }
    table, keys = arrivals_table(stream.name), ["partition", "block"]
    select = _select({column: made for column, (made, _) in fold.items()}, keys, events_table(stream.name))
    return _relation(table, {column: kind for column, (_, kind) in fold.items()}, keys, select)


def _rollup(stream: StreamDefinition, key: str, rollup: Rollup) -> Relation:
    fields = valid_fields(stream)
    whole = {each: type_name(fields.get(measure.field or "", "")) in WHOLE for each, measure in rollup.measures.items()}
    table, keys = live_table(stream.name, key), [SECOND, *rollup.dimensions]
    happened = stream.event_time.field
    made = {
        SECOND: second(name(happened), fields[happened]),
        **{each: f"ifNull(toString({name(each)}), '')" for each in rollup.dimensions},
        **{each: folded(measure, whole=whole[each]) for each, measure in rollup.measures.items()},
    }
    columns = {
        SECOND: "DateTime('UTC')",
        **dict.fromkeys(rollup.dimensions, "String"),
        **{each: state_type(measure, whole=whole[each]) for each, measure in rollup.measures.items()},
    }
    select = _select(made, keys, events_table(stream.name), _where(rollup, fields))
    view = (
        f"CREATE VIEW IF NOT EXISTS {rollup_view(stream.name, key)} AS {view_query(stream.name, key, rollup, fields)}"
    )
    more = (*_closed(stream.name, key, rollup, fields), view)
    return _relation(table, columns, keys, select, *more, partition=f"PARTITION BY toYYYYMM({SECOND}) ")


def _closed(stream: str, key: str, rollup: Rollup, fields: Mapping[str, Any]) -> list[str]:
    """Both copies of the closed windows, and where the next is put together."""
    columns = ", ".join(f"{name(column)} {kind}" for column, kind in batch_columns(rollup, fields).items())
    keys = ", ".join(map(name, (WINDOW_START, *rollup.dimensions)))
    return [
        f"CREATE TABLE IF NOT EXISTS {table} ({columns}) ENGINE = MergeTree "
        f"PARTITION BY {period_of(rollup.window)} ORDER BY ({keys})"
        for table in (*batch_tables(stream, key), staging_table(stream, key))
    ]


def period_of(window: Window) -> str:
    """The partition of a closed window: a day of short ones, a month of long ones; as Spark's `date_format` has it."""
    return f"{'toYYYYMMDD' if window.length < timedelta(hours=1) else 'toYYYYMM'}({WINDOW_START})"


def _relation(
    table: str, columns: Mapping[str, str], keys: Iterable[str], select: str, *more: str, partition: str = ""
) -> Relation:
    written = ", ".join(f"{name(column)} {kind}" for column, kind in columns.items())
    create = (
        f"CREATE TABLE IF NOT EXISTS {table} ({written}) ENGINE = AggregatingMergeTree {partition}"
        f"ORDER BY ({', '.join(map(name, keys))}) SETTINGS {_DEDUPLICATED}"
    )
    fill = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {filling_view(table)} TO {table} AS {select}"
    fingerprint = hashlib.sha256("\n".join([create, fill, *more]).encode()).hexdigest()[:12]
    return Relation(table, fingerprint, (f"{create} COMMENT {text(fingerprint)}", fill, *more))


def _select(made: Mapping[str, str], keys: Iterable[str], source: str, where: str = "") -> str:
    inner = ", ".join(f"{expression} AS tg_out_{column}" for column, expression in made.items())
    outer = ", ".join(f"tg_out_{column} AS {name(column)}" for column in made)
    grouped = ", ".join(f"tg_out_{key}" for key in keys)
    return f"SELECT {outer} FROM (SELECT {inner} FROM {source}{where} GROUP BY {grouped})"  # noqa: S608 (checked names)


def _where(rollup: Rollup, fields: Mapping[str, Any]) -> str:
    kept = [
        f"{name(field)} IN ({', '.join(literal(value, fields[field]) for value in values)})"
        for field, values in rollup.where.items()
    ]
    return f" WHERE {' AND '.join(kept)}" if kept else ""


def valid_fields(stream: StreamDefinition) -> dict[str, Any]:
    """Field -> Avro type of a valid event."""
    return {field["name"]: field["type"] for field in valid_schema(stream)["fields"]}
