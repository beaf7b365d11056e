"""Does what a stream's definition promises come true in ClickHouse, event by event, once each?

A real registry, the embedded ClickHouse as a process, and blocks as the pump sends them: framed Avro, one token each.
"""

from __future__ import annotations

import io
import math
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import httpx
import pandas as pd
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from fastavro import parse_schema, schemaless_writer

from controlplane.contract.folders import load_stream
from controlplane.contract.names import (
    BLOCK,
    SOURCE_REFERENCES,
    Hop,
    arrivals_table,
    events_table,
    live_table,
    subject,
)
from controlplane.contract.push import Marks
from controlplane.contract.rollups import finished, span_query
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.streams import Measure, Rollup
from controlplane.contract.valid import base_type, valid_schema
from controlplane.service.frames import Arrived, StreamFrames
from controlplane.up import Platform
from pipeline.feed import flights, shop
from pipeline.registry import await_registry, register, register_stream, schemas_of
from pipeline.serving import apply, ddl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.streams import StreamDefinition

    Event = dict[str, Any]

WITHIN_S = 60.0
SERVE = """
import sys
from pathlib import Path
from pipeline.embedded import serve
serve(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
"""
STARTED = datetime.now(UTC).replace(microsecond=0)
"""Of today: single events that are older than the retention go."""
ENRICHMENTS = 5
"""Every so many events have no match in the reference tables."""


class Served:
    """The embedded server on a folder, which can be killed and started again."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder, self.registry = folder, registry
        self.start()

    def start(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = int(taken.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([sys.executable, "-P", "-c", SERVE, str(self.folder), str(port)])
        deadline = time.monotonic() + WITHIN_S
        while not self.answers():
            assert time.monotonic() < deadline, "the server does not answer"
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.02)
        self.client = self.new_client()

    def new_client(self) -> Client:
        return clickhouse_connect.get_client(dsn=self.url, autogenerate_session_id=False)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ping", timeout=1).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WITHIN_S)

    def insert(self, stream: str, block: bytes, token: str) -> None:
        settings = {
            **ddl.INSERT_SETTINGS,
            "insert_deduplication_token": token,
            "format_avro_schema_registry_url": self.registry,
        }
        self.client.raw_insert(events_table(stream), insert_block=block, settings=settings, fmt="AvroConfluent")

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return list(self.client.query(sql, query_tz="UTC", tz_mode="aware").named_results())


@dataclass(frozen=True)
class Block:
    """Events as the pump gets them."""

    events: Sequence[Event]
    framed: bytes


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Platform(tmp_path_factory.mktemp("platform"), only=("registry",)) as platform:
        platform.start()
        yield platform.settings.registry


@pytest.fixture
def served(tmp_path: Path, registry: str) -> Iterator[Served]:
    one = Served(tmp_path / "clickhouse", registry)
    yield one
    one.kill()


def shipped(name: str) -> StreamDefinition:
    return load_stream(SHIPPED_STREAMS / name)


def block_of(stream: StreamDefinition, registry: str, values: Iterable[Event]) -> Block:
    """Valid events of these values, enriched with made-up matches, framed as route frames them."""
    with await_registry(registry) as client:
        register_stream(client, stream)
        schema_id = max(schemas_of(client, subject(stream.name, Hop.VALID)))
    schema = parse_schema(valid_schema(stream))
    written, events = io.BytesIO(), []
    for number, value in enumerate(values):
        event = {
            **value,
            **_matches(stream, number),
            "tg_partition": number % 4,
            "tg_offset": number // 4 * 20,  # so that a few thousand events lie in more than one block
            "tg_raw_at": STARTED + timedelta(milliseconds=number),
            "tg_references": f"{number % 2:012x}",
        }
        written.write(b"\x00" + schema_id.to_bytes(4, "big"))
        schemaless_writer(written, schema, event)
        events.append(event)
    return Block(events, written.getvalue())


def _matches(stream: StreamDefinition, number: int) -> Event:
    kinds = {field["name"]: base_type(field["type"])[0] for field in valid_schema(stream)["fields"]}
    made: dict[str, Any] = {"string": f"name {number % 3}", "long": number, "double": number / 8, "boolean": True}
    taken = (field for join in stream.enrich for field in join.take)
    return {field: None if number % ENRICHMENTS == 0 else made[kinds[field]] for field in taken}


def shop_values(count: int) -> Iterator[Event]:
    for position in range(count):
        yield shop.event(7, position, 0, STARTED + timedelta(milliseconds=position % 5_000)).value


def flight_values(count: int) -> Iterator[Event]:
    for event in islice(flights.events(), count):
        yield event.value


VALUES = {"shop": shop_values, "flights": flight_values}


def counted(stream: StreamDefinition, rollup: Rollup, events: Iterable[Event]) -> dict[tuple[Any, ...], list[Event]]:
    """The events that a rollup counts, by second and dimensions: plain Python."""
    groups: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for event in events:
        if all(event[field] in values for field, values in rollup.where.items()):
            second = event[stream.event_time.field].replace(microsecond=0)
            groups[(second, *(str(event[each] or "") for each in rollup.dimensions))].append(event)
    return groups


def agrees(measure: Measure, found: Any, events: Sequence[Event]) -> bool:
    """Is a finished measure what plain Python makes of the events? Quantiles within 3 % of the ranks."""
    values = [event[measure.field] for event in events if event[measure.field] is not None] if measure.field else []
    match measure.function:
        case "count":
            return bool(found == len(events))
        case "distinct":
            return bool(found == len(set(values)))
        case "sum" | "average" as function:
            wanted = math.fsum(values) / (len(values) or 1 if function == "average" else 1)
            return bool(math.isclose(found, wanted, abs_tol=1e-6)) if values else found is None
        case "min" | "max" as extreme:
            return bool(found == {"min": min, "max": max}[extreme](values)) if values else found is None
    if not values:
        return found is None or math.isnan(found)
    slack = 0.03 + 1 / len(values)
    below, upto = sum(each < found for each in values), sum(each <= found for each in values)
    return below / len(values) - slack <= measure.at <= upto / len(values) + slack


def assert_counts_once(served: Served, stream: StreamDefinition, events: Sequence[Event]) -> None:
    name = stream.name
    assert served.rows(f"SELECT count() AS n FROM {events_table(name)}") == [{"n": len(events)}]  # noqa: S608
    arrived = served.rows(f"SELECT * FROM {arrivals_table(name)} FINAL ORDER BY partition, block")  # noqa: S608
    blocks = sorted({(event["tg_partition"], event["tg_offset"] // BLOCK) for event in events})
    assert arrived == [_arrival(stream, partition, block, events) for partition, block in blocks]
    for key, rollup in stream.rollups.items():
        groups = counted(stream, rollup, events)
        keys = ", ".join(["second", *rollup.dimensions])
        made = ", ".join(f"{finished(each, measure)} AS tg_{each}" for each, measure in rollup.measures.items())
        rows = served.rows(f"SELECT {keys}, {made} FROM {live_table(name, key)} GROUP BY {keys}")  # noqa: S608
        found = {(row["second"], *(row[each] for each in rollup.dimensions)): row for row in rows}
        assert len(found) == len(rows)
        assert found.keys() == groups.keys()
        for group, row in found.items():
            for each, measure in rollup.measures.items():
                made_of = row[f"tg_{each}"]
                assert agrees(measure, made_of, groups[group]), (key, group, each, made_of)


def _arrival(stream: StreamDefinition, partition: int, block: int, events: Sequence[Event]) -> dict[str, int]:
    mine = [each for each in events if (each["tg_partition"], each["tg_offset"] // BLOCK) == (partition, block)]
    return {
        "partition": partition,
        "block": block,
        "events": len(mine),
        "max_offset": max(event["tg_offset"] for event in mine),
        "max_event_ms": max(_ms(event[stream.event_time.field]) for event in mine),
        "max_raw_ms": max(_ms(event["tg_raw_at"]) for event in mine),
    }


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize("name", ["shop", "flights"])
def test_events_land_with_their_values_and_nulls(served: Served, name: str) -> None:
    stream = shipped(name)
    block = block_of(stream, served.registry, VALUES[name](2_000))
    apply.create(served.client, stream)
    served.insert(name, block.framed, "one")
    found = served.rows(f"SELECT * FROM {events_table(name)} ORDER BY tg_offset, tg_partition")  # noqa: S608
    assert found == list(block.events)
    assert any(value is None for value in found[0].values())


def test_an_event_of_before_its_table_gained_a_column_has_the_default_there(served: Served) -> None:
    stream = shipped("shop")
    [event] = block_of(stream, served.registry, shop_values(1)).events
    schema = valid_schema(stream)
    older = {**schema, "fields": [field for field in schema["fields"] if field["name"] != SOURCE_REFERENCES]}
    with await_registry(served.registry) as client:
        schema_id = register(client, "older-value", older)
    written = io.BytesIO(b"\x00" + schema_id.to_bytes(4, "big"))
    written.seek(5)
    schemaless_writer(written, parse_schema(older), event)
    apply.create(served.client, stream)
    served.insert("shop", written.getvalue(), "one")
    assert served.rows("SELECT * FROM shop_events") == [{**event, SOURCE_REFERENCES: ""}]


@pytest.mark.parametrize("name", ["shop", "flights"])
def test_a_block_counts_once_everywhere_also_after_a_kill(served: Served, name: str) -> None:
    stream = shipped(name)
    block = block_of(stream, served.registry, VALUES[name](5_000))
    apply.create(served.client, stream)
    for _ in range(2):
        served.insert(name, block.framed, "one")
    assert_counts_once(served, stream, block.events)
    served.kill()
    served.start()
    apply.create(served.client, stream)
    served.insert(name, block.framed, "one")
    assert_counts_once(served, stream, block.events)
    served.insert(name, block.framed, "another")
    assert_counts_once(served, stream, [*block.events, *block.events])


def test_a_kill_between_the_events_and_their_views_is_made_good_by_the_same_block(served: Served) -> None:
    stream = shipped("shop")
    block = block_of(stream, served.registry, shop_values(20_000))
    apply.create(served.client, stream)
    with ThreadPoolExecutor(1) as other, closing(served.new_client()) as watching:
        inserting = other.submit(served.insert, "shop", block.framed, "one")
        while not inserting.done() and not watching.command("SELECT count() FROM shop_events"):
            pass
        served.kill()
        with suppress(OperationalError):
            inserting.result(WITHIN_S)
    served.start()
    served.insert("shop", block.framed, "one")
    assert_counts_once(served, stream, block.events)


def test_the_query_of_the_console_agrees_with_plain_python(served: Served) -> None:
    stream = shipped("shop")
    block = block_of(stream, served.registry, shop_values(5_000))
    apply.create(served.client, stream)
    served.insert("shop", block.framed, "one")
    rollup = stream.rollups["sales"]
    start = int(STARTED.timestamp())
    span = {"since": start, "until": start + 5, "fresh": start + 2}
    found = served.client.query(span_query("shop", "sales", rollup), parameters=span).result_rows
    wanted = counted(stream, rollup, block.events)
    assert {(row[1], row[2]): row[4] for row in found if not row[0]} == {
        (int(second.timestamp()), region): len(events)
        for (second, region), events in wanted.items()
        if second.timestamp() >= start + 2
    }
    in_span = [len(events) for (second, _), events in wanted.items() if second.timestamp() < start + 5]
    assert [row[4] for row in found if row[0]] == [sum(in_span)]


def test_the_query_of_the_console_finds_nothing_in_an_empty_span(served: Served) -> None:
    stream = shipped("shop")
    apply.create(served.client, stream)
    span = {"since": 0, "until": 5, "fresh": 0}
    source = StreamFrames(stream, lambda sql, **_: served.client.query(sql, parameters=span).result_rows)
    frame = source.frame("sales", Arrived(1, 4_000, Marks()), full=True)
    assert frame is not None
    assert frame.totals == {"revenue": None, "orders": 0.0, "basket": None}


def test_a_time_that_no_datetime_holds_is_taken_and_does_not_pass_for_another(served: Served) -> None:
    stream = shipped("shop")
    odd = [-62_135_596_800_000, -1, 0, 4_294_967_296_000, 253_402_300_799_000, -(2**62), 2**62]
    months = [round(datetime(2000 + n // 12, n % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000) for n in range(150)]
    values = [{**value, "event_time": ms} for value, ms in zip(shop_values(200), odd + months, strict=False)]
    block = block_of(stream, served.registry, values)
    apply.create(served.client, stream)
    for _ in range(2):
        served.insert("shop", block.framed, "one")
    found = served.rows(
        "SELECT toInt64(toUnixTimestamp(second)) AS s, sum(events) AS n FROM shop_traffic_live GROUP BY s"
    )
    seconds = {row["s"]: row["n"] for row in found}
    assert (seconds[0], seconds[2**32 - 1]) == (4, 3)
    assert sum(seconds.values()) == len(values) == len(odd) + len(months)


AWKWARD = {
    "loads": Rollup(
        title="Names that SQL could take for others",
        dimensions=("country", "device"),
        where={"device": ("it's", "a\\", "') OR 1=1 --"), "quantity": (1, 2)},
        measures={
            "amount": Measure(sum="amount"),
            "page_ms": Measure(max="page_ms"),
            "countries": Measure(distinct="country"),
            "quantity": Measure(quantile="quantity", at=0.5),
            "least": Measure(min="amount"),
        },
    )
}


def test_names_and_literals_mean_what_the_definition_says(served: Served) -> None:
    stream = shipped("shop").model_copy(update={"rollups": AWKWARD})
    devices = ["it's", "a\\", "') OR 1=1 --", "phone", ""]
    values = [{**value, "device": devices[n % 5]} for n, value in enumerate(shop_values(3_000))]
    block = block_of(stream, served.registry, values)
    apply.create(served.client, stream)
    served.insert("shop", block.framed, "one")
    assert_counts_once(served, stream, block.events)


def test_applying_a_definition_again_changes_nothing(served: Served) -> None:
    stream = shipped("flights")
    described = "SELECT name, create_table_query FROM system.tables WHERE name LIKE 'flights%' ORDER BY name"
    apply.create(served.client, stream)
    before = served.rows(described)
    apply.create(served.client, stream)
    assert served.rows(described) == before
    mutations = "SELECT count() AS n FROM system.mutations"
    assert served.rows(mutations) == [{"n": 0}]


def test_a_field_that_the_schema_gained_becomes_a_column_and_a_new_retention_holds(served: Served) -> None:
    before = shipped("shop")
    apply.create(served.client, before)
    grown = {
        **before.avro_schema,
        "fields": [*before.avro_schema["fields"], {"name": "note", "type": ["null", "string"]}],
    }
    after = before.model_copy(update={"avro_schema": grown, "serving_retention": timedelta(hours=3)})
    apply.create(served.client, after)
    (table,) = served.rows("SELECT create_table_query AS q FROM system.tables WHERE name = 'shop_events'")
    assert "`note` Nullable(String)" in table["q"]
    assert "toIntervalSecond(10800)" in table["q"]


def test_a_changed_rollup_is_refused_and_nothing_is_touched(served: Served) -> None:
    stream = shipped("shop")
    apply.create(served.client, stream)
    sales = stream.rollups["sales"].model_copy(update={"where": {"event_type": ("refund",)}})
    changed = stream.model_copy(
        update={"rollups": {**stream.rollups, "sales": sales, "extra": stream.rollups["sales"]}}
    )
    with pytest.raises(ddl.ServingChangedError, match="shop_sales_live by another definition"):
        apply.create(served.client, changed)
    assert served.client.command("EXISTS shop_extra_live") == 0


def test_a_record_that_is_not_avro_fails_its_block_by_name_and_the_next_one_lands(served: Served) -> None:
    stream = shipped("shop")
    block = block_of(stream, served.registry, shop_values(100))
    apply.create(served.client, stream)
    with pytest.raises(DatabaseError, match="AvroConfluent"):
        served.insert("shop", block.framed + b"no avro", "bad")
    served.insert("shop", block.framed, "good")
    assert_counts_once(served, stream, block.events)


def test_flights_by_carrier_are_what_pandas_counts_in_the_package(served: Served) -> None:
    stream = shipped("flights")
    apply.create(served.client, stream)
    values = flight_values(400_000)
    number = 0
    while chunk := list(islice(values, 50_000)):
        number += 1
        served.insert("flights", block_of(stream, served.registry, chunk).framed, f"chunk {number}")
    counted_here = served.client.query(
        "SELECT carrier, sum(flights) FROM flights_by_carrier GROUP BY carrier"
    ).result_rows
    package = pd.read_csv(flights.source())
    assert len(package) == 336_776
    assert {carrier: int(count) for carrier, count in counted_here} == package["carrier"].value_counts().to_dict()
