"""The ledger page and what is wrong now, in Chromium, over an API in this process: facts are posted, ClickHouse is away."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import httpx

from controlplane.contract.facts import (
    FACTS,
    LedgerPartition,
    LedgerRecord,
    LedgerTaken,
    Mismatch,
    MismatchKind,
    PartChanged,
    PartState,
    Verdict,
)
from controlplane.contract.names import Hop
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.facts import Fact
    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_WITHIN_MS = 15_000
_NOTE_CONNECTION = """() => {
  const box = document.getElementById("connection-text");
  window.connectionSaid = [];
  new MutationObserver(() => window.connectionSaid.push(box.textContent)).observe(box, { childList: true });
}"""
_says = partial(says, within_ms=_WITHIN_MS)


def _away(sql: str, **parameters: int) -> Sequence[tuple[object, ...]]:
    raise OSError("ClickHouse does not answer: refused")


def _account(stream: str, verdict: Verdict, *mismatches: Mismatch, serving: int | None = 8) -> LedgerTaken:
    partition = LedgerPartition(
        partition=0, raw_from=0, raw_until=12, produced=10, valid=8, dead=1, quarantined=1, lake=8, serving=serving
    )
    return LedgerTaken(
        at=datetime.now(UTC),
        stream=stream,
        partitions=(partition,),
        verdict=verdict,
        reason="missing: 3 in serving" if mismatches else "as counted",
        mismatches=mismatches,
    )


def _missing() -> Mismatch:
    record = LedgerRecord(
        offset=120_004,
        at=datetime.now(UTC),
        key="u-7",
        found={Hop.VALID: 1, Hop.LAKE: 1, Hop.SERVING: 0},
        payload='{"kind": "<b>view</b>"}',
        is_decoded=True,
    )
    return Mismatch(
        partition=2,
        hop=Hop.SERVING,
        kind=MismatchKind.MISSING,
        start=120_004,
        until=120_102,
        events=3,
        records=(record,),
    )


def _report(port: int, who: Signed, *facts: Fact) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/facts"
    httpx.post(url, content=FACTS.dump_json(list(facts)), headers=who.headers).raise_for_status()


def test_the_ledger_page_says_what_is_missing_and_the_banner_what_is_wrong(shop: StreamDefinition, who: Signed) -> None:
    flights = shop.model_copy(update={"name": "flights", "title": "Flights"})
    api, console = free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    service = Service([shop, flights], _away, address, 0.1)
    with (
        served(create_app(ConsoleData({"shop": shop, "flights": flights}, api)).server, console),
        opened_console("about:blank", who.cookie) as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        with served(create_api(service, access=who.access), api):
            page.goto(f"{address}/ledger")
            page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
            well = PartChanged(at=datetime.now(UTC), part="lake", state=PartState.RUNNING)
            _report(
                api, who, well, _account("shop", Verdict.UNBALANCED, _missing()), _account("flights", Verdict.BALANCED)
            )
            _says(page, '[data-ledger="shop"] .mismatch', "3 events missing in serving", "offsets 120,004-120,101")
            _says(page, ".records", "u-7", "valid 1", "serving 0", '{"kind": "<b>view</b>"}')
            _says(page, '[data-ledger-reason="flights"]', "All 10 events add up")
            assert page.get_attribute(".mismatch .copy", "data-copies") == "tidegate ledger --stream shop -o json"
            assert page.locator('[data-ledger-history="shop"] i').count() == 360
            assert page.locator('[data-ledger-history="shop"] i:not([data-state=gap])').count() in {1, 2}
            _says(page, "#banner", "ledger of shop", "does not add up")
            _report(api, who, PartChanged(at=datetime.now(UTC), part="lake", state=PartState.HELD, reason="died"))
            _report(api, who, _account("shop", Verdict.BALANCED, serving=None), _account("flights", Verdict.BALANCED))
            _says(page, "#banner li:first-child", "part lake", "is held", "died")
            _says(page, '[data-ledger-table="shop"]', "serving unknown")
            page.keyboard.press("g")
            page.keyboard.press("o")
            _says(page, "#parts", "held", "died")
            page.evaluate(_NOTE_CONNECTION)
        _says(page, "#connection-text", "offline for ")
        page.wait_for_function("document.body.classList.contains('is-stale')", timeout=_WITHIN_MS)
        _says(page, "#banner", "does not answer since", "what you see is of then")
        with served(create_api(service, access=who.access), api):
            page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
            page.wait_for_function(
                "!document.getElementById('banner').textContent.includes('what you see is of then')", timeout=_WITHIN_MS
            )
            page.wait_for_function("!document.body.classList.contains('is-stale')", timeout=_WITHIN_MS)
        said = page.evaluate("window.connectionSaid")
        assert any(each.startswith("resuming, offline for ") for each in said), said
        assert complaints == []
