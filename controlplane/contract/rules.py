"""Which row rules can be checked inside route?

Row rules are written as Great Expectations 1.x expectations in a stream's `suite.json` under `ingest`. This is their
neutral form: `quality.compile` turns one into a Spark Column. What has no form here cannot be compiled, and
`tidegate streams validate` says so. Nulls follow Great Expectations: a rule other than `not_null` ignores them, and a
fraction that is not a number (NaN) is a null, as it is to pandas.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from controlplane.contract.gates import Severity
from controlplane.contract.patterns import java_pattern

Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]
Scalar = StrictBool | StrictStr | Number
Bound = StrictStr | Number
"""A number, a text, or an ISO 8601 timestamp with its offset for a timestamp field."""
Columns = Annotated[tuple[str, ...], Field(min_length=2)]


def _checked(regex: str) -> str:
    java_pattern(regex)
    return regex


Pattern = Annotated[str, AfterValidator(_checked)]
"""A regular expression of Python's that can be written as Java's."""


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Unique in the suite; what a quarantined record names: the expectation's `meta.name`, else derived."""
    severity: Severity = Severity.CRITICAL
    """Only `critical` quarantines."""


class NotNull(_Rule):
    """`expect_column_values_to_not_be_null`."""

    kind: Literal["not_null"] = "not_null"
    column: str


class IsNull(_Rule):
    """`expect_column_values_to_be_null`."""

    kind: Literal["is_null"] = "is_null"
    column: str


class Between(_Rule):
    """`expect_column_values_to_be_between`."""

    kind: Literal["between"] = "between"
    column: str
    least: Bound | None = None
    most: Bound | None = None
    strictly_above: bool = False
    strictly_below: bool = False

    @model_validator(mode="after")
    def _has_bounds(self) -> Between:
        _require_bounds(self.least, self.most)
        return self


class InSet(_Rule):
    """`expect_column_values_to_be_in_set`, or `..._not_be_in_set` when negated."""

    kind: Literal["in_set"] = "in_set"
    column: str
    values: tuple[Scalar, ...] = Field(min_length=1)
    negated: bool = False


class Matches(_Rule):
    """`expect_column_values_to_match_regex` and its kin: found anywhere in the value.

    Of several patterns any must be found, or each when `each`; none when negated.
    """

    kind: Literal["matches"] = "matches"
    column: str
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    each: bool = False
    negated: bool = False


class LengthBetween(_Rule):
    """`expect_column_value_lengths_to_be_between` (and `..._to_equal`): in characters."""

    kind: Literal["length_between"] = "length_between"
    column: str
    least: int | None = None
    most: int | None = None
    strictly_above: bool = False
    strictly_below: bool = False

    @model_validator(mode="after")
    def _has_bounds(self) -> LengthBetween:
        _require_bounds(self.least, self.most)
        return self


class PairGreater(_Rule):
    """`expect_column_pair_values_a_to_be_greater_than_b`; a pair with a null is ignored."""

    kind: Literal["pair_greater"] = "pair_greater"
    column_a: str
    column_b: str
    or_equal: bool = False


class PairEqual(_Rule):
    """`expect_column_pair_values_to_be_equal`; a pair with a null is ignored."""

    kind: Literal["pair_equal"] = "pair_equal"
    column_a: str
    column_b: str


class PairInSet(_Rule):
    """`expect_column_pair_values_to_be_in_set`; a pair with a null is ignored."""

    kind: Literal["pair_in_set"] = "pair_in_set"
    column_a: str
    column_b: str
    pairs: tuple[tuple[Scalar, Scalar], ...] = Field(min_length=1)


class AllEqual(_Rule):
    """`expect_multicolumn_values_to_be_equal`; a row with a null in one of the columns is ignored."""

    kind: Literal["all_equal"] = "all_equal"
    columns: Columns


class AllDifferent(_Rule):
    """`expect_select_column_values_to_be_unique_within_record`; a row with a null in one of the columns is ignored."""

    kind: Literal["all_different"] = "all_different"
    columns: Columns


class SumEquals(_Rule):
    """`expect_multicolumn_sum_to_equal`, of whole numbers; a row with a null in one of the columns is ignored."""

    kind: Literal["sum_equals"] = "sum_equals"
    columns: Columns
    total: int


RowRule = Annotated[
    NotNull
    | IsNull
    | Between
    | InSet
    | Matches
    | LengthBetween
    | PairGreater
    | PairEqual
    | PairInSet
    | AllEqual
    | AllDifferent
    | SumEquals,
    Field(discriminator="kind"),
]


def columns_of(rule: RowRule) -> tuple[str, ...]:
    """The event fields that a rule reads."""
    match rule:
        case PairGreater() | PairEqual() | PairInSet():
            return (rule.column_a, rule.column_b)
        case AllEqual() | AllDifferent() | SumEquals():
            return rule.columns
        case _:
            return (rule.column,)


def _require_bounds(least: Bound | None, most: Bound | None) -> None:
    if least is None and most is None:
        raise ValueError("give min_value, max_value or both")
    if least is not None and most is not None:
        if isinstance(least, str) != isinstance(most, str):
            raise ValueError(f"min_value {least!r} and max_value {most!r} cannot be compared")
        if not least <= most:  # type: ignore[operator]  # (both text or both numbers, as has just been seen)
            raise ValueError(f"min_value {least!r} is above max_value {most!r}")
