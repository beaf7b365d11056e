from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.evolution import evolved
from controlplane.contract.folders import load_stream
from controlplane.contract.names import BLOCK, arrivals_table, events_table, live_table, rollup_view, valid_view
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.valid import valid_schema
from pipeline.serving import ddl
from pipeline.serving.columns import column_type, literal, second, widens

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}


@pytest.fixture
def shop() -> StreamDefinition:
    return load_stream(SHIPPED_STREAMS / "shop")


@pytest.mark.parametrize(
    ("avro", "column"),
    [
        ("string", "String"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, "String"),
        ("int", "Int32"),
        ("long", "Int64"),
        ("float", "Float32"),
        ("double", "Float64"),
        ("boolean", "Bool"),
        ({"type": "int", "logicalType": "date"}, "Date32"),
        (MILLIS, "DateTime64(3, 'UTC')"),
        ({"type": "long", "logicalType": "timestamp-micros"}, "DateTime64(6, 'UTC')"),
        (["null", MILLIS], "Nullable(DateTime64(3, 'UTC'))"),
        (["int", "null"], "Nullable(Int32)"),
    ],
)
def test_an_avro_type_has_one_column_type(avro: object, column: str) -> None:
    assert column_type(avro) == column


def test_a_type_that_no_column_holds_is_named() -> None:
    with pytest.raises(ValueError, match="Avro type record; use one of string"):
        column_type({"type": "record", "name": "R", "fields": []})


@pytest.mark.parametrize(
    ("value", "avro", "written"),
    [
        pytest.param("it's", "string", "'it\\'s'", id="a-quote"),
        pytest.param("a\\", "string", "'a\\\\'", id="a-backslash"),
        pytest.param("') OR 1=1 --", ["null", "string"], "'\\') OR 1=1 --'", id="an-attack"),
        pytest.param(7, "string", "'7'", id="a-number-that-means-a-text"),
        pytest.param(True, "string", "'true'", id="a-boolean-that-means-a-text"),
        pytest.param(7, "int", "7", id="a-number"),
        pytest.param(False, "boolean", "false", id="a-boolean"),
        pytest.param("2026-01-01", {"type": "int", "logicalType": "date"}, "'2026-01-01'", id="a-date"),
    ],
)
def test_a_literal_is_written_by_its_columns_type(value: str | bool, avro: object, written: str) -> None:
    assert literal(value, avro) == written


@pytest.mark.parametrize(("value", "avro"), [("x", "int"), (True, "int"), (1, "boolean"), ("true", "boolean")])
def test_a_literal_that_no_value_can_equal_is_refused(value: str | bool, avro: object) -> None:
    with pytest.raises(ValueError, match="is not a"):
        literal(value, avro)


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ("Int32", "Int64", True),
        ("Int32", "Nullable(Int64)", True),
        ("String", "Nullable(String)", True),
        ("Nullable(String)", "String", False),
        ("Int64", "Int32", False),
        ("String", "Int64", False),
        ("DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", False),
        ("DateTime64(3, 'UTC')", "Nullable(DateTime64(3, 'UTC'))", True),
    ],
)
def test_a_column_changes_only_where_no_value_is_lost(old: str, new: str, fits: bool) -> None:
    assert widens(old, new) is fits


def test_a_second_is_clamped_to_what_a_datetime_holds() -> None:
    assert second("`t`", MILLIS) == (
        "toDateTime(least(greatest(intDiv(toUnixTimestamp64Milli(`t`), 1000), 0), 4294967295), 'UTC')"
    )


def test_every_table_keeps_the_tokens_of_its_inserts(shop: StreamDefinition) -> None:
    fed = (events_table("shop"), arrivals_table("shop"), *(live_table("shop", name) for name in shop.rollups))
    starts = tuple(f"CREATE TABLE IF NOT EXISTS {table} " for table in fed)
    tables = [each for each in ddl.statements(shop) if each.startswith(starts)]
    assert len(tables) == len(fed)
    assert all("non_replicated_deduplication_window = 1000" in each for each in tables)


def test_arrivals_are_counted_by_the_ledgers_blocks(shop: StreamDefinition) -> None:
    table, fill = ddl.relations(shop)[0].statements
    assert f"intDiv(tg_offset, {BLOCK}) AS tg_out_block" in fill
    assert "GROUP BY tg_out_partition, tg_out_block" in fill
    assert "ORDER BY (`partition`, `block`)" in table


def test_every_statement_can_be_run_again(shop: StreamDefinition) -> None:
    assert all(" IF NOT EXISTS " in each for each in ddl.statements(shop))


def test_every_rollup_has_the_view_that_people_read(shop: StreamDefinition) -> None:
    views = {found[1] for each in ddl.statements(shop) if (found := re.match(r"CREATE VIEW IF NOT EXISTS (\w+)", each))}
    assert views == {valid_view("shop"), *(rollup_view("shop", name) for name in shop.rollups)}


def test_every_field_of_a_valid_event_has_a_column(shop: StreamDefinition) -> None:
    assert list(ddl.event_columns(shop)) == [field["name"] for field in valid_schema(shop)["fields"]]


def test_a_table_as_it_should_be_needs_no_alteration(shop: StreamDefinition) -> None:
    assert ddl.alterations(shop, ddl.event_columns(shop), ddl.events(shop)) == []
    assert ddl.alterations(shop, {}, "") == []


def test_a_table_of_yesterday_gets_what_the_stream_gained(shop: StreamDefinition) -> None:
    present = {**ddl.event_columns(shop), "amount": "Float32"}
    del present["device"]
    longer = shop.model_copy(update={"serving_retention": timedelta(days=3)})
    assert [
        each.split(" ", 3)[3]
        for each in ddl.alterations(longer, {**present, "amount": "Nullable(Float32)"}, ddl.events(shop))
    ] == [
        "MODIFY TTL toDateTime(tg_raw_at) + toIntervalSecond(259200)",
        "ADD COLUMN IF NOT EXISTS `device` String",
        "MODIFY COLUMN `amount` Nullable(Float64) SETTINGS alter_sync = 0",
    ]


def test_a_renamed_column_has_what_rows_have_by_its_name_of_before(shop: StreamDefinition) -> None:
    fields = [
        {**each, "name": "gadget", "aliases": ["device"]} if each["name"] == "device" else each
        for each in shop.avro_schema["fields"]
    ]
    renamed = shop.model_copy(update={"avro_schema": {**shop.avro_schema, "fields": fields}})
    assert ddl.alterations(renamed, ddl.event_columns(shop), ddl.events(shop)) == [
        "ALTER TABLE shop_events ADD COLUMN IF NOT EXISTS `gadget` String DEFAULT `device`"
    ]


def test_a_version_changes_columns_and_no_rollup(shop: StreamDefinition) -> None:
    version = [
        {"name": "channel", "type": "string", "default": "web"},
        *(
            {**each, "type": {"string": ["null", "string"], "int": "long"}.get(str(each["type"]), each["type"])}
            for each in shop.avro_schema["fields"]
            if each["name"] in ("device", "quantity", "page_ms")
        ),
        *(
            each
            for each in shop.avro_schema["fields"]
            if each["name"] not in ("device", "quantity", "page_ms", "session_id")
        ),
    ]
    now = evolved(shop, [{**shop.avro_schema, "fields": version}])
    assert [each.split(" ", 3)[3] for each in ddl.alterations(now, ddl.event_columns(shop), ddl.events(shop))] == [
        "MODIFY COLUMN `session_id` Nullable(String) SETTINGS alter_sync = 0",
        "MODIFY COLUMN `device` Nullable(String) SETTINGS alter_sync = 0",
        "MODIFY COLUMN `quantity` Int64 SETTINGS alter_sync = 0",
        "MODIFY COLUMN `page_ms` Int64 SETTINGS alter_sync = 0",
        "ADD COLUMN IF NOT EXISTS `channel` Nullable(String)",
    ]
    assert ddl.relations(now) == ddl.relations(shop)


def test_a_column_that_would_lose_values_is_refused_by_name(shop: StreamDefinition) -> None:
    present = {**ddl.event_columns(shop), "quantity": "Int64"}
    with pytest.raises(ddl.ServingChangedError, match=re.escape("shop_events.quantity is Int64")):
        ddl.alterations(shop, present, ddl.events(shop))


def test_what_a_chart_shows_may_change_and_what_a_table_holds_may_not(shop: StreamDefinition) -> None:
    def fingerprint(**changes: object) -> str:
        sales = shop.rollups["sales"].model_copy(update=changes)
        changed = shop.model_copy(update={"rollups": {**shop.rollups, "sales": sales}})
        return next(each.fingerprint for each in ddl.relations(changed) if each.table == "shop_sales_live")

    assert fingerprint(title="Other", span=timedelta(minutes=9), bucket=timedelta(seconds=3)) == fingerprint()
    assert fingerprint(where={"event_type": ("refund",)}) != fingerprint()
    assert fingerprint(dimensions=("country",)) != fingerprint()
