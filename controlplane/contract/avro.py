"""Which type holds the values of two? Avro's types as a column has them: one kind, maybe null.

Avro promotes a writer's int to a reader's long, float or double, but knows nothing of what a long means: a timestamp in
microseconds resolves to one in milliseconds without a word, and every value is wrong. So kinds are compared here with
their logical types, and two that only Avro takes for the same are told apart (`Clash.is_misread`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_NUMBERS = ("int", "long", "float", "double")
_PLAIN = ("string", "boolean", *_NUMBERS)
_LOGICAL = ("date", "timestamp-millis", "timestamp-micros")
_WIDER = {
    ("int", "long"): "long",
    ("long", "int"): "long",
    **{(mine, other): "double" for mine in ("float", "double") for other in _NUMBERS if mine != other},
    ("string", "bytes"): "string",
}
"""A column's kind and another -> what it becomes: only what a Delta column holds without being rewritten.

Not here: a whole number to a fraction. The lake keeps whole numbers as bigint, which can't become double in place.
"""
Kind = Any
"""An Avro type that is no union: a name, or an object with a logical type or an enum."""


@dataclass(frozen=True)
class Clash:
    """No column holds both; `reason` goes on after the field's name."""

    reason: str
    is_misread: bool = False
    """Avro would resolve the one to the other, to another value."""


@dataclass(frozen=True)
class Held:
    """What a column holds."""

    kind: Kind
    is_nullable: bool


def held(avro: Any) -> Held | Clash:  # noqa: ANN401 (Avro types are JSON of any shape)
    """What a column for an Avro type would hold: of a union of numbers the widest."""
    branches = avro if isinstance(avro, list) else [avro]
    first, *others = [_plain(each) for each in branches if each != "null"] or ["null"]
    for each in others:
        wider = joint(first, each)
        if isinstance(wider, Clash):
            wider = joint(each, first)
        if isinstance(wider, Clash):
            return Clash(f"is a union of {name_of(first)} and {name_of(each)}, which no column holds")
        first = wider
    return Held(first, "null" in branches)


def joint(mine: Kind, other: Kind) -> Kind | Clash:
    """What a column of `mine` must become to hold `other` as well; mostly what it is."""
    found = _united(mine, other) if _is_enum(mine) and _is_enum(other) else _wider(mine, other)
    if found is not None:
        return found
    is_misread = not _is_enum(mine) and _resolves(_stored(other), _stored(mine))
    return Clash(f"is {_described(other)} there and {_described(mine)} here", is_misread)


def _united(mine: Kind, other: Kind) -> Kind | None:
    """Two enums of one name, with the symbols of both."""
    if _full_name(mine) != _full_name(other):
        return None
    added = [symbol for symbol in other["symbols"] if symbol not in mine["symbols"]]
    return {**mine, "symbols": [*mine["symbols"], *added]} if added else mine


def _wider(mine: Kind, other: Kind) -> Kind | None:
    if _is_enum(mine) or _is_enum(other):
        return None
    if name_of(mine) == name_of(other):
        return mine
    if _says_more(mine, other):  # a number that does not say what it means is what the column says
        return mine if _resolves(name_of(other), _stored(mine)) else None
    if _says_more(other, mine):
        return _wider(mine, _stored(other))
    return _WIDER.get((name_of(mine), name_of(other)))


def is_column(kind: Kind) -> bool:
    """Is there a column for it in Delta and in ClickHouse?"""
    return _is_enum(kind) or name_of(kind) in (_LOGICAL if isinstance(kind, dict) else _PLAIN)


def name_of(kind: Kind) -> str:
    """`string`, `timestamp-millis`, `enum`, `record`."""
    return str(kind.get("logicalType") or kind.get("type")) if isinstance(kind, dict) else str(kind)


def qualified(kind: Kind, namespace: str, *, within: str) -> Kind:
    """A type from a record of one namespace as it is written within a record of another: enums alone have names."""
    if not _is_enum(kind):
        return kind
    rest = {key: value for key, value in kind.items() if key != "namespace"}
    stated, _, bare = str(kind["name"]).rpartition(".")
    full = stated or str(kind.get("namespace", namespace))
    return {**rest, "name": bare} if full == within else {**rest, "name": bare, "namespace": full}


def _says_more(mine: Kind, other: Kind) -> bool:
    """Has the one a meaning, and the other is a plain number?"""
    return isinstance(mine, dict) and not _is_enum(mine) and other in _NUMBERS and _stored(mine) in _NUMBERS


def _resolves(writer: str, reader: str) -> bool:
    """Does Avro read what is stored as the one as the other?"""
    if writer in _NUMBERS and reader in _NUMBERS:
        return _NUMBERS.index(writer) <= _NUMBERS.index(reader)
    return writer == reader or {writer, reader} == {"bytes", "string"}


def _plain(avro: Any) -> Kind:  # noqa: ANN401
    """`{"type": "string"}`, with whatever properties a language adds, is `string`."""
    if isinstance(avro, dict) and (avro.get("type") == "string" or "logicalType" not in avro):
        return avro["type"] if avro.get("type") in _PLAIN else avro
    return avro


def _stored(kind: Kind) -> str:
    return str(kind["type"]) if isinstance(kind, dict) else str(kind)


def _is_enum(kind: Kind) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "enum"


def _full_name(named: dict[str, Any]) -> tuple[str, str]:
    """Of an enum that is `qualified`."""
    return str(named.get("namespace", "")), str(named["name"])


def _described(kind: Kind) -> str:
    return f"the enum {'.'.join(filter(None, _full_name(kind)))}" if _is_enum(kind) else name_of(kind)
