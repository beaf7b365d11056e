"""Which rows do two definitions let through, and what is different in those that both do?

Two rows are the same event when they come from the same raw record. Nulls equal nulls and a NaN equals a NaN: what people would
call the same is no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import Window as Over
from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_REFERENCES, SOURCE_TIME
from controlplane.contract.trials import (
    CHANGED,
    TODAY,
    ColumnCompared,
    ColumnOfOne,
    RowExample,
    RuleCounts,
    ValueExample,
)
from pipeline.trial.words import key_of, moment, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyspark.sql import Column, DataFrame

PLACE = (SOURCE_PARTITION, SOURCE_OFFSET)
"""Of the raw record that a row comes from."""
REASON, RULES = "tg_reason", "tg_rules"
"""Of a table of turned-away rows: a `Reason`, and the names of the broken rules (an array)."""
KEY, AT = "tg_key", "tg_at"
"""Of what is kept of differences: the event's key as a map of texts, and its time."""
_NOT_COMPARED = frozenset((*PLACE, SOURCE_TIME, SOURCE_REFERENCES, EVENT_DATE))
"""Where a row is from is what makes it the same; by which tables it was enriched is said once, not for each row."""


@dataclass(frozen=True)
class Counts:
    """Rows that were let through."""

    today: int
    changed: int
    both: int


def joined(today: DataFrame, changed: DataFrame) -> DataFrame:
    """Each place with both rows, as the structs `today` and `changed`; null where a side has none."""
    sides = [
        frame.select(*PLACE, sf.struct(*frame.columns).alias(side))
        for side, frame in ((TODAY, today), (CHANGED, changed))
    ]
    return sides[0].join(sides[1], list(PLACE), "full_outer")


def counts(both: DataFrame) -> Counts:
    """Of what `joined` gives."""
    there = [sf.col(side).isNotNull() for side in (TODAY, CHANGED)]
    found = both.agg(sf.count_if(there[0]), sf.count_if(there[1]), sf.count_if(there[0] & there[1])).collect()[0]
    return Counts(*map(int, found))


def compared_columns(today: Sequence[str], changed: Sequence[str]) -> list[str]:
    """Those that both sides have, without where a row is from."""
    return [each for each in today if each in set(changed) and each not in _NOT_COMPARED]


def differences(both: DataFrame, columns: Sequence[str], key: Sequence[str], event_time: str) -> DataFrame:
    """One row for each value that differs: place, key, event time, column, both values as text.

    Args:
        both: what `joined` gives.
        columns: which.
        key: fields of the event's key.
        event_time: the field.
    """
    pairs = [
        sf.struct(
            sf.lit(each).alias("column"),
            text(f"{TODAY}.{each}").alias(TODAY),
            text(f"{CHANGED}.{each}").alias(CHANGED),
            (~same(f"{TODAY}.{each}", f"{CHANGED}.{each}", both)).alias("differs"),
        )
        for each in columns
    ]
    there = both.where(sf.col(TODAY).isNotNull() & sf.col(CHANGED).isNotNull())
    pair = sf.explode(sf.filter(sf.array(*pairs), lambda each: each["differs"])).alias("pair")
    found = there.select(*PLACE, key_of(key, TODAY).alias(KEY), sf.col(f"{TODAY}.{event_time}").alias(AT), pair)
    return found.select(*PLACE, KEY, AT, "pair.column", f"pair.{TODAY}", f"pair.{CHANGED}")


def same(left: str, right: str, frame: DataFrame) -> Column:
    """Are two columns of a frame equal, null or not? Of unlike types: do they read the same?"""
    types = [frame.select(each).dtypes[0][1] for each in (left, right)]
    if types[0] == types[1]:
        return sf.col(left).eqNullSafe(sf.col(right))
    return sf.col(left).cast("string").eqNullSafe(sf.col(right).cast("string"))


def columns_compared(found: DataFrame, columns: Iterable[str], of: int, examples: int) -> tuple[ColumnCompared, ...]:
    """What `differences` gives, by column, the earliest events first.

    Args:
        found: what `differences` gives.
        columns: all that were compared.
        of: rows that both sides let through.
        examples: of each column, at most.
    """
    differ = {row[0]: int(row[1]) for row in found.groupBy("column").count().collect()}
    if not differ:
        return tuple(ColumnCompared(column=each, differ=0, of=of) for each in columns)
    order = Over.partitionBy("column").orderBy(AT, *PLACE)
    first = found.withColumn("nth", sf.row_number().over(order)).where(sf.col("nth") <= examples)
    shown: dict[str, list[ValueExample]] = {}
    for row in first.orderBy("column", "nth").select("column", KEY, AT, TODAY, CHANGED).toArrow().to_pylist():
        example = ValueExample(key=dict(row[KEY]), at=moment(row[AT]), today=row[TODAY], changed=row[CHANGED])
        shown.setdefault(row["column"], []).append(example)
    return tuple(
        ColumnCompared(column=each, differ=differ.get(each, 0), of=of, examples=tuple(shown.get(each, ())))
        for each in columns
    )


def columns_of_one(today: DataFrame, changed: DataFrame) -> tuple[ColumnOfOne, ...]:
    """Columns that one side alone has, and how many of its rows fill them."""
    found: list[ColumnOfOne] = []
    for side, mine, other in ((TODAY, today, changed), (CHANGED, changed, today)):
        own = [each for each in mine.columns if each not in other.columns and each != SOURCE_REFERENCES]
        if own:
            filled = mine.agg(*(sf.count(each) for each in own)).collect()[0]
            found += [ColumnOfOne(column=each, side=side, filled=int(filled[at])) for at, each in enumerate(own)]
    return tuple(found)


def rule_counts(
    today: DataFrame, changed: DataFrame, rules: tuple[frozenset[str], frozenset[str]]
) -> tuple[RuleCounts, ...]:
    """What each rule turned away, the one first whose count differs most; a reason that is no rule is named as it is.

    Args:
        today: rows that today turned away: `REASON`, `RULES`.
        changed: rows that the changed definition did.
        rules: the names of both sides' rules.
    """
    found = [_by_rule(frame) for frame in (today, changed)]
    names = sorted({*found[0], *found[1], *rules[0], *rules[1]})
    every = rules[0] | rules[1]

    def count(side: int, name: str) -> int | None:
        return None if name in every and name not in rules[side] else found[side].get(name, 0)

    counted = [RuleCounts(rule=name, today=count(0, name), changed=count(1, name)) for name in names]
    return tuple(sorted(counted, key=lambda each: -abs((each.today or 0) - (each.changed or 0))))


def _by_rule(turned_away: DataFrame) -> dict[str, int]:
    names = sf.when(sf.size(RULES) > 0, sf.col(RULES)).otherwise(sf.array(REASON))
    return {row[0]: int(row[1]) for row in turned_away.select(sf.explode(names)).groupBy("col").count().collect()}


def row_examples(  # noqa: PLR0913 (what an example is made of)
    both: DataFrame,
    found: Counts,
    turned_away: dict[str, DataFrame],
    key: Sequence[str],
    event_time: str,
    examples: int,
) -> tuple[RowExample, ...]:
    """Rows that one side alone lets through, with the other's reason; the earliest first.

    Args:
        both: what `joined` gives.
        found: how many there are.
        turned_away: side -> rows that it turned away.
        key: fields of the event's key.
        event_time: the field.
        examples: of each side, at most.
    """
    shown: list[RowExample] = []
    for side, other, count in ((TODAY, CHANGED, found.today), (CHANGED, TODAY, found.changed)):
        if count == found.both:
            continue
        alone = both.where(sf.col(side).isNotNull() & sf.col(other).isNull())
        why = sf.when(sf.size(RULES) > 0, sf.concat_ws(", ", RULES)).otherwise(sf.col(REASON))
        away = turned_away[other].select(*PLACE, why.alias("why"))
        rows = (
            alone.select(*PLACE, key_of(key, side).alias(KEY), sf.col(f"{side}.{event_time}").alias(AT))
            .orderBy(AT, *PLACE)
            .limit(examples)
            .join(away, list(PLACE), "left")
            .orderBy(AT, *PLACE)
            .select(KEY, AT, "why")
        )
        shown += [
            RowExample(key=dict(each[KEY]), at=moment(each[AT]), accepted_by=side, because=each["why"] or "unknown")
            for each in rows.toArrow().to_pylist()
        ]
    return tuple(shown)


def any_of(conditions: Sequence[Column]) -> Column:
    """Is one of them true? Never, of none."""
    return reduce(or_, conditions, sf.lit(False))  # noqa: FBT003 (a literal of Spark's)
