"""Which row rules can be checked inside route?

Row rules are written as Great Expectations 1.x expectations in a stream's `suite.json` under `ingest`. This is their
neutral form: `quality.compile` turns one into a Spark Column. What has no form here cannot be compiled, and
`tidegate streams validate` says so. Nulls follow Great Expectations: a rule other than `not_null` ignores them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controlplane.contract.gates import Severity

Bound = float | int | str
"""A number, or an ISO 8601 timestamp for a timestamp field."""


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


class InSet(_Rule):
    """`expect_column_values_to_be_in_set`, or `..._not_be_in_set` when negated."""

    kind: Literal["in_set"] = "in_set"
    column: str
    values: tuple[str | int | float | bool, ...]
    negated: bool = False


class Matches(_Rule):
    """`expect_column_values_to_match_regex`, or `..._not_match_regex` when negated: found anywhere in the value."""

    kind: Literal["matches"] = "matches"
    column: str
    regex: str
    negated: bool = False


class LengthBetween(_Rule):
    """`expect_column_value_lengths_to_be_between` (and `..._to_equal`)."""

    kind: Literal["length_between"] = "length_between"
    column: str
    least: int | None = None
    most: int | None = None


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


RowRule = Annotated[
    NotNull | IsNull | Between | InSet | Matches | LengthBetween | PairGreater | PairEqual, Field(discriminator="kind")
]


def columns_of(rule: RowRule) -> tuple[str, ...]:
    """The event fields that a rule reads."""
    if isinstance(rule, PairGreater | PairEqual):
        return (rule.column_a, rule.column_b)
    return (rule.column,)
