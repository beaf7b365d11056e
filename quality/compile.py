"""How does a Great Expectations rule become a Spark Column?

Great Expectations on every micro-batch costs more than the job itself, so row rules run inside route as plain Column
expressions. Semantics are Great Expectations' on pandas: a null is never unexpected, except to `not_null`, and a fraction
that is not a number is a null. A test holds that the two agree row by row.
"""

from __future__ import annotations

from functools import reduce
from itertools import combinations, pairwise
from operator import add, and_, or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.patterns import java_pattern
from controlplane.contract.rules import (
    AllDifferent,
    AllEqual,
    Between,
    InSet,
    IsNull,
    LengthBetween,
    Matches,
    NotNull,
    PairEqual,
    PairGreater,
    PairInSet,
    SumEquals,
    columns_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pyspark.sql import Column

    from controlplane.contract.rules import RowRule

_EXACT = "decimal(38,0)"
"""Whole numbers are added up as these: a long would overflow, and fail the query."""


def broken_rules(rules: Sequence[RowRule], fractions: Collection[str] = ()) -> Column:
    """Array of the names of the critical rules that a row breaks; empty when it keeps them all.

    Args:
        rules: of any severity.
        fractions: columns that may have a NaN (`float`, `double`).
    """
    critical = [rule for rule in rules if rule.severity == "critical"]
    if not critical:
        return _none()
    kept = [keeps(rule, fractions) for rule in critical]
    names = [
        sf.when(~each, sf.array(sf.lit(rule.name))).otherwise(_none())
        for rule, each in zip(critical, kept, strict=True)
    ]
    return sf.when(reduce(and_, kept), _none()).otherwise(sf.concat(*names))


def _none() -> Column:
    return sf.array().cast("array<string>")


def keeps(rule: RowRule, fractions: Collection[str] = ()) -> Column:
    """True or false, never null: does a row keep this rule?"""
    missing = _missing(rule, fractions)
    match rule:
        case NotNull():
            return ~missing
        case IsNull():
            return missing
        case _ if len(columns_of(rule)) == 1 and set(columns_of(rule)).isdisjoint(fractions):
            return sf.coalesce(_holds(rule), sf.lit(True))
        case _:  # false and null is false: a row that is half there would break a rule of several comparisons
            return missing | sf.coalesce(_holds(rule), sf.lit(True))


def _missing(rule: RowRule, fractions: Collection[str]) -> Column:
    """Is there a null, or what pandas takes for one, in one of the rule's columns?"""
    nulls = [sf.col(each).isNull() for each in columns_of(rule)]
    nans = [sf.isnan(each) for each in columns_of(rule) if each in fractions]
    return reduce(or_, [*nulls, *nans])


def _holds(rule: RowRule) -> Column:  # noqa: PLR0911 (a row a kind)
    """Of a row in which nothing is missing."""
    match rule:
        case PairGreater() | PairEqual() | PairInSet():
            return _pair(rule)
        case AllEqual():
            return _all(sf.col(a) == sf.col(b) for a, b in pairwise(rule.columns))
        case AllDifferent():
            return _all(sf.col(a) != sf.col(b) for a, b in combinations(rule.columns, 2))
        case SumEquals():
            return reduce(add, (sf.col(each).cast(_EXACT) for each in rule.columns)) == sf.lit(rule.total)
        case Between():
            return _bounded(sf.col(rule.column), rule)
        case LengthBetween():
            return _bounded(sf.length(rule.column), rule)
        case InSet():
            inside = sf.col(rule.column).isin(*rule.values)
            return ~inside if rule.negated else inside
        case Matches():
            return _matches(rule)
        case _:
            raise TypeError(f"{rule.kind} has no Column")


def _pair(rule: PairGreater | PairEqual | PairInSet) -> Column:
    a, b = sf.col(rule.column_a), sf.col(rule.column_b)
    match rule:
        case PairEqual():
            return a == b
        case PairGreater():
            return a >= b if rule.or_equal else a > b
        case PairInSet():
            return reduce(or_, ((a == sf.lit(one)) & (b == sf.lit(other)) for one, other in rule.pairs))


def _bounded(value: Column, rule: Between | LengthBetween) -> Column:
    bounds = []
    if rule.least is not None:
        bounds.append(value > sf.lit(rule.least) if rule.strictly_above else value >= sf.lit(rule.least))
    if rule.most is not None:
        bounds.append(value < sf.lit(rule.most) if rule.strictly_below else value <= sf.lit(rule.most))
    return _all(bounds)


def _matches(rule: Matches) -> Column:
    found = [sf.col(rule.column).rlike(java_pattern(each)) for each in rule.patterns]
    matched = reduce(and_ if rule.each else or_, found)
    return ~matched if rule.negated else matched


def _all(conditions: Iterable[Column]) -> Column:
    return reduce(and_, conditions)
