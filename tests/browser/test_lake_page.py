"""The lake page in Chromium, over an API in this process: facts are posted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.facts import (
    FACTS,
    Extent,
    MaintenancePlanned,
    MaintenanceRan,
    MaintenanceStage,
    TableMeasured,
    WindowsClosed,
)
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)


def _away(sql: str, **parameters: int) -> Sequence[tuple[object, ...]]:
    raise OSError("ClickHouse does not answer: refused")


def _facts() -> list[Any]:
    at = datetime.now(UTC)
    measured = {"at": at, "stream": "shop", "version": 1008, "versions": 1009, "partitions": 7, "committed_at": at}
    ran = {"at": at - timedelta(minutes=9), "run": "a1", "stream": "shop", "took_s": 12.3}
    return [
        TableMeasured(**measured, table="events", files=1008, bytes=123_456_789, small_files=1008),
        TableMeasured(at=at, stream="shop", table="entity_visitor", reason="is not there yet"),
        TableMeasured(**measured, table="rollup_traffic", files=12, bytes=2_345_678, small_files=12),
        WindowsClosed(
            at=at,
            stream="shop",
            table="rollup_traffic",
            version=3,
            rows=5,
            horizon=datetime(2026, 3, 8, 12, 5, tzinfo=UTC),
            corrected=False,
            took_s=1,
        ),
        MaintenanceRan(
            **ran,
            subject="events",
            stage=MaintenanceStage.COMPACT,
            what="event_date=2026-03-07: 144 small files of 17.0 MiB to about 1",
            before=Extent(files=144, bytes=17_825_792),
            after=Extent(files=1, bytes=15_000_000),
        ),
        MaintenanceRan(
            **ran, subject="rollup_sales", stage=MaintenanceStage.VACUUM, what="delete 20 files", error="disk full"
        ),
        MaintenancePlanned(at=at, stream="shop", next_at=at + timedelta(minutes=51), looked_at=at, due=2),
    ]


def test_the_lake_page_shows_tables_and_what_maintenance_did(shop: StreamDefinition, who: Signed) -> None:
    api, console = free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    service = Service([shop], _away, address, 0.1)
    with (
        served(create_app(ConsoleData({"shop": shop}, api)).server, console),
        served(create_api(service, access=who.access), api),
        opened_console("about:blank", who.cookie) as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        page.wait_for_selector('.nav a[href="/lake"]', timeout=_WITHIN_MS)
        page.keyboard.press("g")
        page.keyboard.press("k")
        _says(page, '[data-lake-reason="shop"]', "has not reported yet")
        url = f"http://127.0.0.1:{api}/api/v1/facts"
        httpx.post(url, content=FACTS.dump_json(_facts()), headers=who.headers).raise_for_status()
        _says(
            page, '[data-lake-tables="shop"]', "events", "1,008", "117.7 MiB", "2026-03-08 12:05", "compact, 9 min ago"
        )
        _says(page, '[data-lake-tables="shop"] tr:nth-child(2)', "entity_visitor", "unknown")
        _says(page, '[data-lake-next="shop"]', "in 5")
        _says(page, '[data-lake-runs="all"]', "144", "14.3 MiB", "12 s", "failed: disk full")
        assert complaints == []
