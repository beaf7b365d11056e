"""What is made again of the lake's own events: what route and lake make of a record, to the byte. No broker, no table."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from pyspark.sql import functions as sf

from controlplane.contract.names import Hop, Reason, topic
from controlplane.contract.rules import InSet
from controlplane.contract.valid import valid_schema
from pipeline.backfill.again import RECORD, Again
from pipeline.feed.shop import event
from pipeline.lake.append import rows
from pipeline.route.decode import Schemas
from pipeline.route.frame import route
from quality.compile import broken_rules

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition

TODAY, VALID = 7, 9
ARRIVED = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
KAFKA_ROW = "key binary, value binary, topic string, partition int, offset long, timestamp timestamp, timestampType int"
EVENTS = [{**event(1, number, 0.02, ARRIVED).value, "product_id": f"p{number % 7:03}"} for number in range(300)]


def records(spark: SparkSession, stream: StreamDefinition) -> DataFrame:
    """Raw records as Kafka gives them, a few of them broken on purpose."""
    schema = fastavro.parse_schema(deepcopy(stream.avro_schema))

    def framed(value: dict[str, Any]) -> bytearray:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, value)
        return bytearray(b"\x00" + TODAY.to_bytes(4, "big") + body.getvalue())

    given = [(b"k", framed(value), "shop.raw", at % 3, at, ARRIVED, 1) for at, value in enumerate(EVENTS)]
    return spark.createDataFrame(given, KAFKA_ROW)


@pytest.fixture(scope="module")
def made(spark: SparkSession, shop: StreamDefinition) -> tuple[Again, DataFrame, DataFrame]:
    """Today's definition; what route wrote to `shop.valid`; the rows that lake made of it."""
    again = Again.of(spark, shop, broken_rules, VALID)
    known = Schemas(writers={TODAY: json.dumps(shop.avro_schema)}, valid_id=VALID)
    routed = route(records(spark, shop), shop, known, again.references, broken_rules, {})
    valid = routed.where(sf.col("topic") == topic("shop", Hop.VALID)).persist()
    lake = rows(valid, shop, {VALID: json.dumps(valid_schema(shop))}).persist()
    assert lake.count() > len(EVENTS) // 2
    return again, valid, lake


def test_by_an_unchanged_definition_no_row_changes_and_no_byte(made: tuple[Again, DataFrame, DataFrame]) -> None:
    again, valid, lake = made
    judged = again.of_events(lake).persist()
    anew = again.rows(judged)
    assert anew.schema == lake.schema
    assert anew.exceptAll(lake).count() == lake.exceptAll(anew).count() == 0
    written = {bytes(row[0]) for row in valid.select("value").collect()}
    assert {bytes(row[0]) for row in judged.select(RECORD).collect()} == written, "the same records as route's"


def test_a_stricter_rule_turns_rows_away_and_names_itself(
    made: tuple[Again, DataFrame, DataFrame], shop: StreamDefinition
) -> None:
    again, _, lake = made
    only_views = InSet(name="only_views", column="event_type", values=("view",))
    strict = Again(shop.model_copy(update={"row_rules": (*shop.row_rules, only_views)}), again.references, broken_rules)
    judged = strict.of_events(lake).persist()
    refused = judged.where(sf.col("reason") == Reason.RULE_BROKEN.value)
    assert refused.count() == lake.where("event_type != 'view'").count() > 0
    assert {name for row in refused.select("broken").collect() for name in row[0]} == {"only_views"}
    assert strict.rows(judged).count() == lake.where("event_type = 'view'").count() > 0


def test_rows_of_before_a_field_have_its_default_or_null_and_one_without_either_is_undecodable(
    made: tuple[Again, DataFrame, DataFrame], shop: StreamDefinition
) -> None:
    again, _, lake = made
    old = lake.withColumn("page_ms", sf.when(sf.col("tg_partition") > 0, sf.col("page_ms"))).persist()
    more = [
        {"name": "channel", "type": "string", "default": "web"},
        {"name": "note", "type": ["null", "string"], "default": None},
    ]
    required = [
        {"name": each["name"], "type": "int"} if each["name"] == "page_ms" else each
        for each in shop.avro_schema["fields"]
    ]
    later = shop.model_copy(update={"avro_schema": {**shop.avro_schema, "fields": [*required, *more]}})
    judged = Again(later, again.references, broken_rules).of_events(old)
    lost = judged.where(sf.col("reason") == Reason.UNDECODABLE.value)
    assert lost.count() == old.where("page_ms is null").count() > 0
    assert lost.where(sf.col(RECORD).isNotNull()).count() == 0
    found = Again(later, again.references, broken_rules).rows(judged)
    assert found.count() > 0
    assert [tuple(row) for row in found.select("channel", "note").distinct().collect()] == [("web", None)]


def test_records_are_judged_as_route_judges_them(
    made: tuple[Again, DataFrame, DataFrame], spark: SparkSession, shop: StreamDefinition
) -> None:
    again, _, lake = made
    judged = again.of_records(records(spark, shop), {TODAY: json.dumps(shop.avro_schema)}).persist()
    assert judged.count() == len(EVENTS)
    assert again.rows(judged).exceptAll(lake).count() == 0
    assert judged.where("reason is null").count() == lake.count()
