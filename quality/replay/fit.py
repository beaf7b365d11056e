"""Does an event fit a version of the stream's schema, and as which bytes?

fastavro writes what it can: a fraction as an int, a field that the schema does not have not at all. So every field is held
against its type first, and the first that does not fit is named.
"""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.validation import ValidationError, validate

from controlplane.contract.avro import name_of
from controlplane.contract.evolution import reader_for
from quality.inbox.decode import shown
from quality.replay.steps import moment
from quality.schemas import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMES = ("timestamp-millis", "timestamp-micros", "date")


class Fit:
    """One version, made ready for many events.

    Args:
        schema_id: of the version.
        version: its record schema.
        reader: what route reads every version's events as.
    """

    def __init__(self, schema_id: int, version: dict[str, Any], reader: dict[str, Any]) -> None:
        self._frame = b"\x00" + schema_id.to_bytes(4, "big")
        self._version = version
        self._reader = parsed(reader_for(version, reader))
        named = {each["type"]["name"]: each["type"] for each in version["fields"] if _has_name(each["type"])}
        self._fields = {each["name"]: _Field(each, version, named) for each in version["fields"]}

    def encoded(self, event: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]] | str:
        """Framed bytes, and the event as route reads it; or the first thing that does not fit."""
        found = self._typed(event)
        if isinstance(found, str):
            return found
        body = io.BytesIO()
        schemaless_writer(body, parsed(self._version), found)
        data = body.getvalue()
        try:
            as_read: Any = schemaless_reader(io.BytesIO(data), parsed(self._version), self._reader)
        except Exception as error:  # noqa: BLE001 (fastavro raises all sorts of errors for what does not resolve)
            return f"route cannot read it: {error}"
        return self._frame + data, as_read

    def _typed(self, event: Mapping[str, Any]) -> dict[str, Any] | str:
        if unknown := next((name for name in event if name not in self._fields), None):
            return f"the schema has no field {unknown}"
        found: dict[str, Any] = {}
        for name, one in self._fields.items():
            if name not in event and not one.has_default:
                return f"field {name} is missing"
            value = one.typed(event.get(name, one.default))
            if not one.holds(value):
                return f"field {name}: {shown(value)} is no {one.type_name}"
            found[name] = value
        return found


class _Field:
    """A field of a version."""

    def __init__(self, field: dict[str, Any], version: dict[str, Any], named: Mapping[str, Any]) -> None:
        avro = field["type"]
        branches = avro if isinstance(avro, list) else [avro]
        self.has_default, self.default = "default" in field, field.get("default")
        self.type_name = " or ".join(name_of(each) for each in branches)
        self._is_date = any(name_of(each) == "date" for each in branches)
        self._is_time = any(name_of(each) in _TIMES for each in branches)
        # A record of one field, so that what a name stands for is spelled out.
        spelled = [named.get(each, each) if isinstance(each, str) else each for each in branches]
        of_type = spelled if isinstance(avro, list) else spelled[0]
        self._single = parsed({**version, "fields": [{"name": "it", "type": of_type}]})

    def typed(self, value: Any) -> Any:  # noqa: ANN401 (a field of any type)
        """A time that is written as text becomes one where the schema asks for it."""
        if not self._is_time or not isinstance(value, str):
            return value
        try:
            return date.fromisoformat(value) if self._is_date else moment(value)
        except (ValueError, OverflowError, OSError):
            return value

    def holds(self, value: Any) -> bool:  # noqa: ANN401
        """Is it a value of the field's type?"""
        try:
            return bool(validate({"it": value}, self._single, raise_errors=False))
        except (ValidationError, TypeError, ValueError, OverflowError, AttributeError):
            return False


def _has_name(avro: Any) -> bool:  # noqa: ANN401 (Avro types are JSON of any shape)
    return isinstance(avro, dict) and "name" in avro
