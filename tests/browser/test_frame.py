"""What is around every page, in Chromium: whether all is well; stream, range, palette, news, theme, a phone's menu."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from controlplane.contract.facts import HopMeasured, LedgerPartition, LedgerTaken, PartChanged, PartState, Verdict
from controlplane.contract.names import Hop
from dash_app.pages.places import PLACES
from load_tests.bench.browser import says

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_DARK = "rgb(14, 20, 25)"
_FIRST_PAINTED = """
document.addEventListener("DOMContentLoaded", () => {
  window.firstPainted = [document.scripts.length, getComputedStyle(document.body).backgroundColor];
});
"""


def _account(verdict: Verdict) -> LedgerTaken:
    partition = LedgerPartition(
        partition=0, raw_from=0, raw_until=10, produced=8, valid=8, dead=0, quarantined=0, lake=8, serving=8
    )
    return LedgerTaken(
        at=datetime.now(UTC), stream="shop", partitions=(partition,), verdict=verdict, reason="as counted"
    )


def _hops() -> list[HopMeasured]:
    now = datetime.now(UTC)
    return [
        HopMeasured(at=now, stream="shop", hop=hop, events=8, events_per_s=0, lag_s=0, newest_at=now) for hop in Hop
    ]


def _part(state: PartState) -> PartChanged:
    return PartChanged(at=datetime.now(UTC), part="lake", state=state, reason="died")


def test_around_every_page(opened: Callable[..., Any], looked_at: Callable[[Any, str], None], tmp_path: Path) -> None:
    with opened(lambda *_, **__: []) as console:
        page = console.page
        _is_everywhere(page)
        _says_whether_all_is_well(console, looked_at, tmp_path)
        _folds_again_once_the_mouse_has_left(page)
        _keeps_the_page_for_another_stream(page, console.address)
        _shows_one_time_on_all_pages_with_history(page, console.address)
        _finds_by_name(page)
        _opens_what_the_address_says(page, console.address)
        _tells_news(console)
        _is_dark_at_once(page, console.address)
        _is_a_drawer_on_a_phone(page)
        assert console.complaints == []


def _is_everywhere(page: Any) -> None:
    for place in PLACES:
        page.keyboard.press("g")
        page.keyboard.press(place.key)
        page.wait_for_function(f"document.title.startsWith({place.name!r})", timeout=_WITHIN_MS)
        assert page.locator('.nav [aria-current="page"]').all_inner_texts()[0].startswith(place.name)
    page.keyboard.press("g")
    page.keyboard.press("o")


def _says_whether_all_is_well(console: Any, looked_at: Callable[[Any, str], None], tmp_path: Path) -> None:
    page = console.page
    _says(page, "#health", "Unknown", "the ledger of shop")
    console.report(_part(PartState.RUNNING), _account(Verdict.BALANCED))
    _says(page, "#health", "Unknown", "shop.raw: ")
    console.report(*_hops())
    _says(page, "#health-said", "All is well")
    _says(page, "#overview-said", "All is well: every event of 1 stream is accounted for")
    console.report(_part(PartState.HELD))
    _says(page, "#health-said", "1 problem")
    _says(page, "#overview-said", "1 problem: part lake is held")
    _says(page, '[data-pipe="shop/lake"].is-worst', "worst")
    page.screenshot(path=str(tmp_path / "frame.png"))
    page.keyboard.press("/")
    page.keyboard.type("copy as cli tidegate")
    page.wait_for_selector("#palette [data-copies='tidegate ledger']", timeout=_WITHIN_MS)
    looked_at(page, "frame-palette")
    page.keyboard.press("Escape")
    console.report(_part(PartState.RUNNING), _account(Verdict.BALANCED), *_hops())
    _says(page, "#health-said", "All is well")


def _folds_again_once_the_mouse_has_left(page: Any) -> None:
    """Also when it was left by a click in it, which would cover what is beside; by the keyboard it stays open."""
    is_wide = "document.getElementById('nav').offsetWidth > 150"
    page.click('.nav a[href="/lake"]')
    page.wait_for_function(is_wide, timeout=_WITHIN_MS)
    page.mouse.move(800, 400)
    page.wait_for_function(f"!({is_wide})", timeout=_WITHIN_MS)
    page.keyboard.press("Tab")
    page.wait_for_function(is_wide, timeout=_WITHIN_MS)
    page.evaluate("document.activeElement.blur()")


def _keeps_the_page_for_another_stream(page: Any, address: str) -> None:
    page.goto(f"{address}/quality?range=24h")
    page.wait_for_selector("#stream", timeout=_WITHIN_MS)
    page.select_option("#stream", "shop")
    page.wait_for_url(f"{address}/quality/shop?range=24h", timeout=_WITHIN_MS)
    page.go_back()
    page.wait_for_url(f"{address}/quality?range=24h", timeout=_WITHIN_MS)
    page.wait_for_function("document.getElementById('stream').value === ''", timeout=_WITHIN_MS)


def _shows_one_time_on_all_pages_with_history(page: Any, address: str) -> None:
    with page.expect_request(lambda request: "gates/shop/history?hours=1&until=2026-03-01T11" in request.url):
        page.goto(f"{address}/quality?since=2026-03-01T10:00Z&until=2026-03-01T11:00Z")
    _says(page, "#range-open", "03-01 10:00", "11:00")
    with page.expect_request(lambda request: "ledger/shop/history?hours=1&until=2026-03-01T11" in request.url):
        page.click('.nav a[href="/ledger"]')
    assert page.url.endswith("/ledger?since=2026-03-01T10%3A00Z&until=2026-03-01T11%3A00Z")
    page.click("#range-open")
    page.click('[data-range="15m"]')
    page.wait_for_url(f"{address}/ledger?range=15m", timeout=_WITHIN_MS)
    page.wait_for_function("document.querySelectorAll('[data-ledger-history] i').length === 15", timeout=_WITHIN_MS)
    page.click('.nav a[href="/alerts"]')
    page.wait_for_function("document.getElementById('range-open').hidden", timeout=_WITHIN_MS)


def _finds_by_name(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("quar shop")
    chosen = page.locator('#palette [role="option"][aria-selected="true"]')
    assert "quarantine" in chosen.inner_text().lower()
    assert page.get_attribute("#palette input", "aria-activedescendant") == chosen.get_attribute("id")
    page.fill("#palette input", "backfill shop …")
    page.keyboard.press("Enter")
    page.wait_for_url("**/backfills?stream=shop", timeout=_WITHIN_MS)
    page.keyboard.press("Control+k")
    page.fill("#palette input", "no such thing at all")
    _says(page, "#palette [role=status]", "nothing has such a name")
    page.keyboard.press("Escape")
    page.wait_for_selector("#palette", state="detached", timeout=_WITHIN_MS)


def _opens_what_the_address_says(page: Any, address: str) -> None:
    page.goto(f"{address}/alerts?open=plan&subject=shop")
    page.wait_for_function("document.querySelector('[data-kept=plan]')?.open", timeout=_WITHIN_MS)
    page.wait_for_function("document.querySelector('[data-field=subject]')?.value === 'shop'", timeout=_WITHIN_MS)
    page.fill("[data-field=subject]", "flights")
    page.click("[data-kept=plan] summary")
    page.wait_for_url(f"{address}/alerts?subject=flights", timeout=_WITHIN_MS)


def _tells_news(console: Any) -> None:
    page = console.page
    console.report(_account(Verdict.UNBALANCED))
    _says(page, ".toast", "The ledger of shop does not add up")
    _says(page, "#news-open", "1")
    page.reload()
    _says(page, "#news-open", "1")
    page.click("#news-open")
    page.click("#news a")
    page.wait_for_url("**/ledger/shop", timeout=_WITHIN_MS)
    assert page.get_attribute("#news-open", "aria-label") == "News"


def _is_dark_at_once(page: Any, address: str) -> None:
    page.keyboard.press("t")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'", timeout=_WITHIN_MS)
    page.add_init_script(_FIRST_PAINTED)
    page.goto(f"{address}/")
    page.wait_for_function("window.firstPainted", timeout=_WITHIN_MS)
    assert page.evaluate("window.firstPainted[1]") == _DARK, "before any script of Dash has drawn"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == _DARK


def _is_a_drawer_on_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector("#menu", timeout=_WITHIN_MS)
    assert not page.is_visible('.nav a[href="/lag"]')
    page.click("#menu")
    page.click('.nav a[href="/lag"]')
    page.wait_for_url("**/lag", timeout=_WITHIN_MS)
    page.wait_for_function("!document.documentElement.classList.contains('has-drawer')", timeout=_WITHIN_MS)
