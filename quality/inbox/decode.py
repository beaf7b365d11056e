"""What does a payload say, as far as it can be read?

A payload that is here could mostly not be read, or not whole. Avro has no marks between fields, so what comes after the
place where it breaks can't be found again: the fields before it are shown, then the rest as bytes.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader

from quality.schemas import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME_BYTES = 5
"""A zero, then the schema id in four bytes (Confluent's wire format)."""


class How(StrEnum):
    """By what means a payload was read."""

    AVRO = "avro"
    PARTLY = "partly"
    """Avro, up to where it breaks."""
    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


@dataclass(frozen=True)
class Payload:
    """A payload as far as it can be read."""

    how: How
    schema_id: int | None = None
    fields: dict[str, Any] | None = None
    """avro, partly: the event's fields; json: the object."""
    text: str | None = None
    """text: what it says; json: when it is no object."""
    rest: bytes = b""
    """What was not read."""
    breaks_at: str | None = None
    """partly: the field that cannot be read; None when bytes are left over behind the last one."""
    why: str | None = None
    """Why it is not read whole as Avro."""


def framed_id(value: bytes) -> int | None:
    """The schema id in a payload's frame; None for one without a frame."""
    if len(value) < FRAME_BYTES or value[0] != 0:
        return None
    return int.from_bytes(value[1:FRAME_BYTES], "big")


def read(value: bytes | None, schema: Callable[[int], dict[str, Any] | None], read_as: int | None = None) -> Payload:
    """Read a payload.

    Args:
        value: a record's value.
        schema: the writer's schema by its id; None for one that is not there.
        read_as: read it by this schema id instead of its frame's.
    """
    data = value or b""
    framed = framed_id(data)
    schema_id = framed if read_as is None else read_as
    if schema_id is None:
        return _without_frame(data)
    writer = schema(schema_id)
    if writer is None:
        return Payload(How.BYTES, framed, rest=data, why=f"the registry has no schema {schema_id}")
    if writer.get("type") != "record":
        return Payload(How.BYTES, framed, rest=data, why=f"schema {schema_id} is no record")
    return _avro(data[FRAME_BYTES:] if framed is not None else data, writer, schema_id)


def _avro(body: bytes, writer: dict[str, Any], schema_id: int) -> Payload:
    fields, used, why = _prefix(body, writer, len(writer["fields"]))
    if why is None and used == len(body):
        return Payload(How.AVRO, schema_id, fields)
    if why is None:
        left = len(body) - used
        return Payload(How.PARTLY, schema_id, fields, rest=body[used:], why=f"{left} bytes are left over")
    for count in range(len(writer["fields"]) - 1, 0, -1):
        fields, used, failed = _prefix(body, writer, count)
        if failed is None:
            name = writer["fields"][count]["name"]
            return Payload(How.PARTLY, schema_id, fields, rest=body[used:], breaks_at=name, why=f"{name}: {why}")
    name = writer["fields"][0]["name"] if writer["fields"] else ""
    return Payload(How.PARTLY, schema_id, {}, rest=body, breaks_at=name, why=f"{name}: {why}")


def _prefix(body: bytes, writer: dict[str, Any], count: int) -> tuple[dict[str, Any], int, str | None]:
    """The first fields of a record, how many bytes they take, and why they could not be read."""
    stream = io.BytesIO(body)
    wanted = writer if count == len(writer["fields"]) else {**writer, "fields": writer["fields"][:count]}
    try:
        found: Any = schemaless_reader(stream, parsed(wanted), None)
    except Exception as error:  # noqa: BLE001 (fastavro raises all sorts of errors for bytes that are no record)
        return {}, 0, f"{error}" or type(error).__name__
    return found, stream.tell(), None


def _without_frame(data: bytes) -> Payload:
    why = "it does not begin with Confluent's frame, so it is no Avro of ours"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Payload(How.BYTES, rest=data, why=why)
    try:
        found = json.loads(text)
    except ValueError:
        return Payload(How.TEXT, text=text, why=why)
    if isinstance(found, dict):
        return Payload(How.JSON, fields=found, why=why)
    return Payload(How.JSON, text=text, why=why)


def shown(value: object) -> str:
    """A value as JSON, times as ISO 8601, bytes as hexadecimal."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
