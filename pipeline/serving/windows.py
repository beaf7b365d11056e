"""How is a rollup read as one, closed windows and live ones?

The batch layer has each window up to the horizon, live has the seconds after it. What is hard is that a reader must never see a
window twice or not at all while the horizon moves. So everything that changes with it is chosen by one row of `published`: the
horizon, from which second on live counts, and which of two copies of the closed windows is read. Publishing writes the copy
that nobody reads, then adds that row. A query reads the row once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.names import AS_OF, arrivals_table, batch_tables, live_table, published_table
from controlplane.contract.rollups import (
    LATE,
    LAYER,
    SECOND,
    WINDOW_END,
    WINDOW_START,
    finished,
    merged,
    number_type,
)
from controlplane.contract.streams import WindowKind
from controlplane.contract.valid import type_name
from pipeline.serving.columns import WHOLE, name, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from controlplane.contract.streams import Rollup

_MOMENT = "DateTime('UTC')"
_NEVER = -(10**12)
"""A second long before any event."""


def published(stream: str) -> str:
    """The table with one row for each copy of each rollup's closed windows; the one of the highest version is read.

    Its horizon is the end of the last closed window; its floor the first second that live still counts for.
    """
    columns = (
        f"rollup String, slot UInt8, version UInt64, horizon {_MOMENT}, floor {_MOMENT}, lake_version Int64, "
        "published_at DateTime64(3, 'UTC')"
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {published_table(stream)} ({columns}) "
        "ENGINE = ReplacingMergeTree(version) ORDER BY (rollup, slot)"
    )


def batch_columns(rollup: Rollup, fields: Mapping[str, Any]) -> dict[str, str]:
    """Column -> type of a table of closed windows."""
    return {
        WINDOW_START: _MOMENT,
        WINDOW_END: _MOMENT,
        **dict.fromkeys(rollup.dimensions, "String"),
        **number_types(rollup, fields),
        LATE: "UInt64",
    }


def number_types(rollup: Rollup, fields: Mapping[str, Any]) -> dict[str, str]:
    """Measure -> ClickHouse type of the finished number."""
    return {
        each: number_type(measure, whole=type_name(fields.get(measure.field or "", "")) in WHOLE)
        for each, measure in rollup.measures.items()
    }


def view_query(stream: str, key: str, rollup: Rollup, fields: Mapping[str, Any]) -> str:
    """The rollup's view: window_start, window_end, dimensions, measures, late, layer, as_of."""
    chosen = (
        f"(SELECT argMax((slot, horizon, floor), version) FROM {published_table(stream)} "  # noqa: S608 (checked names)
        f"WHERE rollup = {text(key)})"
    )
    shown = [WINDOW_START, WINDOW_END, *rollup.dimensions, *rollup.measures, LATE]
    columns = ", ".join(map(name, shown))
    closed = [
        f"SELECT {columns}, 'batch' AS {LAYER}, tg_as_of AS {AS_OF} FROM {table} "  # noqa: S608 (checked names)
        f"WHERE tg_chosen.1 = {slot} AND {WINDOW_END} <= tg_chosen.2"
        for slot, table in enumerate(batch_tables(stream, key))
    ]
    live = (
        f"SELECT {columns}, 'live' AS {LAYER}, tg_as_of AS {AS_OF} "  # noqa: S608 (checked names)
        f"FROM ({_live(stream, key, rollup, number_types(rollup, fields))}) WHERE {WINDOW_END} > tg_chosen.2"
    )
    both = " UNION ALL ".join([*closed, live])
    return f"WITH {chosen} AS tg_chosen, {freshness(stream)} AS tg_as_of {both}"


def freshness(stream: str) -> str:
    """The expression for when the raw topic took the newest event that ClickHouse has; NULL before the first."""
    newest = "fromUnixTimestamp64Milli(maxOrNull(max_raw_ms), 'UTC')"
    return f"(SELECT {newest} FROM {arrivals_table(stream)})"  # noqa: S608 (checked names)


def _live(stream: str, key: str, rollup: Rollup, types: Mapping[str, str]) -> str:
    """Windows made of the seconds from the floor on."""
    made = ", ".join(
        f"CAST({finished(f'tg_{each}', measure)} AS {types[each]}) AS {name(each)}"
        for each, measure in rollup.measures.items()
    )
    dimensions = [name(each) for each in rollup.dimensions]
    keys = ", ".join([*dimensions, "tg_window"])
    start, end, source = _windows(live_table(stream, key), rollup)
    return (
        f"SELECT toDateTime({start}, 'UTC') AS {WINDOW_START}, toDateTime({end}, 'UTC') AS {WINDOW_END}, "  # noqa: S608
        f"{''.join(f'{each}, ' for each in dimensions)}{made}, toUInt64(0) AS {LATE} FROM ({source}) GROUP BY {keys}"
    )


def _windows(table: str, rollup: Rollup) -> tuple[str, str, str]:
    """A window's start and end in epoch seconds, and the rows with their `tg_window` that it is made of."""
    window = rollup.window
    length, step = int(window.length.total_seconds()), int(window.step.total_seconds())
    if window.kind is WindowKind.SESSION:
        return "min(tg_second)", f"max(tg_second) + {length}", _sessions(table, rollup, length)
    panes = _panes(table, rollup, step)
    if window.kind is WindowKind.TUMBLING:
        return "tg_window", f"tg_window + {length}", f"SELECT *, tg_second AS tg_window FROM ({panes})"  # noqa: S608
    spread = f"arrayMap(each -> tg_second - each * {step}, range({length // step}))"
    rows = f"SELECT *, arrayJoin({spread}) AS tg_window FROM ({panes}) WHERE tg_window >= 0"  # noqa: S608
    return "tg_window", f"tg_window + {length}", rows


def _panes(table: str, rollup: Rollup, step: int) -> str:
    """States by dimensions and step of the time axis, which every window is a union of."""
    states = ", ".join(f"{merged(name(each), measure)} AS tg_{each}" for each, measure in rollup.measures.items())
    dimensions = "".join(f"{name(each)}, " for each in rollup.dimensions)
    return (
        f"SELECT intDiv(toInt64(toUnixTimestamp({SECOND})), {step}) * {step} AS tg_second, {dimensions}{states} "  # noqa: S608
        f"FROM {table} WHERE {SECOND} >= tg_chosen.3 GROUP BY {dimensions}tg_second"
    )


def _sessions(table: str, rollup: Rollup, gap: int) -> str:
    """A session begins at a second that comes a gap or more after the one before; they are numbered by counting beginnings."""
    over = "".join(f"{name(each)}, " for each in rollup.dimensions).rstrip(", ")
    frame = (
        f"{f'PARTITION BY {over} ' if over else ''}ORDER BY tg_second ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    )
    begins = (
        f"SELECT *, tg_second - lagInFrame(tg_second, 1, toInt64({_NEVER})) OVER ({frame}) >= {gap} AS tg_begins "  # noqa: S608
        f"FROM ({_panes(table, rollup, 1)})"
    )
    return f"SELECT *, sum(tg_begins) OVER ({frame}) AS tg_window FROM ({begins})"  # noqa: S608
