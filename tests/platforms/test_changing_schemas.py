"""Two new schema versions while events flow: every event is everywhere once, with its new fields, and nothing starts again."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, lake_entity, lake_table, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from pipeline.feed.shop import event
from pipeline.kafka import consumer, read_range, watermarks
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Schema = dict[str, Any]

NAME = "stall"
PARTS = ("kafka", "registry", "clickhouse", "control", "route", "lake", "live")
COLUMNS = ("event_id", "channel", "event_type", "device", "quantity")


def second(schema: Schema) -> Schema:
    """A field is added, a number is widened."""
    fields = [{**each, "type": "long"} if each["name"] == "quantity" else each for each in schema["fields"]]
    return {**schema, "fields": [*fields, {"name": "channel", "type": "string", "default": "web"}]}


def third(schema: Schema) -> Schema:
    """A symbol is added, a union is widened by null, another field is removed."""
    fields = {each["name"]: each for each in second(schema)["fields"] if each["name"] != "session_id"}
    kind = fields["event_type"]["type"]
    fields["event_type"] = {**fields["event_type"], "type": {**kind, "symbols": [*kind["symbols"], "wish"]}}
    fields["device"] = {"name": "device", "type": ["null", "string"], "default": None}
    return {**schema, "fields": list(fields.values())}


class Feeding:
    """A producer of one version on a thread of its own: fifty events a second, each with a number of its own."""

    def __init__(self, stall: Stall, first: int, schema: Schema, **more: Any) -> None:
        self.first, self.sent, self._more = first, 0, more
        stream = stall.stream.model_copy(update={"avro_schema": schema})
        kafka, registry = stall.settings.kafka, stall.settings.registry
        self._producer = EventProducer(stream, kafka, registry, transactional_id=f"test-{NAME}-{first}")
        self._names = {each["name"] for each in schema["fields"]}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self) -> None:
        with self._producer:
            for batch in count():
                with self._producer.transaction() as send:
                    for number in range(self.first + batch * 10, self.first + batch * 10 + 10):
                        value = {**event(1, number, 0.0, datetime.now(UTC)).value, **self._more}
                        value = {name: each for name, each in value.items() if name in self._names}
                        send({**value, "event_id": f"{number:016d}"})
                self.sent = batch * 10 + 10
                if self._done.wait(0.2):
                    return

    def stop(self) -> None:
        self._done.set()
        self._thread.join(30)

    def numbers(self) -> range:
        return range(self.first, self.first + self.sent)


class Stall:
    """A copy of the shop on a platform of its own."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.settings, self.stream = platform, platform.settings, load_stream(folder)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=platform.run_until, args=(self._stop.is_set,))
        self._thread.start()
        self.clickhouse = clickhouse_connect.get_client(dsn=self.settings.clickhouse, autogenerate_session_id=False)
        self.feeds: list[Feeding] = []

    def feed(self, schema: Schema, **more: Any) -> None:
        self.feeds.append(Feeding(self, len(self.feeds) * 10**6, schema, **more))

    def stop(self) -> None:
        for each in self.feeds:
            each.stop()
        self._stop.set()
        self.clickhouse.close()
        self._thread.join(10)

    def rows(self, what: str, end: str = "") -> list[Any]:
        return list(self.clickhouse.query(f"SELECT {what} FROM {NAME}_events {end}").result_rows)  # noqa: S608

    def has(self, feed: int) -> bool:
        """Is an event of a producer in ClickHouse?"""
        since, until = f"{feed * 10**6:016d}", f"{(feed + 1) * 10**6:016d}"
        return self.rows("count()", f"WHERE event_id >= '{since}' AND event_id < '{until}'")[0][0] > 0

    def ends(self, hop: Hop) -> dict[int, tuple[int, int]]:
        client = consumer(self.settings.kafka, group="test")
        found = watermarks(client, topic(NAME, hop), range(self.stream.topics.partitions))
        client.close()
        return found

    def longest_silence_ms(self) -> int:
        """Between two valid events in a row, by the broker's clock."""
        client = consumer(self.settings.kafka, group="test")
        found = [
            each
            for part, (low, high) in self.ends(Hop.VALID).items()
            for each in read_range(client, topic(NAME, Hop.VALID), part, low, high)
        ]
        client.close()
        return max(after - before for before, after in pairwise(sorted(each.timestamp()[1] for each in found)))

    def delta(self, table: str = "events") -> list[tuple[Any, ...]]:
        """Rows of a table; none while it is not there, or lacks a column of a version that lake has not met yet."""
        try:
            found = DeltaTable(lake_table(self.settings.lake_root, NAME, table))
        except TableNotFoundError:
            return []
        if not set(COLUMNS) <= {each.name for each in found.schema().fields}:
            return []
        return [tuple(row.values()) for row in found.to_pyarrow_table(columns=list(COLUMNS)).to_pylist()]


@pytest.fixture(scope="module")
def stall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stall]:
    streams = tmp_path_factory.mktemp("streams")
    shutil.copytree(SHIPPED_STREAMS / "shop", streams / NAME)
    environment = {"TIDEGATE_STREAMS": str(streams), "TIDEGATE_LAKE_TRIGGER": "2s"}
    with Platform(
        tmp_path_factory.mktemp("platform"), only=PARTS, environment=environment, told=lambda _: None
    ) as platform:
        platform.start()
        one = Stall(platform, streams / NAME)
        yield one
        one.stop()


def test_two_new_versions_are_taken_while_old_and_new_producers_send(
    stall: Stall, eventually: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    pids = {part: stall.platform.pid(part) for part in PARTS}
    first = stall.stream.avro_schema
    stall.feed(first)
    eventually(lambda: stall.has(0), "an event of the first version")
    stall.feed(second(first), channel="app")
    eventually(lambda: stall.has(1), "an event of the second version")
    stall.feed(third(first), channel="kiosk", event_type="wish", device=None)
    eventually(lambda: stall.has(2), "an event of the third version")
    for each in stall.feeds:
        each.stop()

    numbers = [number for each in stall.feeds for number in each.numbers()]
    eventually(lambda: stall.rows("count()")[0][0] >= len(numbers), "every event in ClickHouse")
    rows = stall.rows(", ".join(COLUMNS))
    assert sorted(int(row[0]) for row in rows) == numbers, "each event once"
    new = {(int(row[0]) // 10**6, row[1]) for row in rows}
    assert new == {(0, None), (1, "app"), (2, "kiosk")}
    assert {row[2:4] for row in rows if row[1] == "kiosk"} == {("wish", None)}
    assert all(row[2] != "wish" and row[3] is not None for row in rows if row[1] != "kiosk")
    assert stall.rows("DISTINCT toTypeName(quantity), toTypeName(session_id)") == [("Int64", "Nullable(String)")]

    eventually(lambda: len(stall.delta()) >= len(numbers), "every event in Delta")
    assert sorted(stall.delta(), key=str) == sorted(rows, key=str)
    turned_away = {hop: sum(high - low for low, high in stall.ends(hop).values()) for hop in (Hop.DEAD, Hop.QUARANTINE)}
    assert turned_away == {Hop.DEAD: 0, Hop.QUARANTINE: 0}
    eventually(
        lambda: {"app", "kiosk"} <= {row[1] for row in stall.delta(lake_entity("visitor"))}, "the entity follows"
    )
    assert {part: stall.platform.pid(part) for part in PARTS} == pids, "no process has started again"

    silence_ms = stall.longest_silence_ms()
    record_property("longest_silence_ms", silence_ms)
    print(f"longest silence: {silence_ms} ms")  # noqa: T201 (what was measured)
    assert silence_ms < 10_000
