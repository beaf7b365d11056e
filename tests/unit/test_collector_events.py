"""What the collector makes of a body: events as Kafka gets them, or everything that is wrong with them."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
from typing import TYPE_CHECKING, Any

import fastavro
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from pipeline.collector.answers import Limits, MisfitError, RefusedError
from pipeline.collector.events.body import judged, read
from pipeline.collector.events.convert import converter
from pipeline.collector.events.example import example_of
from pipeline.collector.events.schemas import Schemas, Versions, version
from pipeline.collector.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from controlplane.contract.streams import StreamDefinition

SHOP = load_stream(SHIPPED_STREAMS / "shop")
NEWEST = version(7, SHOP.avro_schema)
OLD = version(3, {**SHOP.avro_schema, "fields": SHOP.avro_schema["fields"][1:]})
VERSIONS = Versions(SHOP, {3: OLD, 7: NEWEST})
LIMITS = Limits(100, 100_000)
EVENT = {**example_of(SHOP.avro_schema), "user_id": "ann", "event_time": "2026-03-01T12:00:00.5+01:00"}
AT_MS = 1_772_362_800_500


def taken(body: bytes, kind: str, **headers: str) -> list[tuple[str, bytes]]:
    found = judged(body, {"content-type": kind, **headers}, VERSIONS, LIMITS)
    assert not found.mistakes
    return found.fitting


def event_in(value: bytes) -> Any:
    assert value[:5] == struct.pack(">bI", 0, 7)
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), NEWEST.plain, None)


def mistakes(event: Any) -> dict[str, tuple[str, str]]:
    with pytest.raises(MisfitError) as said:
        NEWEST.encoded(event)
    return {each.path: (each.expected, each.came) for each in said.value.misfits}


def in_avro(event: Any = None) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, NEWEST.plain, {**EVENT, "event_time": AT_MS} if event is None else event)
    return out.getvalue()


def in_a_file(events: int, codec: str = "null") -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, SHOP.avro_schema, [{**EVENT, "event_time": AT_MS}] * events, codec=codec)
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(json.dumps(EVENT).encode(), "application/json; charset=utf-8", id="an-object"),
        pytest.param(json.dumps([EVENT, EVENT]).encode(), "application/json", id="an-array"),
        pytest.param(json.dumps(EVENT).encode() + b"\r\n\n", "application/x-ndjson", id="lines"),
        pytest.param(struct.pack(">bI", 0, 7) + in_avro(), "application/vnd.confluent.avro", id="framed"),
        pytest.param(in_avro(), "avro/binary", id="avro-with-its-id"),
        pytest.param(in_a_file(3), "application/avro", id="a-file"),
        pytest.param(in_a_file(3, "deflate"), "avro/binary", id="a-packed-file"),
    ],
)
def test_each_way_to_send_an_event_makes_the_same_record_of_it(body: bytes, kind: str) -> None:
    records = taken(body, kind, **{"tidegate-schema-id": "7"})
    assert {key for key, _ in records} == {"ann"}
    assert {json.dumps(event_in(value)) for _, value in records} == {json.dumps({**EVENT, "event_time": AT_MS})}


def test_every_mistake_of_an_event_is_named_at_once() -> None:
    event = {**EVENT, "quantity": 2**31, "amount": float("nan"), "event_type": "buy", "page_ms": True, "userId": 1}
    event |= {"event_time": "2026-03-01T12:00:00", "country": "\ud800"}
    del event["device"]
    found = mistakes(event)
    assert list(found) == ["event_type", "country", "device", "amount", "quantity", "page_ms", "event_time", "userId"]
    assert found["event_type"] == ("one of view, cart, purchase, refund", "'buy' (a string)")
    assert found["device"] == ("string", "nothing")
    assert found["userId"][0].endswith("'user_id' was meant?")
    assert "with its offset" in found["event_time"][0]
    assert json.dumps(found).isascii()


def test_an_event_that_is_no_object_is_a_mistake() -> None:
    assert mistakes([1, 2]) == {"": ("ShopEvent: an object", "an array of 2")}


@pytest.mark.parametrize(
    ("schema", "value", "made"),
    [
        ("long", 2**63 - 1, 2**63 - 1),
        ("double", 3, 3.0),
        ("bytes", "\x00ÿ", b"\x00\xff"),
        ({"type": "fixed", "name": "f", "size": 2}, "ab", b"ab"),
        ({"type": "int", "logicalType": "date"}, "1970-01-02", 1),
        ({"type": "long", "logicalType": "timestamp-micros"}, "1970-01-01T00:00:00.000001Z", 1),
        ({"type": "int", "logicalType": "time-millis"}, "00:00:01", 1000),
        (["null", "string"], None, None),
        (["null", "string"], {"string": "a"}, "a"),
        (["int", "string"], "a", ("string", "a")),
        ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
        ({"type": "map", "values": "int"}, {"a": 1}, {"a": 1}),
    ],
)
def test_json_says_what_avro_keeps(schema: Any, value: Any, made: Any) -> None:
    assert converter(schema)(value) == made


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("int", 1.0),
        ("int", True),
        ("long", 2**63),
        ("float", 1e39),
        ("double", float("inf")),
        ("bytes", "Ā"),
        ({"type": "fixed", "name": "f", "size": 2}, "abc"),
        ({"type": "int", "logicalType": "date"}, "2026-02-30"),
        ({"type": "long", "logicalType": "timestamp-millis"}, 1_772_362_800_500_000),
        ({"type": "long", "logicalType": "timestamp-millis"}, "2026-03-01"),
        ({"type": "string", "logicalType": "uuid"}, "a"),
        (["int", "string"], 1.5),
    ],
)
def test_what_avro_can_not_keep_is_a_mistake(schema: Any, value: Any) -> None:
    with pytest.raises(MisfitError):
        converter(schema)(value)


def test_a_mistake_within_an_event_says_where() -> None:
    line = {"type": "record", "name": "Line", "fields": [{"name": "price", "type": ["null", "int"]}]}
    nested = {"type": "record", "name": "E", "fields": [{"name": "lines", "type": {"type": "array", "items": line}}]}
    with pytest.raises(MisfitError) as said:
        converter(nested)({"lines": [{"price": 1}, {"price": "x"}, {}]})
    assert [each.path for each in said.value.misfits] == ["lines[1].price", "lines[2].price"]


def test_a_type_that_holds_itself_is_read_as_deep_as_python_can() -> None:
    tree: Any = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    deep: Any = None
    for _ in range(5_000):
        deep = {"next": deep}
    with pytest.raises(MisfitError, match="nested so deep"):
        version(1, tree).encoded(deep)
    assert version(1, tree).encoded({"next": {"next": None}})[1]


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (b"{", "application/json", 400, "no JSON"),
        (b'{"a": NaN}', "application/json", 400, "no JSON"),
        (b"[" * 100_000, "application/json", 400, "no JSON"),
        (b"1", "application/json", 400, "neither an event"),
        (b"[]", "application/json", 400, "no event"),
        (b"", "application/x-ndjson", 400, "no event"),
        (b"[" + b"{}," * 100 + b"{}]", "application/json", 413, "more than 100 events"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "is not understood"),
        (b"\x01\x00", "application/vnd.confluent.avro", 400, "no framed event"),
        (struct.pack(">bI", 0, 8) + b"a", "application/vnd.confluent.avro", 400, "registered: 3, 7"),
        (in_avro(), "avro/binary", 400, "Tidegate-Schema-Id"),
        (b"Obj\x01", "application/avro", 400, "no whole Avro object container file"),
        (in_a_file(101), "application/avro", 413, "more than 100 events"),
        (in_a_file(3)[:-9], "application/avro", 400, "not whole"),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_reason(body: bytes, kind: str, status: int, says: str) -> None:
    with pytest.raises(RefusedError, match=says) as said:
        judged(body, {"content-type": kind}, VERSIONS, LIMITS)
    assert said.value.status == status


def test_a_file_of_another_schema_is_refused() -> None:
    out = io.BytesIO()
    other: Any = {"type": "record", "name": "Other", "fields": []}
    fastavro.writer(out, other, [{}])
    with pytest.raises(RefusedError, match="none of shop; those that are registered: 3, 7"):
        judged(out.getvalue(), {"content-type": "application/avro"}, VERSIONS, LIMITS)


def test_a_file_that_becomes_a_huge_one_is_refused() -> None:
    out = io.BytesIO()
    fastavro.writer(out, SHOP.avro_schema, [{**EVENT, "event_time": AT_MS, "device": "a" * 10**6}], codec="deflate")
    with pytest.raises(RefusedError, match="more than 100000 bytes") as said:
        judged(out.getvalue(), {"content-type": "application/avro"}, VERSIONS, LIMITS)
    assert said.value.status == 413


def test_a_line_that_is_no_json_is_the_mistake_of_that_event() -> None:
    good = json.dumps(EVENT).encode()
    found = judged(good + b"\n{nonsense\n" + good, {"content-type": "application/x-ndjson"}, VERSIONS, LIMITS)
    assert (found.sent, len(found.fitting), found.mistaken) == (3, 2, 1)
    assert [each["index"] for each in found.mistakes] == [1]


def _status(body: bytes, kind: str) -> int:
    try:
        judged(body, {"content-type": kind, "tidegate-schema-id": "7"}, VERSIONS, LIMITS)
    except RefusedError as error:
        return error.status
    return 202


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_taken_or_refused(body: bytes) -> None:
    for kind in ("application/json", "application/x-ndjson", "application/avro", "avro/binary"):
        for beginning in (b"", b"Obj\x01", in_a_file(1)[:-30], in_avro()[:20]):
            assert _status(beginning + body, kind) in (202, 400, 413, 415)


def _mistaken(event: Any) -> set[str]:
    try:
        assert event_in(NEWEST.encoded(event)[1])
    except MisfitError as error:
        return {each.path for each in error.misfits}
    return set()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(_JSON, st.sampled_from([*EVENT]))
def test_whatever_value_a_field_has_it_is_encoded_or_a_mistake_at_that_field(value: Any, field: str) -> None:
    assert _mistaken({**EVENT, field: value}) <= {field}


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), 1000):
        yield body[begin : begin + 1000]


class _Held:
    size = 0

    def take(self, size: int) -> None:
        self.size += size


def test_a_packed_body_is_unpacked_as_far_as_it_may() -> None:
    held, body = _Held(), b"a" * 50_000
    assert asyncio.run(read(_chunks(gzip.compress(body)), "gzip", LIMITS, held)) == body
    assert held.size == 50_000
    bomb = gzip.compress(b"\0" * 10**7)
    for packed, encoding, status in (
        (bomb, "gzip", 413),
        (gzip.compress(body)[:-1], "gzip", 400),
        (b"no gzip", "gzip", 400),
        (gzip.compress(b"a") + b"b", "gzip", 400),
        (b"", "gzip", 400),
        (b"a", "br", 415),
        (b"a" * 100_001, "", 413),
    ):
        with pytest.raises(RefusedError) as said:
            asyncio.run(read(_chunks(packed), encoding, LIMITS, _Held()))
        assert said.value.status == status


def test_bodies_that_are_held_are_bounded() -> None:
    waiting = Waiting(10, 1000)
    waiting.hold(900)
    with pytest.raises(RefusedError, match="900 bytes") as said:
        waiting.hold(101)
    assert said.value.status == 429
    waiting.let_go(900)
    waiting.hold(1000)


@pytest.mark.parametrize("found", [{3: '{"type": "no type"}'}, {}], ids=["unreadable", "not-registered"])
def test_a_schema_that_can_not_be_had_is_one_streams_trouble(found: dict[int, str]) -> None:
    other = SHOP.model_copy(update={"name": "other"})
    schemas = Schemas([other, SHOP], lambda stream: found if stream is other else {9: json.dumps(SHOP.avro_schema)})
    assert schemas.refresh()
    assert schemas.of("shop") is not None
    assert schemas.of("other") is None


def test_each_stream_whose_schemas_can_not_be_had_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    away = {"other"}

    def ask(stream: StreamDefinition) -> dict[int, str]:
        return {} if stream.name in away else {9: json.dumps(SHOP.avro_schema)}

    schemas = Schemas([SHOP.model_copy(update={"name": "other"}), SHOP], ask)
    schemas.refresh()
    away.add("shop")
    schemas.refresh()
    schemas.refresh()
    assert [record.getMessage().split(" cannot")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "the schemas of other",
        "the schemas of shop",
    ]


def test_while_the_registry_is_away_no_schema_is_known() -> None:
    def ask(stream: StreamDefinition) -> dict[int, str]:
        raise httpx.ConnectError(f"nobody is there for {stream.name}")

    assert not Schemas([SHOP], ask).refresh()
