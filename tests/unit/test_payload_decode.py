"""A payload is read as far as it can be: whole, up to where it breaks, as JSON, as text, as bytes."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from pipeline.feed.event import Fault, spoil
from quality.inbox.decode import How, Payload, read

COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "E",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "colour", "type": COLOUR},
        {"name": "other", "type": ["null", "Colour"]},
        {"name": "count", "type": "long"},
        {"name": "note", "type": "string"},
    ],
}
EVENT = {"id": "abc", "colour": "BLUE", "other": "RED", "count": 300, "note": "hello"}


def framed(event: dict[str, Any] = EVENT, schema_id: int = 7) -> bytes:
    body = io.BytesIO()
    schemaless_writer(body, parse_schema(json.loads(json.dumps(SCHEMA))), event)
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


def schema(schema_id: int) -> dict[str, Any] | None:
    return SCHEMA if schema_id == 7 else None


def test_a_whole_one_is_read_whole() -> None:
    assert read(framed(), schema) == Payload(How.AVRO, 7, EVENT)


@pytest.mark.parametrize("length", range(5, len(framed())))
def test_a_truncated_one_is_read_up_to_where_it_breaks_and_the_rest_is_kept(length: int) -> None:
    whole = framed()
    found = read(whole[:length], schema)
    assert found.how is How.PARTLY
    names = [each["name"] for each in SCHEMA["fields"]]
    fields = found.fields or {}
    assert fields == {name: EVENT[name] for name in names[: len(fields)]}
    assert found.breaks_at == names[len(fields)]
    assert whole[:length].endswith(found.rest)
    assert found.why is not None
    assert found.why.startswith(f"{found.breaks_at}: ")


def test_one_with_bytes_behind_it_is_said_to_have_them() -> None:
    found = read(framed() + b"\x01\x02", schema)
    assert (found.fields, found.rest, found.breaks_at) == (EVENT, b"\x01\x02", None)


def test_a_length_that_lies_costs_nothing() -> None:
    found = read(spoil(framed(), Fault.BLOATED), schema)
    assert (found.how, found.fields, found.breaks_at) == (How.PARTLY, {}, "id")


def test_an_unknown_schema_is_named_and_another_one_may_be_chosen() -> None:
    value = framed(schema_id=9)
    assert read(value, schema).why == "the registry has no schema 9"
    assert read(value, schema, read_as=7).fields == EVENT
    assert read(value[5:], schema, read_as=7).fields == EVENT, "also one that has lost its frame"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"a": 1}', (How.JSON, {"a": 1}, None, b"")),
        (b"[1]", (How.JSON, None, "[1]", b"")),
        (b"hello", (How.TEXT, None, "hello", b"")),
        (b"\xff\xfe", (How.BYTES, None, None, b"\xff\xfe")),
        (b"", (How.TEXT, None, "", b"")),
        (None, (How.TEXT, None, "", b"")),
    ],
)
def test_what_is_not_avro_is_shown_as_what_it_is(value: bytes | None, found: tuple[object, ...]) -> None:
    payload = read(value, schema)
    assert (payload.how, payload.fields, payload.text, payload.rest) == found
