"""Which windows does an event lie in, and what do they add up to? As Spark frames.

The same windows as ClickHouse makes of its per-second states (`pipeline/serving/windows.py`), so times count by whole seconds
here as well; a session begins at a second that comes a gap or more after the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window as Over
from pyspark.sql import functions as sf

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION
from controlplane.contract.rollups import LATE, PERIOD, WINDOW_END, WINDOW_START, recomputed
from controlplane.contract.streams import WindowKind
from controlplane.contract.valid import type_name, valid_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.streams import Rollup, StreamDefinition, Window
    from pipeline.tables.watermark import Newest

SECOND, START, END = "tg_second", "tg_start", "tg_end"
"""Epoch seconds: of an event, of its window's start and (exclusive) end."""
IS_NEW = "tg_is_new"
"""The event came after the table had last looked."""
LAST_SECOND = 2**32 - 1
"""The last one that ClickHouse's `DateTime` has; later events count in it, those before 1970 in the first."""
_WHOLE = ("int", "long")


def counted(events: DataFrame, stream: StreamDefinition, rollup: Rollup, seen: Mapping[int, Newest]) -> DataFrame:
    """The events that a rollup counts: their second, dimensions as `dimension`'s columns, the measured fields.

    Args:
        events: rows of the events table.
        stream: whose they are.
        rollup: which.
        seen: the newest of each partition that the rollup's table had when it last looked.
    """
    kept = has_values(stream, rollup.where)
    fields = {measure.field for measure in rollup.measures.values() if measure.field is not None}
    return events.where(kept).select(
        second(stream).alias(SECOND),
        (is_after(seen) if seen else sf.expr("false")).alias(IS_NEW),
        *(sf.coalesce(sf.col(each).cast("string"), sf.lit("")).alias(dimension(each)) for each in rollup.dimensions),
        *(sf.col(each) for each in sorted(fields)),
    )


def has_values(stream: StreamDefinition, wanted: Mapping[str, Sequence[str | int | bool]]) -> Column:
    """Do an event's fields have one of the values each, as `where` in `stream.yaml` means it?"""
    types = _types(stream)
    kept = sf.expr("true")
    for field, values in wanted.items():
        is_text = types[field] in ("string", "enum")
        kept = kept & sf.col(field).isin(*(_text(value) if is_text else value for value in values))
    return sf.coalesce(kept, sf.expr("false"))


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def second(stream: StreamDefinition) -> Column:
    """An event's second of event time, since 1970, as far as ClickHouse has them."""
    return sf.least(sf.greatest(sf.unix_seconds(sf.col(stream.event_time.field)), sf.lit(0)), sf.lit(LAST_SECOND))


def dimension(name: str) -> str:
    """A dimension's column while a frame also has the field of that name."""
    return f"tg_by_{name}"


def is_after(seen: Mapping[int, Newest]) -> Column:
    """Is an event newer than the newest seen of its partition? Offsets of a source partition reach the table in order.

    Never one that a backfill has brought (a negative partition): whoever did that has corrected the tables.
    """
    newest = sf.create_map(*(sf.lit(each) for pair in seen.items() for each in (pair[0], pair[1].offset)))
    known = sf.coalesce(sf.try_element_at(newest, sf.col(SOURCE_PARTITION)), sf.lit(-1))
    return (sf.col(SOURCE_PARTITION) >= 0) & (sf.col(SOURCE_OFFSET) > known)


def in_windows(counted: DataFrame, rollup: Rollup) -> DataFrame:
    """One row for each window that an event lies in, with its start and end."""
    window = rollup.window
    length, step = _seconds(window)
    if window.kind is WindowKind.SESSION:
        return _in_sessions(counted, rollup, length)
    pane = sf.expr(f"{SECOND} - {SECOND} % {step}")
    if window.kind is WindowKind.SLIDING:
        spread = counted.withColumn(
            START, sf.explode(sf.array(*(pane - each * step for each in range(length // step))))
        )
        return spread.where(sf.col(START) >= 0).withColumn(END, sf.col(START) + length)
    return counted.withColumn(START, pane).withColumn(END, sf.col(START) + length)


def _in_sessions(counted: DataFrame, rollup: Rollup, gap: int) -> DataFrame:
    by = [dimension(each) for each in rollup.dimensions]
    before = Over.partitionBy(*by).orderBy(SECOND)
    begins = (sf.col(SECOND) - sf.lag(SECOND).over(before) >= gap) | sf.lag(SECOND).over(before).isNull()
    upto = before.rowsBetween(Over.unboundedPreceding, Over.currentRow)
    numbered = counted.withColumn("tg_begins", begins.cast("bigint")).withColumn(
        "tg_session", sf.sum("tg_begins").over(upto)
    )
    whole = Over.partitionBy(*by, "tg_session")
    return numbered.select(
        *counted.columns, sf.min(SECOND).over(whole).alias(START), (sf.max(SECOND).over(whole) + gap).alias(END)
    )


def added_up(windowed: DataFrame, stream: StreamDefinition, rollup: Rollup, closed_until: int | None) -> DataFrame:
    """One row a window and dimensions, as the rollup's table has it.

    Args:
        windowed: what `in_windows` gives.
        stream: whose.
        rollup: which.
        closed_until: the horizon when the table last looked; new events of windows that end by it are late.
    """
    whole = _measures_whole(stream, rollup)
    measures = [
        sf.expr(recomputed(measure, whole=whole[name])).alias(name) for name, measure in rollup.measures.items()
    ]
    is_late = sf.col(IS_NEW) & (sf.col(END) <= (-1 if closed_until is None else closed_until))
    late = sf.count_if(is_late).alias(LATE)
    keys = [START, END, *(dimension(each) for each in rollup.dimensions)]
    return windowed.groupBy(*keys).agg(*measures, late)


def as_rows(found: DataFrame, rollup: Rollup) -> DataFrame:
    """Under the names that the table has."""
    start = sf.timestamp_seconds(START)
    return found.select(
        start.alias(WINDOW_START),
        sf.timestamp_seconds(END).alias(WINDOW_END),
        *(sf.col(dimension(each)).alias(each) for each in rollup.dimensions),
        *(sf.col(each) for each in rollup.measures),
        sf.col(LATE),
        sf.date_format(start, period_format(rollup.window)).alias(PERIOD),
    )


def period_format(window: Window) -> str:
    """The partition of a window: a day of short ones, a month of long ones; as ClickHouse's tables have it."""
    return "yyyyMMdd" if window.length.total_seconds() < 3600 else "yyyyMM"  # noqa: PLR2004 (an hour)


def _seconds(window: Window) -> tuple[int, int]:
    return int(window.length.total_seconds()), int(window.step.total_seconds())


def definition(stream: StreamDefinition, rollup: Rollup) -> dict[str, Any]:
    """All that a rollup's rows depend on besides the events."""
    said = rollup.model_dump(mode="json", include={"window", "dimensions", "measures", "where"})
    return {**said, "whole": _measures_whole(stream, rollup), "event_time": stream.event_time.field}


def _measures_whole(stream: StreamDefinition, rollup: Rollup) -> dict[str, bool]:
    """Measure -> is the measured field an integer?"""
    types = _types(stream)
    return {name: types.get(measure.field or "", "") in _WHOLE for name, measure in rollup.measures.items()}


def _types(stream: StreamDefinition) -> dict[str, str]:
    return {field["name"]: type_name(field["type"]) for field in valid_schema(stream)["fields"]}
