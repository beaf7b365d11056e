"""A rule that compares what cannot be compared is refused when the folder is read, and not by a query hours later."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.contract.rule_types import fractions_of, type_misfits
from controlplane.contract.suites import row_rules

FIELDS: dict[str, Any] = {
    "name": "string",
    "kind": {"type": "enum", "name": "Kind", "symbols": ["a"]},
    "count": ["null", "long"],
    "price": "double",
    "is_new": "boolean",
    "at": {"type": "long", "logicalType": "timestamp-micros"},
    "day": {"type": "int", "logicalType": "date"},
}
EITHER, ANY = {"ignore_row_if": "either_value_is_missing"}, {"ignore_row_if": "any_value_is_missing"}
BETWEEN, IN_SET = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
GREATER = "expect_column_pair_values_a_to_be_greater_than_b"


def misfits(kind: str, **given: Any) -> list[str]:
    [rule], mistakes = row_rules({"expectations": [{"type": kind, "kwargs": given}]})
    assert not mistakes
    return [f"{what}; {fix}" for what, fix in type_misfits(rule, FIELDS)]


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a-number-with-a-text": (BETWEEN, {"column": "count", "min_value": "1"}, "'1' is compared with 'count'"),
    "a-text-with-a-number": (IN_SET, {"column": "name", "value_set": [1]}, "1 is compared with 'name', a text"),
    "a-whole-number-with-a-fraction": (
        BETWEEN,
        {"column": "count", "max_value": 1.5},
        "compare it with a whole number",
    ),
    "a-boolean-with-a-number": (IN_SET, {"column": "is_new", "value_set": [1]}, "a boolean"),
    "a-number-with-a-boolean": (IN_SET, {"column": "count", "value_set": [True]}, "a whole number"),
    "a-number-beyond-64-bits": (IN_SET, {"column": "count", "value_set": [2**63]}, "does not fit into 64 bits"),
    "a-bound-that-is-no-fraction": (BETWEEN, {"column": "count", "max_value": 2**53 + 1}, "a number is beyond"),
    "a-bound-of-texts": (BETWEEN, {"column": "name", "max_value": "x"}, "'name' is a text"),
    "a-time-without-an-offset": (
        BETWEEN,
        {"column": "at", "min_value": "2026-01-01"},
        "write it like 2026-01-31T00:00:00Z",
    ),
    "a-day": (BETWEEN, {"column": "day", "min_value": "2026-01-01"}, "'day' is a date"),
    "a-pattern-in-a-number": (
        "expect_column_values_to_match_regex",
        {"column": "count", "regex": "1"},
        "it takes a text",
    ),
    "a-number-with-a-time": (GREATER, {"column_A": "count", "column_B": "at", **EITHER}, "compare fields of one kind"),
    "a-sum-that-is-no-fraction": (
        "expect_multicolumn_sum_to_equal",
        {"column_list": ["count", "count"], "sum_total": 2**60, **ANY},
        "a number is beyond",
    ),
    "a-sum-of-fractions": (
        "expect_multicolumn_sum_to_equal",
        {"column_list": ["price", "count"], "sum_total": 1, **ANY},
        "'price' is a fraction",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_named(case: str) -> None:
    kind, given, said = REFUSED[case]
    assert said in "\n".join(misfits(kind, **given))


TAKEN: list[tuple[str, dict[str, Any]]] = [
    (BETWEEN, {"column": "price", "min_value": 1, "max_value": 2.5}),
    (BETWEEN, {"column": "at", "min_value": "2026-01-01T00:00:00+01:00", "max_value": "2026-01-02T00:00:00Z"}),
    (IN_SET, {"column": "kind", "value_set": ["a"]}),
    (IN_SET, {"column": "is_new", "value_set": [True]}),
    ("expect_column_values_to_be_null", {"column": "day"}),
    ("expect_multicolumn_values_to_be_equal", {"column_list": ["name", "kind"], **ANY}),
]


@pytest.mark.parametrize(("kind", "given"), TAKEN)
def test_what_can_be_compared_is_taken(kind: str, given: dict[str, Any]) -> None:
    assert misfits(kind, **given) == []


def test_only_fractions_may_hold_what_is_no_number() -> None:
    fields = [{"name": name, "type": kind} for name, kind in FIELDS.items()]
    assert fractions_of({"fields": fields}) == {"price"}


NOT_COMPILED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a-share-of-rows": (IN_SET, {"column": "a", "value_set": [1], "mostly": 0.9}, "takes no mostly in a row rule"),
    "a-condition": (IN_SET, {"column": "a", "value_set": [1], "row_condition": "b>1"}, "takes no row_condition"),
    "a-half-pair": (GREATER, {"column_A": "a", "column_B": "b"}, "ignore_row_if not given cannot be compiled"),
    "like": ("expect_column_values_to_match_like_pattern", {"column": "a", "like_pattern": "x%"}, "LIKE in SQL only"),
    "no-bounds": (BETWEEN, {"column": "a"}, "give min_value, max_value or both"),
    "bounds-the-wrong-way-round": (BETWEEN, {"column": "a", "min_value": 2, "max_value": 1}, "is above max_value"),
    "an-empty-set": (IN_SET, {"column": "a", "value_set": []}, "values"),
    "no-pattern": ("expect_column_values_to_match_regex", {"column": "a", "regex": "("}, "is no pattern"),
    "of-many-rows": ("expect_column_values_to_be_unique", {"column": "a"}, "move it to the lake suite"),
}


@pytest.mark.parametrize("case", NOT_COMPILED)
def test_what_cannot_be_compiled_is_named_with_what_to_do(case: str) -> None:
    kind, given, said = NOT_COMPILED[case]
    rules, [mistake] = row_rules({"expectations": [{"type": kind, "kwargs": given}]})
    assert not rules
    assert said in "; ".join(mistake)
