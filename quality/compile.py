"""How does a Great Expectations rule become a Spark Column?

Great Expectations on every micro-batch costs more than the job itself, so row rules run inside route as plain Column
expressions. Semantics are Great Expectations': a null is never unexpected, except to `not_null`. A test holds that the
two agree row by row.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.rules import (
    Between,
    InSet,
    IsNull,
    LengthBetween,
    Matches,
    NotNull,
    PairEqual,
    PairGreater,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column

    from controlplane.contract.rules import RowRule


def broken_rules(rules: Sequence[RowRule]) -> Column:
    """Array of the names of the critical rules that a row breaks; empty when it keeps them all."""
    critical = [rule for rule in rules if rule.severity == "critical"]
    if not critical:
        return sf.array().cast("array<string>")
    all_kept = reduce(and_, (keeps(rule) for rule in critical))
    names = [sf.when(~keeps(rule), sf.array(sf.lit(rule.name))).otherwise(_none()) for rule in critical]
    return sf.when(all_kept, _none()).otherwise(sf.concat(*names))


def _none() -> Column:
    return sf.array().cast("array<string>")


def keeps(rule: RowRule) -> Column:
    """True or false, never null: does a row keep this rule?"""
    match rule:
        case NotNull():
            return sf.col(rule.column).isNotNull()
        case IsNull():
            return sf.col(rule.column).isNull()
        case PairGreater() | PairEqual():
            return sf.coalesce(_pair(rule), sf.lit(True))
        case _:
            return sf.coalesce(_value(rule), sf.lit(True))


def _pair(rule: PairGreater | PairEqual) -> Column:
    a, b = sf.col(rule.column_a), sf.col(rule.column_b)
    if isinstance(rule, PairEqual):
        return a == b
    return a >= b if rule.or_equal else a > b


def _value(rule: Between | InSet | Matches | LengthBetween) -> Column:
    column = sf.col(rule.column)
    match rule:
        case Between():
            above = column > sf.lit(rule.least) if rule.strictly_above else column >= sf.lit(rule.least)
            below = column < sf.lit(rule.most) if rule.strictly_below else column <= sf.lit(rule.most)
            return _both(above if rule.least is not None else None, below if rule.most is not None else None)
        case InSet():
            inside = column.isin(*rule.values)
            return ~inside if rule.negated else inside
        case Matches():
            found = column.rlike(rule.regex)
            return ~found if rule.negated else found
        case LengthBetween():
            length = sf.length(column)
            return _both(
                length >= rule.least if rule.least is not None else None,
                length <= rule.most if rule.most is not None else None,
            )


def _both(*bounds: Column | None) -> Column:
    return reduce(and_, (bound for bound in bounds if bound is not None), sf.lit(True))
