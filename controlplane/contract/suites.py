"""Which row rules does a suite state? Great Expectations' own JSON in, `RowRule`s out, every mistake named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping  # noqa: TC003 (part of a table's type)
from typing import Any

from pydantic import ValidationError

from controlplane.contract.gates import Severity, Stage
from controlplane.contract.rules import (
    Between,
    InSet,
    IsNull,
    LengthBetween,
    Matches,
    NotNull,
    PairEqual,
    PairGreater,
    RowRule,
)

STAGES = tuple(Stage)


def _length(column: str, value: int, **rest: Any) -> LengthBetween:  # noqa: ANN401
    return LengthBetween(column=column, least=value, most=value, **rest)


_COMPILED: dict[str, tuple[dict[str, str], Callable[..., RowRule]]] = {
    "expect_column_values_to_not_be_null": ({"column": "column"}, NotNull),
    "expect_column_values_to_be_null": ({"column": "column"}, IsNull),
    "expect_column_values_to_be_between": (
        {
            "column": "column",
            "min_value": "least",
            "max_value": "most",
            "strict_min": "strictly_above",
            "strict_max": "strictly_below",
        },
        Between,
    ),
    "expect_column_values_to_be_in_set": ({"column": "column", "value_set": "values"}, InSet),
    "expect_column_values_to_not_be_in_set": (
        {"column": "column", "value_set": "values"},
        lambda **given: InSet(negated=True, **given),
    ),
    "expect_column_values_to_match_regex": ({"column": "column", "regex": "regex"}, Matches),
    "expect_column_values_to_not_match_regex": (
        {"column": "column", "regex": "regex"},
        lambda **given: Matches(negated=True, **given),
    ),
    "expect_column_value_lengths_to_be_between": (
        {"column": "column", "min_value": "least", "max_value": "most"},
        LengthBetween,
    ),
    "expect_column_value_lengths_to_equal": ({"column": "column", "value": "value"}, _length),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        {"column_A": "column_a", "column_B": "column_b", "or_equal": "or_equal"},
        PairGreater,
    ),
    "expect_column_pair_values_to_be_equal": ({"column_A": "column_a", "column_B": "column_b"}, PairEqual),
}
_WITHOUT_EFFECT = {"mostly": (1, 1.0), "ignore_row_if": ("either_value_is_missing",)}
"""Keyword arguments that a compiled rule takes only at the value that changes nothing."""

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
            "use one of " + ", ".join(SUPPORTED) + ", or move it to the lake suite",
        )
    names, build = _COMPILED[kind]
    given = dict(expectation.get("kwargs", {}))
    for argument, harmless in _WITHOUT_EFFECT.items():
        if given.get(argument) in harmless:
            del given[argument]
    if unknown := sorted(set(given) - set(names)):
        raise _NotCompilableError(
            f"{kind} takes no {', '.join(unknown)} in a row rule", f"use only {', '.join(sorted(names))}"
        )
    try:
        return build(
            name=rule_name(expectation),
            severity=severity_of(expectation),
            **{names[argument]: value for argument, value in given.items()},
        )
    except (ValidationError, TypeError, ValueError) as error:
        raise _NotCompilableError(f"{kind}: {_first_line(error)}", "see the expectation's own arguments") from error


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
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]


def fingerprint(suite: dict[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 of a suite's canonical JSON."""
    canonical = json.dumps(suite, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
