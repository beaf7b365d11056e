"""Prices change while events flow: every row says by which table it was enriched, is there once, and nothing starts again."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import httpx
import pytest
from deltalake import DeltaTable

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, lake_table, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from pipeline.feed.shop import event
from pipeline.kafka import consumer, read_range, watermarks
from pipeline.producer import EventProducer
from pipeline.references.differences import rows_of
from pipeline.references.fingerprint import fingerprint_of
from pipeline.references.versions import FOLDER, table_of, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "boutique"
PARTS = ("kafka", "registry", "clickhouse", "control", "route", "lake", "live")


class Boutique:
    """A copy of the shop whose tables can be changed, on a platform, with events that keep coming."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.settings, self.stream = platform, platform.settings, load_stream(folder)
        self.products = folder / "reference" / "products.csv"
        self.sent = 0
        self._fed, self._stop = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=platform.run_until, args=(self._stop.is_set,)),
            threading.Thread(target=self._feed),
        ]
        for thread in self._threads:
            thread.start()
        self.clickhouse = clickhouse_connect.get_client(dsn=self.settings.clickhouse, autogenerate_session_id=False)

    def _feed(self) -> None:
        """A hundred events a second, all of one product, each with a number of its own."""
        kafka, registry = self.settings.kafka, self.settings.registry
        with EventProducer(self.stream, kafka, registry, transactional_id=f"test-{NAME}") as producer:
            for batch in count():
                if self._fed.wait(0.1):
                    return
                with producer.transaction() as send:
                    for number in range(batch * 10, batch * 10 + 10):
                        value = event(1, number, 0.0, datetime.now(UTC)).value
                        send({**value, "event_id": f"{number:016d}", "product_id": "p001"})
                self.sent = batch * 10 + 10

    def stop_feeding(self) -> None:
        self._fed.set()
        self._threads[1].join(10)

    def stop(self) -> None:
        self.stop_feeding()
        self._stop.set()
        self.clickhouse.close()
        self._threads[0].join(10)

    def change(self, old: str, new: str) -> None:
        self.products.write_text(self.products.read_text().replace(old, new))

    def rows(self, what: str, end: str = "") -> list[Any]:
        return list(self.clickhouse.query(f"SELECT {what} FROM {NAME}_events {end}").result_rows)  # noqa: S608

    def has(self, fingerprint: str) -> bool:
        return self.rows("count()", f"WHERE tg_references = '{fingerprint}'")[0][0] > 0

    def longest_silence_ms(self) -> int:
        """Between two valid events in a row, by the broker's clock."""
        name, client = topic(NAME, Hop.VALID), consumer(self.settings.kafka, group="test")
        ends = watermarks(client, name, range(self.stream.topics.partitions))
        found = [each for part, (low, high) in ends.items() for each in read_range(client, name, part, low, high)]
        client.close()
        return max(after - before for before, after in pairwise(sorted(each.timestamp()[1] for each in found)))

    def problems(self) -> list[str]:
        found = httpx.get(
            f"{self.settings.api}/api/v1/overview", headers=self.settings.authorization, timeout=5
        ).json()["problems"]
        return [each["reason"] for each in found if each["subject"] == f"reference tables of {NAME}"]


@pytest.fixture(scope="module")
def boutique(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boutique]:
    streams = tmp_path_factory.mktemp("streams")
    shutil.copytree(SHIPPED_STREAMS / "shop", streams / NAME)
    environment = {"TIDEGATE_STREAMS": str(streams)}
    data = tmp_path_factory.mktemp("platform")
    with Platform(data, only=PARTS, environment=environment, told=lambda _: None) as platform:
        platform.start()
        one = Boutique(platform, streams / NAME)
        yield one
        one.stop()


def test_a_new_price_is_taken_while_events_flow(boutique: Boutique, eventually: Callable[..., Any]) -> None:
    pids = {part: boutique.platform.pid(part) for part in PARTS}
    first = fingerprint_of(boutique.stream)
    eventually(lambda: boutique.has(first), "an event enriched by the first tables")

    boutique.change("p002", "p001")
    [refused] = eventually(boutique.problems, "a refusal on the console")
    assert "('p001',) is there twice" in refused
    boutique.products.write_text((SHIPPED_STREAMS / "shop" / "reference" / "products.csv").read_text())
    eventually(lambda: not boutique.problems(), "the refusal is over")

    boutique.change("46.99", "cheap")
    [refused] = eventually(boutique.problems, "a refusal by the registry")
    assert "the registry refuses their columns" in refused
    boutique.change("cheap", "47.99")
    second = fingerprint_of(boutique.stream)
    eventually(lambda: boutique.has(second), "an event enriched by the second tables")
    boutique.change("47.99", "48.99")
    third = fingerprint_of(boutique.stream)
    eventually(lambda: boutique.has(third), "an event enriched by the third tables")

    boutique.stop_feeding()
    sent = boutique.sent
    eventually(lambda: boutique.rows("count()")[0][0] >= sent, "every event in ClickHouse")
    rows = boutique.rows("tg_partition, tg_references, price, event_id", "ORDER BY tg_partition, tg_offset")
    assert sorted(int(row[3]) for row in rows) == list(range(sent)), "each event once"
    assert {row[1:3] for row in rows} == {(first, 46.99), (second, 47.99), (third, 48.99)}
    for partition in {row[0] for row in rows}:
        in_order = list(dict.fromkeys(row[1] for row in rows if row[0] == partition))
        turns = sum(a[1] != b[1] for a, b in pairwise(rows) if a[0] == b[0] == partition)
        assert (in_order, turns) == ([each for each in (first, second, third) if each in in_order], len(in_order) - 1)
    assert {part: boutique.platform.pid(part) for part in PARTS} == pids, "no process has started again"

    assert boutique.longest_silence_ms() < 10_000

    root = boutique.settings.data / FOLDER
    kept = versions(root, NAME)
    assert [each.fingerprint for each in kept] == [first, second, third]
    prices = [
        {row["product_id"]: row["price"] for row in rows_of(table_of(root, NAME, each, "products"))} for each in kept
    ]
    assert [each["p001"] for each in prices] == ["46.99", "47.99", "48.99"]
    eventually(lambda: _in_lake(boutique) == {tuple(row[1:]) for row in rows}, "the same rows in the lake")


def _in_lake(boutique: Boutique) -> set[tuple[Any, ...]]:
    table = DeltaTable(lake_table(boutique.settings.lake_root, NAME))
    columns = ["tg_references", "price", "event_id"]
    return {tuple(row.values()) for row in table.to_pyarrow_table(columns=columns).to_pylist()}
