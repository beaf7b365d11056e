"""What do two definitions make of the same events: windows of a rollup, rows of an entity?

A fraction is the same when it is within a billionth: Spark adds up in no fixed order, and the last digits are not the definition's.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import Window as Over
from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_REFERENCES, SOURCE_TIME
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
_ENTITY_OWN = (SOURCE_REFERENCES, SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIME, EVENT_DATE)
"""An entity of another event is the same where its values are."""


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
    (today, changed), (left, right) = sides, frames
    if today is None or changed is None or left is None or right is None:
        note = f"only {CHANGED if today is None else TODAY} has it"
        return RollupCompared(rollup=name, **_counted(frames), note=note)
    if (today.window, today.dimensions) != (changed.window, changed.dimensions):
        note = "its window or its dimensions are others, so no window has a counterpart"
        return RollupCompared(rollup=name, **_counted(frames), note=note)
    measures = [each for each in today.measures if each in changed.measures]
    both = _joined(left, right, [WINDOW_START, *today.dimensions], measures).persist()
    try:
        sizes, differ = _apart(both, measures)
        charted = next((each for each in measures if today.measures[each].function in _ADDED), None)
        return RollupCompared(
            rollup=name,
            **sizes,
            measures=tuple(
                MeasureCompared(
                    measure=each,
                    differ=count,
                    of=sizes["both"],
                    largest=largest,
                    examples=_measure_examples(both, each, today.dimensions, examples) if count else (),
                )
                for each, (count, largest) in differ.items()
            ),
            charted=charted,
            chart=() if charted is None else _chart(both, charted),
        )
    finally:
        both.unpersist()


def _counted(frames: tuple[DataFrame | None, DataFrame | None]) -> dict[str, int | None]:
    counts = [None if frame is None else frame.count() for frame in frames]
    return {TODAY: counts[0], CHANGED: counts[1]}


def _joined(left: DataFrame, right: DataFrame, keys: Sequence[str], columns: Sequence[str]) -> DataFrame:
    sides = [
        frame.select(*keys, sf.struct(sf.lit(1).alias("there"), *columns).alias(side))
        for side, frame in ((TODAY, left), (CHANGED, right))
    ]
    is_same = reduce(and_, (sides[0][key].eqNullSafe(sides[1][key]) for key in keys))
    merged = sides[0].join(sides[1], is_same, "full_outer")
    return merged.select(*(sf.coalesce(sides[0][key], sides[1][key]).alias(key) for key in keys), TODAY, CHANGED)


def _apart(both: DataFrame, columns: Sequence[str]) -> tuple[dict[str, int], dict[str, tuple[int, float | None]]]:
    """How many there are of each side, and of each column: how many differ, and by how much at most; in one job."""
    left, right = sf.col(TODAY).isNotNull(), sf.col(CHANGED).isNotNull()
    there = left & right
    asked = [sf.count_if(left), sf.count_if(right), sf.count_if(there)]
    for each in columns:
        differs = there & _differs(both, each)
        asked += [sf.count_if(differs), sf.max(sf.when(differs, _distance(each)))]
    found = both.agg(*asked).collect()[0]
    today, changed, shared = int(found[0]), int(found[1]), int(found[2])
    sizes = {
        TODAY: today,
        CHANGED: changed,
        "both": shared,
        "only_today": today - shared,
        "only_changed": changed - shared,
    }
    largest = [None if found[at] is None else float(found[at]) for at in range(4, len(found), 2)]
    counts = [int(found[at]) for at in range(3, len(found), 2)]
    return sizes, {each: (counts[at], largest[at]) for at, each in enumerate(columns)}


def _distance(column: str) -> Column:
    """Of two numbers; null of what is none."""
    left, right = (sf.expr(f"try_cast({side}.`{column}` AS double)") for side in (TODAY, CHANGED))
    return sf.abs(left - right)


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


def _measure_examples(both: DataFrame, name: str, dimensions: Sequence[str], examples: int) -> tuple[ValueExample, ...]:
    """The largest differences first."""
    apart = _there(both).where(_differs(both, name)).withColumn("apart", _distance(name))
    return _examples(
        apart.orderBy(sf.desc_nulls_last("apart"), WINDOW_START, *dimensions)
        .limit(examples)
        .select(
            key_of(dimensions).alias("key"),
            sf.col(WINDOW_START).alias("at"),
            text(f"{TODAY}.{name}").alias(TODAY),
            text(f"{CHANGED}.{name}").alias(CHANGED),
        )
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
    (today, changed), (left, right) = sides, frames
    if today is None or changed is None or left is None or right is None:
        note = f"only {CHANGED if today is None else TODAY} has it"
        return EntityCompared(entity=name, **_counted(frames), note=note)
    if today.key != changed.key:
        note = "its key is another, so no row has a counterpart"
        return EntityCompared(entity=name, **_counted(frames), note=note)
    columns = [each for each in left.columns if each in right.columns and each not in (*today.key, *_ENTITY_OWN)]
    both = _joined(left, right, today.key, columns).persist()
    try:
        sizes, differ = _apart(both, columns)
        by_column = {each: count for each, (count, _) in differ.items() if count}
        any_differs = any_of([_differs(both, each) for each in by_column])
        return EntityCompared(
            entity=name,
            **sizes,
            differ=_there(both).where(any_differs).count() if by_column else 0,
            columns=by_column,
            examples=_entity_examples(both, today, list(by_column), examples),
        )
    finally:
        both.unpersist()


def _entity_examples(
    both: DataFrame, entity: Entity, columns: Sequence[str], examples: int
) -> tuple[ValueExample, ...]:
    """Some of each column, in one job."""
    if not columns:
        return ()
    pairs = [
        sf.struct(
            sf.lit(each).alias("column"),
            text(f"{TODAY}.{each}").alias(TODAY),
            text(f"{CHANGED}.{each}").alias(CHANGED),
            _differs(both, each).alias("differs"),
        )
        for each in columns
    ]
    pair = sf.explode(sf.filter(sf.array(*pairs), lambda each: each["differs"])).alias("pair")
    spread = _there(both).select(*entity.key, pair)
    nth = sf.row_number().over(Over.partitionBy("pair.column").orderBy(*entity.key))
    shown = (
        spread.withColumn("nth", nth)
        .where(sf.col("nth") <= max(1, examples // len(columns)))
        .orderBy("pair.column", "nth")
        .limit(examples)
        .select(
            sf.map_concat(key_of(entity.key), sf.create_map(sf.lit("column"), sf.col("pair.column"))).alias("key"),
            sf.col(f"pair.{TODAY}").alias(TODAY),
            sf.col(f"pair.{CHANGED}").alias(CHANGED),
        )
    )
    return _examples(shown)
