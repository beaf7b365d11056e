"""Can a reader with one Avro schema read what was written with another?

The rules are those of the Avro specification ("Schema Resolution") as registries apply them. Records and enums are the same
if their names without a namespace are; logical types do not count, because Avro does not look at them.
"""

from __future__ import annotations

from typing import Any

PROMOTED = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
"""Writer's type -> what it may be read as."""


def can_read(written: Any, read: Any) -> bool:  # noqa: ANN401 (Avro types are JSON of any shape)
    """Does a type of a reader take every value of a writer's?"""
    if isinstance(written, list):
        return all(can_read(branch, read) for branch in written)
    if isinstance(read, list):
        return any(can_read(written, branch) for branch in read)
    if kind_of(written) != kind_of(read):
        return kind_of(read) in PROMOTED.get(kind_of(written), ())
    return _can_read_kind(kind_of(written), written, read)


def _can_read_kind(kind: str, written: Any, read: Any) -> bool:  # noqa: ANN401
    match kind:
        case "record":
            return _is_named_alike(written, read) and all(_has(written, field) for field in read["fields"])
        case "enum":
            return _is_named_alike(written, read) and (not lost_symbols(written, read) or has_enum_default(read))
        case "array":
            return can_read(written["items"], read["items"])
        case "map":
            return can_read(written["values"], read["values"])
        case "fixed":
            return _is_named_alike(written, read) and bool(written["size"] == read["size"])
        case _:
            return True


def kind_of(avro: Any) -> str:  # noqa: ANN401
    """What is stored: `long` for a timestamp; a named type that is only referred to is its name."""
    return kind_of(avro["type"]) if isinstance(avro, dict) else str(avro)


def lost_symbols(written: dict[str, Any], read: dict[str, Any]) -> list[str]:
    """Symbols of a writer's enum that the reader's does not have."""
    return [symbol for symbol in written["symbols"] if symbol not in read["symbols"]]


def has_enum_default(enum: dict[str, Any]) -> bool:
    """Is there a symbol that stands for unknown ones?"""
    return enum.get("default") in enum["symbols"]


def bare_name(named: dict[str, Any]) -> str:
    """Without its namespace."""
    return str(named["name"]).rpartition(".")[2]


def source_of(field: dict[str, Any], written: dict[str, Any]) -> dict[str, Any] | None:
    """The writer's field that a reader's field is read from: of its name, else of the first alias that is there."""
    there = {each["name"]: each for each in written["fields"]}
    return next((there[name] for name in (field["name"], *field.get("aliases", ())) if name in there), None)


def _has(written: dict[str, Any], field: dict[str, Any]) -> bool:
    source = source_of(field, written)
    return "default" in field if source is None else can_read(source["type"], field["type"])


def _is_named_alike(written: dict[str, Any], read: dict[str, Any]) -> bool:
    aliases = (alias.rpartition(".")[2] for alias in read.get("aliases", ()))
    return bare_name(written) in (bare_name(read), *aliases)
