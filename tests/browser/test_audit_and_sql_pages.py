"""The Audit and SQL pages in Chromium, over a record in SQLite and the worker's own answers about a lake in a folder."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from fastapi import FastAPI

from controlplane.contract.settings import Settings
from controlplane.service.api import create_api
from controlplane.service.audit.kept import Kept, kept_in
from controlplane.service.database import create_all, engine_of
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served
from load_tests.bench.signed import signed
from pipeline.sql.serve import router

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

_WITHIN_MS = 20_000
_says = partial(says, within_ms=_WITHIN_MS)
_MARKUP = "<b id=injected>x</b>"


def _record(folder: Path) -> Kept:
    engine = engine_of(f"sqlite:///{folder / 'control.sqlite'}")
    create_all(engine)
    kept = kept_in(engine, None)
    for number in range(120):
        kept.log.record("ann", "session", "scaling.scale", f"lake-{number}", details={"asked": {"executors": number}})
    kept.log.record("bob", "token", "operation.confirm", "op-1", stream="shop", outcome="refused", reason=_MARKUP)
    return kept


@contextmanager
def desk(shop: StreamDefinition, folder: Path) -> Iterator[tuple[Any, Kept]]:
    """A console that is open; its record has 121 entries, its lake three versions of `shop.events`."""
    settings = Settings(data=folder, clickhouse="http://127.0.0.1:1")
    events = str(folder / "lake" / "shop" / "events")
    for number in range(3):
        rows = {"user": [f"u-{number}", _MARKUP], "price": [number + 0.5, None], "seen": [2**60, number]}
        write_deltalake(events, pa.table(rows), mode="append")
    kept = _record(folder)
    worker = FastAPI()
    worker.include_router(router(settings))
    api, console, work = free_port(), free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    service = Service([shop], lambda *_, **__: [], address, 0.1, record=kept)
    who = signed(folder)
    with (
        served(create_app(ConsoleData({"shop": shop}, api)).server, console),
        served(create_api(service, {"sql": f"http://127.0.0.1:{work}"}, access=who.access), api),
        served(worker, work),
        opened_console(address, who.cookie) as page,
    ):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        yield page, kept


@pytest.fixture(scope="module")
def opened(shop: StreamDefinition, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Kept, Path]]:
    folder = tmp_path_factory.mktemp("data")
    with desk(shop, folder) as (page, kept):
        yield page, kept, folder


def _go(page: Any, key: str, place: str) -> None:
    page.wait_for_selector(f'.nav a[href="{place}"]', timeout=_WITHIN_MS)
    page.keyboard.press("g")
    page.keyboard.press(key)


def _entries(page: Any, count: int) -> None:
    page.wait_for_function(f"window.tidegate.grid.count('audit') === {count}", timeout=_WITHIN_MS)


def test_entries_are_shown_the_newest_first_filtered_paged_and_one_whole(
    opened: tuple[Any, Kept, Path], looked_at: Any
) -> None:
    page, kept, _ = opened
    _go(page, "r", "/audit")
    _entries(page, 100)
    _says(
        page, ".record-entries [row-index='0']", "121", "bob (token)", "operation.confirm", "shop", "refused", _MARKUP
    )
    page.click("[data-record-more]")
    _entries(page, 121)
    page.fill('[data-record-field="text"]', "op-1")
    _entries(page, 1)
    assert "text=op-1" in page.url
    assert page.get_attribute('[data-record-cli="ls"] button', "data-copies") == "tidegate audit ls --text op-1"
    page.press(".record-entries [row-index='0'] [col-id='seq']", "Enter")
    _says(page, "[data-record-entry]", "Entry 121", *(each.hash for each in kept.log.after(119)))
    page.reload()
    _says(page, "[data-record-entry]", "Entry 121", _MARKUP)
    _entries(page, 1)
    page.click(".grid-columns summary")
    looked_at(page, "audit")
    page.uncheck(".grid-list label:has-text('stream') input")
    page.wait_for_selector(".record-entries [col-id='stream']", state="detached", timeout=_WITHIN_MS)
    page.select_option('[data-record-field="outcome"]', "ok")
    _says(page, "[data-record-said]", "No entry fits; the newest of all is", "old")
    assert page.query_selector("#injected") is None


def test_the_chain_is_said_to_hold_until_somebody_changes_an_entry(opened: tuple[Any, Kept, Path]) -> None:
    page, _, folder = opened
    _go(page, "r", "/audit")
    _says(page, "[data-record-verdict]", "holds")
    _says(page, "[data-record-chain]", "121 entries, not held against Kafka", "exported nowhere")
    with sqlite3.connect(folder / "control.sqlite") as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET actor = 'eve' WHERE seq = 7")
    page.click("[data-record-verify]")
    _says(page, "[data-record-verdict]", "changed")
    _says(page, "[data-record-chain]", "entry 7 was changed", "The 6 entries before it are right")


def test_a_query_of_the_lake_is_answered_linked_to_and_kept(opened: tuple[Any, Kept, Path], looked_at: Any) -> None:
    page, _, _ = opened
    _go(page, "e", "/sql")
    page.click('[data-sql-engine="lake"]')
    _says(page, "[data-sql-tables]", "shop.events")
    _says(page, "[data-sql-limits]", "20 s", "768 MiB of memory")
    page.fill(
        "#sql-text", 'SELECT "user", price, seen FROM shop.events WHERE seen > 5 OR price IS NULL ORDER BY seen DESC'
    )
    page.fill('[data-sql-field="as_of"]', "shop.events=1")
    page.press("#sql-text", "Control+Enter")
    _says(page, "[data-sql-answer]", "u-0", _MARKUP, "null", "1152921504606846976")
    _says(page, "[data-sql-said]", "4 rows", "shop.events at version 1", "rows read: unknown")
    _says(page, "[data-sql-history]", 'SELECT "user"', "lake", "4 rows")
    copied = page.get_attribute("[data-sql-cli] button", "data-copies")
    assert copied.startswith('tidegate sql \'SELECT "user"')
    assert copied.endswith("--engine lake --as-of shop.events=1")
    page.reload()
    page.wait_for_selector("#sql-text", timeout=_WITHIN_MS)
    assert page.input_value("#sql-text").startswith('SELECT "user"')
    assert page.query_selector("#injected") is None


def test_a_statement_that_writes_is_refused_on_the_page_and_on_the_record(opened: tuple[Any, Kept, Path]) -> None:
    page, kept, _ = opened
    _go(page, "e", "/sql")
    page.wait_for_selector("#sql-text", timeout=_WITHIN_MS)
    page.fill("#sql-text", "DROP TABLE shop_events")
    page.press("#sql-text", "Control+Enter")
    _says(page, "[data-sql-said]", "DROP is refused: here a statement only reads")
    _says(page, "[data-sql-history]", "DROP TABLE shop_events", "refused")
    page.click('[data-sql-engine="clickhouse"]')
    _says(page, "[data-sql-tables]", "ClickHouse does not answer")
    newest = kept.log.after(kept.log.last()[0] - 1)[0]
    assert (newest.action, newest.outcome, newest.details["asked"]) == (
        "query.run",
        "refused",
        {"engine": "clickhouse", "sql": "DROP TABLE shop_events", "limit": 1000},
    )
