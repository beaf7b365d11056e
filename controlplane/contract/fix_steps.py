"""What may be changed in a record before it is replayed? Fix steps, and how each is written on a line."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from controlplane.contract.frozen import Frozen

FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Scalar = str | int | float | bool | None


class CastType(StrEnum):
    """What a value can be turned into."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    """From ISO 8601, or seconds or milliseconds since 1970."""


class SetField(Frozen):
    """Give a field this value."""

    kind: Literal["set"] = "set"
    field: FieldName
    value: Scalar


class CastField(Frozen):
    """Turn a field's value into another type."""

    kind: Literal["cast"] = "cast"
    field: FieldName
    to: CastType


class DropField(Frozen):
    """Leave a field out."""

    kind: Literal["drop"] = "drop"
    field: FieldName


class ChangeCase(Frozen):
    """Write a field's text in capitals, or without."""

    kind: Literal["upper", "lower"]
    field: FieldName


class RenameField(Frozen):
    """Give a field another name."""

    kind: Literal["rename"] = "rename"
    field: FieldName
    to: FieldName


class DefaultField(Frozen):
    """Give a field this value where it has none."""

    kind: Literal["default"] = "default"
    field: FieldName
    value: Scalar


class ReadAs(Frozen):
    """Read the payload as an operator says, not as its frame does; the first step when there is one."""

    kind: Literal["read_as"] = "read_as"
    schema_id: int | None = Field(None, ge=1)
    """Of the registry; None: the payload is JSON."""


FixStep = Annotated[
    SetField | CastField | DropField | ChangeCase | RenameField | DefaultField | ReadAs, Field(discriminator="kind")
]
_FORMS = {
    "set": "set FIELD VALUE",
    "cast": f"cast FIELD {'|'.join(CastType)}",
    "drop": "drop FIELD",
    "upper": "upper FIELD",
    "lower": "lower FIELD",
    "rename": "rename OLD NEW",
    "default": "default FIELD VALUE",
    "read_as": "read_as SCHEMA_ID|json",
}
STEP_FORMS = tuple(_FORMS.values())
"""How steps are written, in a line each."""
_STEP: TypeAdapter[FixStep] = TypeAdapter(FixStep)


def parse_step(text: str) -> FixStep:
    """A fix step as it is written on a line: `set quantity 1`, `cast amount double`, `rename old new`.

    A value is the rest of the line: taken as JSON where it is JSON (`1`, `2.5`, `true`, `null`, `"1"`), else as a string.

    Raises:
        ValueError: if it is none; says how steps are written.
    """
    kind, *rest = text.split(maxsplit=1) or ("",)
    form = _FORMS.get(kind)
    if form is None:
        raise ValueError(f"{text!r} is no fix step; write one of: {'; '.join(STEP_FORMS)}")
    needed = len(form.split()) - 1
    words = " ".join(rest).split(maxsplit=needed - 1)
    if len(words) != needed:
        raise ValueError(f"{text!r}: write {form}")
    try:
        return _STEP.validate_python({"kind": kind, **_arguments(kind, words)})
    except ValueError as error:
        raise ValueError(f"{text!r}: write {form}") from error


def _arguments(kind: str, rest: list[str]) -> dict[str, Any]:
    match kind:
        case "set" | "default":
            return {"field": rest[0], "value": _scalar(rest[1])}
        case "cast" | "rename":
            return {"field": rest[0], "to": rest[1]}
        case "read_as":
            return {"schema_id": None if rest[0] == "json" else int(rest[0])}
        case _:
            return {"field": rest[0]}


def _scalar(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        is_quoted = len(text) > 1 and text[0] == text[-1] == "'"
        return text[1:-1] if is_quoted else text.strip()
    return value if value is None or isinstance(value, str | int | float | bool) else text.strip()


def written(step: FixStep) -> str:
    """A step on a line, as `parse_step` reads it."""
    match step:
        case SetField() | DefaultField():
            return f"{step.kind} {step.field} {_quoted(step.value)}"
        case CastField() | RenameField():
            return f"{step.kind} {step.field} {step.to}"
        case ReadAs():
            return f"read_as {'json' if step.schema_id is None else step.schema_id}"
        case _:
            return f"{step.kind} {step.field}"


def _quoted(value: Scalar) -> str:
    """Bare where it is read back as the same string."""
    is_plain = isinstance(value, str) and value.isprintable() and value.split() == [value] and _scalar(value) == value
    return str(value) if is_plain else json.dumps(value)
