"""What a record would be sent as: decoded, fixed, encoded by a version that has its fields, judged by today's rules."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader, schemaless_writer

from controlplane.contract.fix_steps import parse_step
from controlplane.contract.replays import Judged
from pipeline.feed.shop import event
from quality.replay.prepare import Prepared, key_of, prepared
from quality.replay.revalidate import broken_rules
from quality.replay.today import Today
from quality.schemas import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
Json = dict[str, Any]


def no_rules(_: Today, events: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [() for _ in events]


def framed(schema: Json, value: Json, schema_id: int) -> bytes:
    body = io.BytesIO()
    schemaless_writer(body, parsed(schema), value)
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


def decoded(schema: Json, value: bytes | None) -> Any:
    return schemaless_reader(io.BytesIO((value or b"")[5:]), parsed(schema), None)


def newer(shop: StreamDefinition) -> Json:
    return {
        **shop.avro_schema,
        "fields": [*shop.avro_schema["fields"], {"name": "note", "type": ["null", "string"], "default": None}],
    }


def one(shop: StreamDefinition, value: bytes, *steps: str, versions: dict[int, Json] | None = None) -> Prepared:
    known = versions or {1: shop.avro_schema}
    today = Today(shop, known, list(known.values())[-1])
    found = prepared([("dead:0:1", value)], [parse_step(each) for each in steps], today, known.get, no_rules, NOW)
    return found[0]


def shop_event(**changed: Any) -> Json:
    return {**event(1, 1, 0.0, NOW).value, **changed}


def test_a_fixed_record_is_what_the_producer_would_have_sent(shop: StreamDefinition) -> None:
    found = one(shop, framed(shop.avro_schema, shop_event(quantity=0), 1), "set quantity 3")
    assert (found.judged, found.value) == (Judged.READY, framed(shop.avro_schema, shop_event(quantity=3), 1))
    assert found.key == str(shop_event()["user_id"]).encode()


def test_it_keeps_the_version_that_it_was_written_in(shop: StreamDefinition) -> None:
    versions = {1: shop.avro_schema, 2: newer(shop)}
    found = one(shop, framed(shop.avro_schema, shop_event(), 1), versions=versions)
    assert found.value is not None
    assert found.value[:5] == b"\x00\x00\x00\x00\x01"
    assert found.event["note"] is None, "as route reads it: by what all versions make"


def test_a_field_that_only_a_newer_version_has_is_written_by_that(shop: StreamDefinition) -> None:
    versions = {1: shop.avro_schema, 2: newer(shop)}
    found = one(shop, framed(shop.avro_schema, shop_event(), 1), "set note hello", versions=versions)
    assert found.value is not None
    assert found.value[:5] == b"\x00\x00\x00\x00\x02"
    assert decoded(versions[2], found.value)["note"] == "hello"


def test_what_fits_no_version_is_said_with_its_field(shop: StreamDefinition) -> None:
    value = framed(shop.avro_schema, shop_event(), 1)
    found = {
        step: one(shop, value, step)
        for step in ("set colour red", "drop country", "set quantity many", "set event_type swim", "cast country int")
    }
    assert {each.judged for each in found.values()} == {Judged.UNFIT}
    assert {step: each.why for step, each in found.items()} == {
        "set colour red": "the schema has no field colour",
        "drop country": "field country is missing",
        "set quantity many": 'field quantity: "many" is no int',
        "set event_type swim": 'field event_type: "swim" is no enum',
        "cast country int": f"cast country int: {shop_event()['country']!r} is none",
    }
    assert {each.value for each in found.values()} == {None}


def test_a_field_that_may_be_left_out_takes_its_default(shop: StreamDefinition) -> None:
    found = one(shop, framed(shop.avro_schema, shop_event(amount=-1.0), 1), "drop amount")
    assert decoded(shop.avro_schema, found.value)["amount"] is None


def test_a_time_may_be_written_as_text(shop: StreamDefinition) -> None:
    found = one(shop, framed(shop.avro_schema, shop_event(), 1), "set event_time 2026-01-01T11:00:00Z")
    assert decoded(shop.avro_schema, found.value)["event_time"] == NOW - timedelta(hours=1)


def test_an_event_that_is_dated_too_far_ahead_is_still_broken(shop: StreamDefinition) -> None:
    ahead = NOW + shop.event_time.ahead + timedelta(seconds=1)
    found = one(shop, framed(shop.avro_schema, shop_event(event_time=ahead), 1))
    assert (found.judged, found.rules) == (Judged.BROKEN, ("event_time_ahead",))
    allowed = one(shop, framed(shop.avro_schema, shop_event(event_time=ahead - timedelta(seconds=1)), 1))
    assert allowed.judged is Judged.READY


def test_a_dead_letter_is_read_as_the_schema_that_an_operator_names(shop: StreamDefinition) -> None:
    value = framed(shop.avro_schema, shop_event(), 99)
    assert one(shop, value).judged is Judged.UNDECODED
    found = one(shop, value, "read_as 1")
    assert (found.judged, found.value) == (Judged.READY, framed(shop.avro_schema, shop_event(), 1))


def test_json_is_read_only_when_an_operator_says_so(shop: StreamDefinition) -> None:
    value = b'{"event_id": "0123456789abcdef", "event_type": "view", "user_id": "u1", "session_id": "s", "product_id": "p001"}'
    assert one(shop, value).judged is Judged.UNDECODED
    steps = (
        "set country DE",
        "set device phone",
        "set quantity 1",
        "set page_ms 10",
        "set event_time 2026-01-01T11:00:00Z",
    )
    found = one(shop, value, "read_as json", *steps)
    assert (found.judged, decoded(shop.avro_schema, found.value)["user_id"]) == (Judged.READY, "u1")


def test_a_truncated_one_is_not_replayed_with_half_of_its_fields(shop: StreamDefinition) -> None:
    found = one(shop, framed(shop.avro_schema, shop_event(), 1)[:-3])
    assert (found.judged, found.value) == (Judged.UNDECODED, None)


def test_the_key_is_made_of_the_fixed_event(shop: StreamDefinition) -> None:
    two = shop.model_copy(update={"key": ("user_id", "country")})
    assert key_of({"user_id": "u1", "country": None}, two) == b"u1|"


def test_rules_are_great_expectations_own_row_by_row(shop: StreamDefinition) -> None:
    today = Today(shop, {1: shop.avro_schema}, shop.avro_schema)
    events = [shop_event(), shop_event(quantity=0, country="de"), shop_event(amount=None), shop_event(amount=-2.0)]
    broken = broken_rules(today, events)
    assert (broken[0], broken[2]) == ((), ())
    assert {"quantity_in_range", "country_code"} <= set(broken[1])
    assert "amount_not_negative" in broken[3]
