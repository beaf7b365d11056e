"""What route makes of single records: no broker, the Columns themselves. Every record comes out once, whole, in its place."""

from __future__ import annotations

import io
import json
import shutil
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from pyspark.errors import SparkRuntimeException

from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Policy, Stage
from controlplane.contract.names import (
    HEADER_REASON,
    HEADER_RULES,
    HEADER_SOURCE,
    HEADER_STAGE,
    HEADER_SUITE,
    Hop,
    Reason,
)
from controlplane.contract.streams import IngestGate
from controlplane.contract.valid import valid_schema
from pipeline.feed.shop import event
from pipeline.references.fingerprint import fingerprint_of
from pipeline.route.decode import UNKNOWN_ID, Schemas
from pipeline.route.definition import Kept, digest_of
from pipeline.route.frame import route
from pipeline.route.references import references_of
from pipeline.route.tails import Resumption, until_of
from quality.compile import broken_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition

TODAY, EARLIER, VALID = 7, 3, 9
ARRIVED = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
KAFKA_ROW = "key binary, value binary, topic string, partition int, offset long, timestamp timestamp, timestampType int"
EVENT = {**event(1, 3, 0.0, ARRIVED).value, "product_id": "p001", "country": "DE"}


def written(schema: dict[str, Any], schema_id: int, value: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, deepcopy(schema), value)
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


def read(stream: StreamDefinition, value: bytes) -> dict[str, Any]:
    """A record of `<s>.valid`, which must end where its last field does."""
    assert value[:5] == b"\x00" + VALID.to_bytes(4, "big")
    body = io.BytesIO(value[5:])
    record: Any = fastavro.schemaless_reader(body, deepcopy(valid_schema(stream)))
    assert not body.read()
    return dict(record)


def earlier(schema: dict[str, Any]) -> dict[str, Any]:
    """The event before it had an amount, and with a field that is gone."""
    fields = [field for field in schema["fields"] if field["name"] != "amount"]
    return {**schema, "fields": [{"name": "referrer", "type": "string"}, *fields]}


def routed(
    spark: SparkSession,
    stream: StreamDefinition,
    *values: bytes,
    tails: Mapping[Hop, Mapping[int, int]] | None = None,
    **schemas: Any,
) -> list[Any]:
    """Output rows of records at partition 2, offsets 100, 101, ..."""
    rows = [(b"k", bytearray(value), "shop.raw", 2, 100 + at, ARRIVED, 1) for at, value in enumerate(values)]
    writers = {TODAY: json.dumps(stream.avro_schema), EARLIER: json.dumps(earlier(stream.avro_schema))}
    known = Schemas(**{"writers": writers, "valid_id": VALID, "stop_at_unknown": False, **schemas})
    raw = spark.createDataFrame(rows, KAFKA_ROW)
    return route(raw, stream, known, references_of(spark, stream), broken_rules, tails or {}).collect()


def headers(row: Any) -> dict[str, str]:
    return {each.key: bytes(each.value).decode() for each in row.headers}


def test_a_valid_record_is_the_event_then_what_enrichment_adds_then_where_it_came_from(
    spark: SparkSession, shop: StreamDefinition
) -> None:
    raw = written(shop.avro_schema, TODAY, EVENT)
    [row] = routed(spark, shop, raw)
    assert (row.topic, row.partition, bytes(row.key), headers(row)) == ("shop.valid", 2, b"k", {HEADER_SOURCE: "2:100"})
    assert bytes(row.value)[5:].startswith(raw[5:]), "the event's own bytes are carried on"
    record = read(shop, bytes(row.value))
    assert {name: record[name] for name in EVENT} == EVENT
    assert record["category"]
    assert record["country_name"] == "Germany"
    assert record["tg_references"] == fingerprint_of(shop)
    assert (record["tg_partition"], record["tg_offset"], record["tg_raw_at"]) == (2, 100, ARRIVED)


def test_an_event_of_before_fields_were_added_is_carried_on_with_their_nulls(
    spark: SparkSession, shop: StreamDefinition
) -> None:
    notes = [{"name": name, "type": ["null", "string"], "default": None} for name in ("note", "remark")]
    later = shop.model_copy(
        update={"avro_schema": {**shop.avro_schema, "fields": [*shop.avro_schema["fields"], *notes]}}
    )
    writers = {TODAY: json.dumps(later.avro_schema), EARLIER: json.dumps(shop.avro_schema)}
    old = written(shop.avro_schema, EARLIER, EVENT)
    new = written(later.avro_schema, TODAY, {**EVENT, "note": "n", "remark": None})
    first, second = routed(spark, later, old, new, writers=writers)
    assert bytes(first.value)[5:].startswith(old[5:] + b"\x00\x00"), "its own bytes, and two nulls"
    assert bytes(second.value)[5:].startswith(new[5:])
    records = [read(later, bytes(each.value)) for each in (first, second)]
    assert [(each["note"], each["remark"], each["tg_offset"]) for each in records] == [
        (None, None, 100),
        ("n", None, 101),
    ]
    assert {name: records[0][name] for name in EVENT} == EVENT


def test_what_no_reference_row_matches_is_null(spark: SparkSession, shop: StreamDefinition) -> None:
    [row] = routed(spark, shop, written(shop.avro_schema, TODAY, {**EVENT, "product_id": "p999", "country": "ZZ"}))
    record = read(shop, bytes(row.value))
    taken = [field for join in shop.enrich for field in join.take]
    assert [record[field] for field in taken] == [None] * len(taken)


def test_an_event_of_an_earlier_version_is_written_as_todays(spark: SparkSession, shop: StreamDefinition) -> None:
    old = {**{name: value for name, value in EVENT.items() if name != "amount"}, "referrer": "a friend"}
    [row] = routed(spark, shop, written(earlier(shop.avro_schema), EARLIER, old))
    record = read(shop, bytes(row.value))
    assert {name: record[name] for name in EVENT} == {**EVENT, "amount": None}


def _first_enum(raw: bytes, index: int) -> bytes:
    """The event's kind, an enum of four, as a number of our own: zigzag of 4 is the first that there is not."""
    at = 5 + 1 + len(EVENT["event_id"])
    return raw[:at] + bytes([index << 1]) + raw[at + 1 :]


SPOILED = {
    "bytes-behind-a-record-are-not-carried-on": lambda raw: raw + b"\x00",
    "a-whole-record-behind-a-record-is-not-carried-on": lambda raw: raw + raw[5:],
    "a-record-without-its-last-byte-is-undecodable": lambda raw: raw[:-1],
    "a-symbol-that-is-not-in-the-enum-is-undecodable": lambda raw: _first_enum(raw, 4),
    "a-length-beyond-the-end-is-undecodable": lambda raw: raw[:5] + b"\x7e" + raw[6:],
}


@pytest.mark.parametrize("case", SPOILED)
def test_bytes_that_are_not_exactly_one_event_are_a_dead_letter(
    case: str, spark: SparkSession, shop: StreamDefinition
) -> None:
    spoiled = SPOILED[case](written(shop.avro_schema, TODAY, EVENT))
    [row] = routed(spark, shop, spoiled)
    assert (row.topic, bytes(row.value)) == ("shop.dead", spoiled)
    assert headers(row)[HEADER_REASON] == Reason.UNDECODABLE


def test_what_a_topic_has_already_is_dropped_and_only_there(spark: SparkSession, shop: StreamDefinition) -> None:
    good, bad = written(shop.avro_schema, TODAY, EVENT), b"not Avro at all"
    broken = written(shop.avro_schema, TODAY, {**EVENT, "quantity": 0})
    tails = {Hop.VALID: {0: 500, 2: 101}, Hop.DEAD: {2: 99}, Hop.QUARANTINE: {0: 500}}
    rows = routed(spark, shop, good, good, good, bad, broken, tails=tails)
    assert {(row.topic, headers(row)[HEADER_SOURCE]) for row in rows} == {
        ("shop.valid", "2:102"),
        ("shop.dead", "2:103"),
        ("shop.quarantine", "2:104"),
    }


def test_what_was_begun_is_finished_by_the_tables_that_it_was_begun_with(
    spark: SparkSession, shop: StreamDefinition, tmp_path: Path
) -> None:
    """Of four records the first has landed, and a dead letter behind the third: what lies between is in doubt."""
    kept, events = Kept(tmp_path, "shop"), [written(shop.avro_schema, TODAY, EVENT)] * 4
    kept.write(shop, Schemas(writers={TODAY: json.dumps(shop.avro_schema)}, valid_id=VALID), {})
    new = changed(shop, tmp_path / "new" / "shop")
    before = kept.read()
    assert before is not None
    assert before.sends_elsewhere(digest_of(new.folder), before.schemas, new.avro_schema)
    found = Resumption({2: 100}, {Hop.VALID: {2: 100}, Hop.DEAD: {2: 102}})
    until = until_of(found)[2] - 100
    rows = routed(spark, before.stream, *events[:until], tails=found.tails)
    rows += routed(spark, new, *events, tails={Hop.VALID: {2: 99 + until}})
    records = [read(shop, bytes(row.value)) for row in rows]
    assert [(record["tg_offset"], record["tg_references"], record["price"]) for record in records] == [
        (101, fingerprint_of(shop), 46.99),
        (102, fingerprint_of(shop), 46.99),
        (103, fingerprint_of(new), 47.99),
    ]


def changed(shop: StreamDefinition, folder: Path) -> StreamDefinition:
    """The shop with another price."""
    shutil.copytree(shop.folder, folder)
    products = folder / "reference" / "products.csv"
    products.write_text(products.read_text().replace("46.99", "47.99"))
    return load_stream(folder)


def test_an_id_never_asked_about_stops_the_query_by_its_number(spark: SparkSession, shop: StreamDefinition) -> None:
    unknown = written(shop.avro_schema, 4711, EVENT)
    with pytest.raises(SparkRuntimeException, match=f"{UNKNOWN_ID}:4711"):
        routed(spark, shop, unknown, stop_at_unknown=True)
    [row] = routed(spark, shop, unknown, stop_at_unknown=True, refused=frozenset({4711}))
    assert headers(row)[HEADER_REASON] == Reason.UNKNOWN_SCHEMA_ID
    for is_strict in (True, False):
        [row] = routed(spark, shop, unknown, stop_at_unknown=is_strict, misread=frozenset({4711}))
        assert headers(row)[HEADER_REASON] == Reason.MISREAD_SCHEMA


def test_a_quarantined_record_names_its_rules_and_the_suite_and_a_dead_letter_names_none(
    spark: SparkSession, shop: StreamDefinition
) -> None:
    broken = written(shop.avro_schema, TODAY, {**EVENT, "quantity": 0, "amount": -1.0, "device": "watch"})
    ahead = written(shop.avro_schema, TODAY, {**EVENT, "event_time": ARRIVED + timedelta(days=365)})
    found = [headers(row) for row in routed(spark, shop, broken, ahead, b"not Avro at all")]
    assert [each[HEADER_REASON] for each in found] == [Reason.RULE_BROKEN, Reason.EVENT_TIME_AHEAD, Reason.NOT_AVRO]
    assert [each[HEADER_RULES] for each in found] == ["quantity_in_range,amount_not_negative", "", ""]
    suite = shop.fingerprint(Stage.INGEST)
    assert [each[HEADER_SUITE] for each in found] == [suite, suite, ""]
    assert {each[HEADER_STAGE] for each in found} == {Stage.INGEST}


def test_a_warning_turns_nothing_away_and_neither_does_any_rule_where_the_policy_is_to_pass(
    spark: SparkSession, shop: StreamDefinition
) -> None:
    warned = written(shop.avro_schema, TODAY, {**EVENT, "device": "watch", "page_ms": 3000})
    broken = written(shop.avro_schema, TODAY, {**EVENT, "device": "watch", "quantity": 0})
    assert [row.topic for row in routed(spark, shop, warned, broken)] == ["shop.valid", "shop.quarantine"]
    gates = shop.gates.model_copy(update={"ingest": IngestGate(policy=Policy.PASS)})
    passing = shop.model_copy(update={"gates": gates})
    rows = routed(spark, passing, warned, broken, b"not Avro at all")
    assert [row.topic for row in rows] == ["shop.valid", "shop.valid", "shop.dead"]
