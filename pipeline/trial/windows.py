"""What do two definitions make of the same events: windows of a rollup, rows of an entity?

A fraction is the same when it is within a billionth: Spark adds up in no fixed order, and the last digits are not the definition's.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, SOURCE_REFERENCES
from controlplane.contract.rollups import WINDOW_START
from controlplane.contract.trials import (
    CHANGED,
    TODAY,
    ChartPoint,
    EntityCompared,
    MeasureCompared,
    RollupCompared,
    ValueExample,
)
from pipeline.trial.rows import any_of, same
from pipeline.trial.words import key_of, moment, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.streams import Entity, Rollup

_ALMOST = 1e-9
_POINTS_AT_MOST = 300
_FRACTIONS = ("double", "float")
_ADDED = ("count", "sum")
_ENTITY_OWN = (SOURCE_REFERENCES, EVENT_DATE)


def rollup_compared(
    name: str,
    sides: tuple[Rollup | None, Rollup | None],
    frames: tuple[DataFrame | None, DataFrame | None],
    examples: int,
) -> RollupCompared:
    """A rollup of both sides.

    Args:
        name: its name.
        sides: the rollup as each side has it.
        frames: its windows, as `as_rows` gives them.
        examples: of each measure, at most.
    """
    sizes = [None if frame is None else frame.count() for frame in frames]
    of_both = RollupCompared(rollup=name, today=sizes[0], changed=sizes[1])
    (today, changed), (left, right) = sides, frames
    if today is None or changed is None or left is None or right is None:
        return of_both.model_copy(update={"note": f"only {CHANGED if today is None else TODAY} has it"})
    if (today.window, today.dimensions) != (changed.window, changed.dimensions):
        note = "its window or its dimensions are others, so no window has a counterpart"
        return of_both.model_copy(update={"note": note})
    keys = [WINDOW_START, *today.dimensions]
    measures = [each for each in today.measures if each in changed.measures]
    both = _joined(left, right, keys, measures).persist()
    try:
        found = _sizes(both)
        charted = next((each for each in measures if today.measures[each].function in _ADDED), None)
        update = {
            "both": found[0],
            "only_today": found[1],
            "only_changed": found[2],
            "measures": tuple(_measure(both, each, today.dimensions, found[0], examples) for each in measures),
            "charted": charted,
            "chart": () if charted is None else _chart(both, charted),
        }
        return of_both.model_copy(update=update)
    finally:
        both.unpersist()


def _joined(left: DataFrame, right: DataFrame, keys: Sequence[str], columns: Sequence[str]) -> DataFrame:
    sides = [
        frame.select(*keys, sf.struct(sf.lit(1).alias("there"), *columns).alias(side))
        for side, frame in ((TODAY, left), (CHANGED, right))
    ]
    is_same = reduce(and_, (sides[0][key].eqNullSafe(sides[1][key]) for key in keys))
    merged = sides[0].join(sides[1], is_same, "full_outer")
    return merged.select(*(sf.coalesce(sides[0][key], sides[1][key]).alias(key) for key in keys), TODAY, CHANGED)


def _sizes(both: DataFrame) -> tuple[int, int, int]:
    """In both, in today alone, in changed alone."""
    left, right = sf.col(TODAY).isNotNull(), sf.col(CHANGED).isNotNull()
    found = both.agg(sf.count_if(left & right), sf.count_if(left & ~right), sf.count_if(right & ~left)).collect()[0]
    return int(found[0]), int(found[1]), int(found[2])


def _there(both: DataFrame) -> DataFrame:
    return both.where(sf.col(TODAY).isNotNull() & sf.col(CHANGED).isNotNull())


def _differs(frame: DataFrame, column: str) -> Column:
    left, right = f"{TODAY}.{column}", f"{CHANGED}.{column}"
    kinds = [frame.select(each).dtypes[0][1] for each in (left, right)]
    differs = ~same(left, right, frame)
    if not set(kinds) & set(_FRACTIONS):
        return differs
    apart = sf.abs(sf.col(left) - sf.col(right))
    is_near = apart <= sf.greatest(sf.abs(sf.col(left)), sf.abs(sf.col(right))) * _ALMOST
    return differs & ~sf.coalesce(is_near, sf.expr("false"))


def _measure(both: DataFrame, name: str, dimensions: Sequence[str], of: int, examples: int) -> MeasureCompared:
    there = _there(both)
    apart = sf.abs(sf.col(f"{TODAY}.{name}").cast("double") - sf.col(f"{CHANGED}.{name}").cast("double"))
    found = there.where(_differs(there, name)).withColumn("apart", apart)
    differ, largest = found.agg(sf.count(sf.lit(1)), sf.max("apart")).collect()[0]
    shown = (
        found.orderBy(sf.desc_nulls_last("apart"), WINDOW_START, *dimensions)
        .limit(examples)
        .select(
            key_of(dimensions).alias("key"),
            sf.col(WINDOW_START).alias("at"),
            text(f"{TODAY}.{name}").alias(TODAY),
            text(f"{CHANGED}.{name}").alias(CHANGED),
        )
    )
    return MeasureCompared(
        measure=name,
        differ=int(differ),
        of=of,
        largest=None if largest is None else float(largest),
        examples=_examples(shown) if differ else (),
    )


def _examples(shown: DataFrame) -> tuple[ValueExample, ...]:
    rows: list[dict[str, Any]] = shown.toArrow().to_pylist()
    return tuple(
        ValueExample(
            key=dict(each["key"]),
            at=None if each.get("at") is None else moment(each["at"]),
            today=each[TODAY],
            changed=each[CHANGED],
        )
        for each in rows
    )


def _chart(both: DataFrame, measure: str) -> tuple[ChartPoint, ...]:
    """A measure that can be added, over all dimensions and so many stretches of time at most."""
    start = sf.unix_seconds(WINDOW_START)
    first, last = both.agg(sf.min(start), sf.max(start)).collect()[0]
    if first is None:
        return ()
    width = max(1, -(-(last - first + 1) // _POINTS_AT_MOST))
    sums = [sf.sum(sf.col(f"{side}.{measure}").cast("double")).alias(side) for side in (TODAY, CHANGED)]
    bucket = sf.timestamp_seconds(sf.lit(first) + sf.floor((start - first) / width) * width)
    rows = both.groupBy(bucket.alias("at")).agg(*sums).orderBy("at").toArrow().to_pylist()
    return tuple(ChartPoint(at=moment(each["at"]), today=each[TODAY], changed=each[CHANGED]) for each in rows)


def entity_compared(
    name: str,
    sides: tuple[Entity | None, Entity | None],
    frames: tuple[DataFrame | None, DataFrame | None],
    examples: int,
) -> EntityCompared:
    """An entity of both sides.

    Args:
        name: its name.
        sides: the entity as each side has it.
        frames: its rows.
        examples: of all columns together, at most.
    """
    sizes = [None if frame is None else frame.count() for frame in frames]
    of_both = EntityCompared(entity=name, today=sizes[0], changed=sizes[1])
    (today, changed), (left, right) = sides, frames
    if today is None or changed is None or left is None or right is None:
        return of_both.model_copy(update={"note": f"only {CHANGED if today is None else TODAY} has it"})
    if today.key != changed.key:
        return of_both.model_copy(update={"note": "its key is another, so no row has a counterpart"})
    columns = [each for each in left.columns if each in right.columns and each not in (*today.key, *_ENTITY_OWN)]
    both = _joined(left, right, today.key, columns).persist()
    try:
        found = _sizes(both)
        there = _there(both)
        apart = {each: _differs(there, each) for each in columns}
        counts = there.agg(sf.count_if(any_of(list(apart.values()))), *map(sf.count_if, apart.values())).collect()[0]
        by_column = {each: int(counts[at]) for at, each in enumerate(columns, 1) if counts[at]}
        update = {
            "both": found[0],
            "only_today": found[1],
            "only_changed": found[2],
            "differ": int(counts[0]),
            "columns": by_column,
            "examples": _entity_examples(there, today, {each: apart[each] for each in by_column}, examples),
        }
        return of_both.model_copy(update=update)
    finally:
        both.unpersist()


def _entity_examples(
    there: DataFrame, entity: Entity, apart: dict[str, Column], examples: int
) -> tuple[ValueExample, ...]:
    found: list[ValueExample] = []
    each_has = max(1, examples // max(1, len(apart)))
    for column, differs in list(apart.items())[:examples]:
        shown = (
            there.where(differs)
            .orderBy(*entity.key)
            .limit(each_has)
            .select(
                sf.map_concat(key_of(entity.key), sf.create_map(sf.lit("column"), sf.lit(column))).alias("key"),
                text(f"{TODAY}.{column}").alias(TODAY),
                text(f"{CHANGED}.{column}").alias(CHANGED),
            )
        )
        found += _examples(shown)
    return tuple(found[:examples])
