"""Which row rules does a suite state? Great Expectations' own JSON in, `RowRule`s out, every mistake named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping  # noqa: TC003 (part of a table's type)
from functools import partial
from typing import Any

from pydantic import ValidationError

from controlplane.contract.gates import Severity, Stage
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
    RowRule,
    SumEquals,
)

STAGES = tuple(Stage)


_Names = dict[str, str]
_VALUES = {"column": "column", "value_set": "values"}
_PAIR = {"column_A": "column_a", "column_B": "column_b"}
_BOUNDS = {
    "column": "column",
    "min_value": "least",
    "max_value": "most",
    "strict_min": "strictly_above",
    "strict_max": "strictly_below",
}


def _length(column: str, value: int, **rest: Any) -> LengthBetween:  # noqa: ANN401
    return LengthBetween(column=column, least=value, most=value, **rest)


def _pattern(regex: str, **rest: Any) -> Matches:  # noqa: ANN401
    return Matches(patterns=(regex,), **rest)


def _patterns(match_on: str = "any", **rest: Any) -> Matches:  # noqa: ANN401
    if match_on not in ("any", "all"):
        raise ValueError(f"match_on: {match_on!r} is neither any nor all")
    return Matches(each=match_on == "all", **rest)


_COMPILED: dict[str, tuple[_Names, Callable[..., RowRule]]] = {
    "expect_column_values_to_not_be_null": ({"column": "column"}, NotNull),
    "expect_column_values_to_be_null": ({"column": "column"}, IsNull),
    "expect_column_values_to_be_between": (_BOUNDS, Between),
    "expect_column_values_to_be_in_set": (_VALUES, InSet),
    "expect_column_values_to_not_be_in_set": (_VALUES, partial(InSet, negated=True)),
    "expect_column_values_to_match_regex": ({"column": "column", "regex": "regex"}, _pattern),
    "expect_column_values_to_not_match_regex": (
        {"column": "column", "regex": "regex"},
        partial(_pattern, negated=True),
    ),
    "expect_column_values_to_match_regex_list": (
        {"column": "column", "regex_list": "patterns", "match_on": "match_on"},
        _patterns,
    ),
    "expect_column_values_to_not_match_regex_list": (
        {"column": "column", "regex_list": "patterns"},
        partial(Matches, negated=True),
    ),
    "expect_column_value_lengths_to_be_between": (_BOUNDS, LengthBetween),
    "expect_column_value_lengths_to_equal": ({"column": "column", "value": "value"}, _length),
    "expect_column_pair_values_a_to_be_greater_than_b": (_PAIR | {"or_equal": "or_equal"}, PairGreater),
    "expect_column_pair_values_to_be_equal": (_PAIR, PairEqual),
    "expect_column_pair_values_to_be_in_set": (_PAIR | {"value_pairs_set": "pairs"}, PairInSet),
    "expect_multicolumn_values_to_be_equal": ({"column_list": "columns"}, AllEqual),
    "expect_select_column_values_to_be_unique_within_record": ({"column_list": "columns"}, AllDifferent),
    "expect_multicolumn_sum_to_equal": ({"column_list": "columns", "sum_total": "total"}, SumEquals),
}
_IGNORED = {
    **dict.fromkeys(
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            "expect_column_pair_values_to_be_equal",
            "expect_column_pair_values_to_be_in_set",
        ),
        "either_value_is_missing",
    ),
    **dict.fromkeys(
        (
            "expect_multicolumn_values_to_be_equal",
            "expect_select_column_values_to_be_unique_within_record",
            "expect_multicolumn_sum_to_equal",
        ),
        "any_value_is_missing",
    ),
}
"""What `ignore_row_if` has to say: of a row that is half there Great Expectations' own engines say different things."""
_EVERY_ROW = (1, 1.0)
"""`mostly` is a share of many rows; a single one keeps a rule or breaks it."""
_OF_ONE_ROW = {
    "mostly": "a row keeps a rule or breaks it: leave it out, or move the expectation to the lake suite",
    "row_condition": "a condition cannot be compiled: leave it out, or move the expectation to the lake suite",
    "condition_parser": "a condition cannot be compiled: leave it out, or move the expectation to the lake suite",
}
_IN_SQL_ONLY = "_like_pattern"

SUPPORTED = tuple(sorted(_COMPILED))
"""Expectation types that compile."""


def row_rules(suite: dict[str, Any]) -> tuple[tuple[RowRule, ...], tuple[tuple[str, str, str], ...]]:
    """The rules of an ingest suite, and its mistakes as (field, what, fix)."""
    rules: list[RowRule] = []
    mistakes: list[tuple[str, str, str]] = []
    for number, expectation in enumerate(suite.get("expectations", [])):
        field = f"ingest.expectations[{number}]"
        try:
            rule = _rule(expectation)
        except _NotCompilableError as error:
            mistakes.append((field, error.what, error.fix))
            continue
        if any(rule.name == other.name for other in rules):
            mistakes.append((field, f"a second rule is named {rule.name!r}", "give it a name of its own in meta.name"))
        rules.append(rule)
    return tuple(rules), tuple(mistakes)


class _NotCompilableError(Exception):
    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def _rule(expectation: dict[str, Any]) -> RowRule:
    kind = str(expectation.get("type", ""))
    if kind not in _COMPILED:
        raise _NotCompilableError(
            f"{kind or 'an expectation without a type'} cannot be compiled to a row rule",
            "write it with expect_column_values_to_match_regex: Great Expectations itself knows LIKE in SQL only"
            if _IN_SQL_ONLY in kind
            else "use one of " + ", ".join(SUPPORTED) + ", or move it to the lake suite",
        )
    names, build = _COMPILED[kind]
    given = _arguments(kind, dict(expectation.get("kwargs") or {}))
    if unknown := sorted(set(given) - set(names)):
        raise _NotCompilableError(
            f"{kind} takes no {', '.join(unknown)} in a row rule",
            next(
                (_OF_ONE_ROW[each] for each in unknown if each in _OF_ONE_ROW), f"use only {', '.join(sorted(names))}"
            ),
        )
    try:
        return build(
            name=rule_name(expectation),
            severity=severity_of(expectation),
            **{names[argument]: value for argument, value in given.items()},
        )
    except (ValidationError, TypeError, ValueError) as error:
        raise _NotCompilableError(f"{kind}: {_first_line(error)}", "see the expectation's own arguments") from error


def _arguments(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Without what changes nothing for a single row."""
    if given.get("mostly") in _EVERY_ROW:
        del given["mostly"]
    if (wanted := _IGNORED.get(kind)) is not None and (said := given.pop("ignore_row_if", None)) != wanted:
        raise _NotCompilableError(
            f"{kind} with ignore_row_if {'not given' if said is None else said} cannot be compiled",
            f"write ignore_row_if: {wanted!r}, and expect single columns to be there",
        )
    return given


def rule_name(expectation: Mapping[str, Any]) -> str:
    """What an expectation is called: its `meta.name`, else derived from type and column."""
    given = dict(expectation.get("kwargs") or {})
    return str((expectation.get("meta") or {}).get("name") or _derived_name(str(expectation.get("type", "")), given))


def severity_of(expectation: Mapping[str, Any]) -> Severity:
    """How much an expectation matters: its `severity`, or that of its `meta`, else critical.

    Raises:
        ValueError: if it is none.
    """
    meta = expectation.get("meta") or {}
    return Severity(expectation.get("severity") or meta.get("severity") or Severity.CRITICAL)


def _derived_name(kind: str, given: dict[str, Any]) -> str:
    column = "_".join(str(given[key]) for key in ("column", "column_A", "column_B") if key in given)
    for noise in (
        "expect_column_values_to_",
        "expect_column_pair_values_",
        "expect_column_",
        "a_to_be_",
        "to_be_",
        "be_",
    ):
        kind = kind.removeprefix(noise)
    return f"{column}_{kind}".strip("_")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    return str(error).splitlines()[0]


def fingerprint(suite: dict[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 of a suite's canonical JSON."""
    canonical = json.dumps(suite, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
