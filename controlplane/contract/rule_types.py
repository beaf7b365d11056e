"""Can a row rule be held against fields of these types? What Great Expectations could not compare would stop route's query.

Spark casts what it is given to compare, and fails at the first value that does not let itself be cast, hours later; Great
Expectations raises an error, or says that 1 is not "1". So a rule compares like with like, or it is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.contract.rules import Between, InSet, PairInSet, SumEquals, columns_of
from controlplane.contract.valid import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlplane.contract.rules import RowRule, Scalar

_FAMILIES = {
    **dict.fromkeys(("string", "enum"), "text"),
    **dict.fromkeys(("int", "long"), "whole number"),
    **dict.fromkeys(("float", "double"), "fraction"),
    **dict.fromkeys(("timestamp-millis", "timestamp-micros"), "timestamp"),
}
_WRITTEN = {str: "text", bool: "boolean", int: "whole number", float: "fraction"}
_COMPARED = ("text", "whole number", "fraction", "timestamp", "boolean")
_ORDERED = ("text", "whole number", "fraction", "timestamp")
_LISTED = ("text", "whole number", "fraction", "boolean")
_TAKES = {
    "between": ("whole number", "fraction", "timestamp"),
    "in_set": _LISTED,
    "matches": ("text",),
    "length_between": ("text",),
    "pair_greater": _ORDERED,
    "pair_in_set": _LISTED,
    "sum_equals": ("whole number",),
}
"""Kind of rule -> what its columns may be; the others take anything."""
_ALIKE = ("pair_greater", "pair_equal", "all_equal", "all_different")
_LONG = 2**63
_EXACT = 2**53
_INEXACT = (f"a number is beyond {_EXACT:,}", "write a smaller one: Great Expectations takes it for a fraction")


def fractions_of(avro_schema: Mapping[str, Any]) -> frozenset[str]:
    """Fields that may hold a NaN."""
    return frozenset(each["name"] for each in avro_schema["fields"] if _family(each["type"]) == "fraction")


def type_misfits(rule: RowRule, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a rule compares that cannot be compared, as (what, fix).

    Args:
        rule: whose columns are all there.
        fields: name -> Avro type.
    """
    families = {each: _family(fields[each]) for each in columns_of(rule)}
    if (allowed := _TAKES.get(rule.kind)) is not None:
        yield from _of(families, allowed)
    if rule.kind in _ALIKE:
        yield from _alike(families)
    for column, value in _compared_with(rule):
        if families[column] in _COMPARED:
            yield from _misfit(column, families[column], value)
    numbers = (
        (rule.least, rule.most) if isinstance(rule, Between) else (rule.total,) if isinstance(rule, SumEquals) else ()
    )
    yield from (_INEXACT for number in numbers if isinstance(number, int) and abs(number) > _EXACT)


def _compared_with(rule: RowRule) -> Iterator[tuple[str, Scalar]]:
    """Each column with each value that it is compared with."""
    match rule:
        case Between():
            yield from ((rule.column, bound) for bound in (rule.least, rule.most) if bound is not None)
        case InSet():
            yield from ((rule.column, value) for value in rule.values)
        case PairInSet():
            for a, b in rule.pairs:
                yield from ((rule.column_a, a), (rule.column_b, b))
        case _:
            return


def _family(avro: Any) -> str:  # noqa: ANN401 (Avro types are JSON of any shape)
    name = type_name(avro)
    return _FAMILIES.get(name, name)


def _of(families: Mapping[str, str], allowed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for column, family in families.items():
        if family not in allowed:
            yield f"{column!r} is a {family}", f"it takes a {' or a '.join(allowed)}"


def _alike(families: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if len(set(families.values())) > 1:
        each = ", ".join(f"{column!r} is a {family}" for column, family in families.items())
        yield each, "compare fields of one kind"


def _misfit(column: str, family: str, value: Scalar) -> Iterator[tuple[str, str]]:
    written = _WRITTEN[type(value)]
    if family == "timestamp":
        if not _has_offset(value):
            yield f"{value!r} is compared with the timestamp {column!r}", "write it like 2026-01-31T00:00:00Z"
    elif written != family and (written, family) != ("whole number", "fraction"):
        yield f"{value!r} is compared with {column!r}, a {family}", f"compare it with a {family}"
    elif isinstance(value, int) and not -_LONG <= value < _LONG:
        yield f"{value} does not fit into 64 bits", "write a smaller number"


def _has_offset(value: Scalar) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
