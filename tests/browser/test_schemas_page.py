"""The schemas page in Chromium, over an API in this process with a registry in memory: versions, who is on them, a refusal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.facts import FACTS, SchemaRead, SchemaSeen
from controlplane.contract.names import Hop
from controlplane.contract.streams import Compatibility
from controlplane.contract.valid import valid_schema
from controlplane.service.api import create_api
from controlplane.service.registry import FakeRegistry, RegistryAwayError
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served

if TYPE_CHECKING:
    from controlplane.contract.facts import Fact
    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_WITHIN_MS = 20_000
_says = partial(says, within_ms=_WITHIN_MS)
NOTE = {"name": "note", "type": ["null", "string"], "default": None}


def seen(producer: str | None, schema_id: int, ago_s: float, sampled: int) -> SchemaSeen:
    now = datetime.now(UTC)
    return SchemaSeen(
        at=now,
        stream="shop",
        producer=producer,
        schema_id=schema_id,
        sampled=sampled,
        of=500,
        seen_at=now - timedelta(seconds=ago_s),
    )


def facts() -> list[Fact]:
    now = datetime.now(UTC)
    route = SchemaRead(at=now, stream="shop", reader="route", hop=Hop.RAW, schema_ids=(1, 3), writes=2)
    lake = SchemaRead(at=now, stream="shop", reader="lake", hop=Hop.VALID, schema_ids=(2,))
    old = now - timedelta(minutes=5)
    live = SchemaRead(at=old, stream="shop", reader="live", hop=Hop.VALID, schema_ids=(2,))
    producers = seen("checkout-2", 3, 1, 420), seen("checkout-1", 1, 400, 0), seen(None, 1, 2, 80), seen("x", 99, 1, 1)
    return [*producers, route, lake, live]


def versions(shop: StreamDefinition) -> tuple[FakeRegistry, dict[str, Any]]:
    registry = FakeRegistry({"shop.raw-value": Compatibility.BACKWARD})
    first = shop.avro_schema
    fields = [{**each, "type": "long"} if each["type"] == "int" else each for each in first["fields"]]
    second = {**first, "fields": [*fields, NOTE]}
    for name, avro in (("shop.raw-value", first), ("shop.valid-value", valid_schema(shop)), ("shop.raw-value", second)):
        registry.register(name, avro)
    return registry, second


def test_the_schemas_page_says_who_is_on_which_version_and_why_a_schema_is_refused(
    shop: StreamDefinition, who: Signed
) -> None:
    registry, second = versions(shop)
    api, console = free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    flights = shop.model_copy(update={"name": "flights", "title": "Flights"})
    service = Service([shop, flights], lambda *_, **__: [], address, 0.1, None, registry)
    with (
        served(create_app(ConsoleData({"shop": shop, "flights": flights}, api)).server, console),
        served(create_api(service, access=who.access), api),
        opened_console(f"{address}/", who.cookie) as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        url = f"http://127.0.0.1:{api}/api/v1/facts"
        httpx.post(url, content=FACTS.dump_json(facts()), headers=who.headers).raise_for_status()
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        page.wait_for_selector('.nav a[href="/schemas"]', timeout=_WITHIN_MS)
        page.keyboard.press("g")
        page.keyboard.press("s")
        shows_versions(page)
        refuses_registers(page, second, registry)
        says_what_no_column_holds(page, second)
        a_link_opens_what_was_pasted(page)
        registry.away = RegistryAwayError("the schema registry at x does not answer: refused")
        _says(page, '[data-schemas-reason="shop"]', "Unknown: the schema registry at x does not answer: refused")
        assert page.text_content('[data-schemas-mode="shop"]') == "unknown"
        assert complaints == []


def shows_versions(page: Any) -> None:
    newest, first = (f'#schemas-shop [data-schemas-versions] [data-version="{version}"]' for version in (2, 1))
    _says(page, newest, "Version 2", "id 3", "note is added as null or string, with the default null", "widened")
    _says(page, newest, "checkout-2 84 %", "route")
    _says(page, first, "The first:", "checkout-1 last seen 7 min ago", "without a name 16 %", "route")
    _says(page, "#schemas-shop .strangers", "x writes id 99, which is no version")
    _says(page, '[data-schemas-valid="shop"]', "written by", "route", "lake", "live last heard 5 min ago")
    _says(page, '[data-schemas-mode="shop"]', "backward")
    _says(page, '[data-schemas-age="shop"]', "as it was", " s ago")
    assert page.get_attribute(f"{newest} .copy", "data-copies") == "tidegate schema diff shop 1 2"
    _says(page, '[data-schemas-reason="flights"]', "No version yet")


def refuses_registers(page: Any, second: dict[str, Any], registry: FakeRegistry) -> None:
    page.click("#schemas-shop .candidate summary")
    page.click('[data-schemas-ask="fill"][data-stream="shop"]')
    assert json.loads(page.input_value('[data-schemas-text="shop"]')) == second
    judged = '[data-schemas-judged="shop"]'
    for button in ("check", "register"):
        page.fill('[data-schemas-text="shop"]', json.dumps(with_field(second, {"name": "x", "type": "int"})))
        page.click(f'[data-schemas-ask="{button}"][data-stream="shop"]')
        _says(page, judged, "Refused by shop.raw-value (backward)", "x is added as int, without a default", "default")
        _says(page, judged, "The registry says", "it gives no reason")
        page.evaluate(f"document.querySelector({judged!r}).replaceChildren()")
    page.fill('[data-schemas-text="shop"]', "{")
    page.click('[data-schemas-ask="check"][data-stream="shop"]')
    _says(page, judged, "This can't be read", "this is not JSON")
    page.fill('[data-schemas-text="shop"]', json.dumps(with_field(second, {"name": "x", "type": "int", "default": 0})))
    page.click('[data-schemas-ask="register"][data-stream="shop"]')
    _says(page, judged, "Would be accepted by shop.raw-value", "x is added as int, with the default 0")
    assert len(registry.versions("shop.raw-value")) == 2
    _says(page, '[data-schemas-ask="register"][data-stream="shop"]', "Yes, register it")
    page.click('[data-schemas-ask="register"][data-stream="shop"]')
    _says(page, judged, "Registered with id 4")
    _says(page, '#schemas-shop [data-version="3"]', "Version 3", "id 4", "nobody yet", "none seen in the sample")
    _says(page, '[data-schemas-ask="register"][data-stream="shop"]', "Register")


def says_what_no_column_holds(page: Any, second: dict[str, Any]) -> None:
    judged, why = '[data-schemas-judged="shop"]', "field 'as_of' is the name of a column that is there already"
    page.fill(
        '[data-schemas-text="shop"]', json.dumps(with_field(second, {"name": "as_of", "type": "int", "default": 0}))
    )
    page.click('[data-schemas-ask="register"][data-stream="shop"]')
    _says(page, judged, "Would be accepted", "Tidegate would not take in all of it", why)
    page.click('[data-schemas-ask="register"][data-stream="shop"]')
    _says(page, '#schemas-shop [data-version="4"] .left-out', "Tidegate does not take in all of it", why)


def a_link_opens_what_was_pasted(page: Any) -> None:
    text = '[data-schemas-text="shop"]'
    before = page.input_value(text)
    page.reload()
    page.wait_for_function(
        "before => document.querySelector('[data-schemas-text=\"shop\"]')?.value === before", arg=before
    )
    assert page.is_visible(text)
    page.fill(text, before + " " * 6000)
    _says(page, "#schemas-shop .candidate", "too long for an address")
    assert "shop.next" not in page.url
    page.fill(text, before)
    page.wait_for_function("!document.querySelector('.too-long')")


def with_field(avro: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    return {**avro, "fields": [*avro["fields"], field]}
