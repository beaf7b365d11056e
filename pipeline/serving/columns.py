"""How is an Avro field written in ClickHouse: its type, its name, a value of it, and its time?

Valid events arrive as Avro and are read by ClickHouse itself, so each type here is one that its Avro reader fills
without loss. Literals come from people (`where` in `stream.yaml`), so they are written by the column's type and quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.valid import base_type, can_equal, type_name

if TYPE_CHECKING:
    from typing import Any

    Value = str | int | float | bool

_TYPES = {
    "string": "String",
    "enum": "String",
    "int": "Int32",
    "long": "Int64",
    "float": "Float32",
    "double": "Float64",
    "boolean": "Bool",
    "date": "Date32",
    "timestamp-millis": "DateTime64(3, 'UTC')",
    "timestamp-micros": "DateTime64(6, 'UTC')",
}
WHOLE = frozenset({"int", "long"})
"""Names of Avro types that are integers."""
_LAST_SECOND = 2**32 - 1
_WIDER = {
    "Int32": ("Int64", "Float64", "String"),
    "Int64": ("Float64", "String"),
    "Float32": ("Float64", "String"),
    "Float64": ("String",),
    "Bool": ("String",),
}


def column_type(avro: Any) -> str:  # noqa: ANN401 (Avro types are JSON of any shape)
    """ClickHouse's type for an Avro type.

    Raises:
        ValueError: for a type that no column holds, such as a nested record.
    """
    name = type_name(avro)
    if name not in _TYPES:
        raise ValueError(f"ClickHouse has no column for the Avro type {name}; use one of {', '.join(_TYPES)}")
    return f"Nullable({_TYPES[name]})" if base_type(avro)[1] else _TYPES[name]


def widens(old: str, new: str) -> bool:
    """Does every value of the old column type fit the new one?"""
    old_base, new_base = (each.removeprefix("Nullable(").removesuffix(")") for each in _without_zones(old, new))
    keeps_nulls = new.startswith("Nullable(") or not old.startswith("Nullable(")
    return keeps_nulls and (old_base == new_base or new_base in _WIDER.get(old_base, ()))


def _without_zones(*types: str) -> list[str]:
    return [each.replace("DateTime64(3, 'UTC')", "Millis").replace("DateTime64(6, 'UTC')", "Micros") for each in types]


def name(column: str) -> str:
    """A column's name, safe also where it is a word of SQL: `index`, `from`."""
    return f"`{column}`"


def literal(value: Value, avro: Any) -> str:  # noqa: ANN401 (Avro types are JSON of any shape)
    """A value to compare a column of this Avro type with.

    Raises:
        ValueError: if no value of that type can equal it.
    """
    if not can_equal(value, avro):
        raise ValueError(f"{value!r} is not a {type_name(avro)}")
    written = str(value).lower() if isinstance(value, bool) else str(value)
    return written if type_name(avro) in ("boolean", *WHOLE, "float", "double") else text(written)


def text(value: str) -> str:
    """A string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def milliseconds(column: str, avro: Any) -> str:  # noqa: ANN401 (Avro types are JSON of any shape)
    """The expression for a timestamp column in epoch milliseconds, exact whatever the producer wrote."""
    if type_name(avro) == "timestamp-micros":
        return f"intDiv(toUnixTimestamp64Micro({column}), 1000)"
    return f"toUnixTimestamp64Milli({column})"


def second(column: str, avro: Any) -> str:  # noqa: ANN401 (Avro types are JSON of any shape)
    """The expression for the second of a timestamp column, as `DateTime`.

    A time that a `DateTime` cannot hold (before 1970, after 2106) is counted in its first or last second. Today's
    servers do that by themselves; older ones wrap around, into a second that it has nothing to do with.
    """
    epoch = f"intDiv({milliseconds(column, avro)}, 1000)"
    return f"toDateTime(least(greatest({epoch}, 0), {_LAST_SECOND}), 'UTC')"
