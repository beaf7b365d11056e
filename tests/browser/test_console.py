"""The real console in Chromium: a number changes by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from load_tests.bench.browser import opened_console
from load_tests.bench.signed import session_of
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition

_TOTAL = '[data-total="live/shop/traffic"][data-measure="events"]'
_KNOWN = f"document.querySelector('{_TOTAL}') && !document.querySelector('{_TOTAL}').classList.contains('is-unknown')"


def test_a_number_changes_without_a_reload_and_the_paint_is_measured(running: Any, shop: StreamDefinition) -> None:
    settings = running.settings
    with (
        EventProducer(shop, settings.kafka, settings.registry, transactional_id="test-browser") as producer,
        opened_console(f"{settings.console}/live/shop", session_of(settings)) as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        _send(producer, 100, 0)
        page.wait_for_function(_KNOWN, timeout=60_000)
        before = page.inner_text(_TOTAL)
        _send(producer, 137, 100)
        page.wait_for_function(f"document.querySelector('{_TOTAL}').textContent !== {before!r}", timeout=60_000)
        page.wait_for_function(
            "window.tidegate.paints.filter(paint => paint.topic === 'live/shop/traffic').length >= 2", timeout=60_000
        )
        page.goto(f"{settings.console}/")
        page.wait_for_function(
            "document.querySelector('[data-hop=\"shop/valid\"][data-show=events]')?.textContent.match(/[0-9]/)",
            timeout=60_000,
        )
        page.keyboard.press("t")
        assert complaints == []


def _send(producer: EventProducer, events: int, start: int) -> None:
    with producer.transaction() as send:
        for number in range(events):
            send(event(3, start + number, 0.0, datetime.now(UTC)).value)
