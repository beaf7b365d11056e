"""The console of the platform that runs, in Chromium: a number changes by itself, and a rollback is planned."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from load_tests.bench.browser import opened_console, says
from load_tests.bench.signed import session_of
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition

_says = partial(says, within_ms=15_000)
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


def test_a_rollback_of_a_platform_that_runs_is_planned_from_its_lake_page(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    settings = running.settings
    with EventProducer(shop, settings.kafka, settings.registry, transactional_id="test-lake-page") as producer:
        for part in range(2):
            before = running.total("shop", "lake") or 0
            with producer.transaction() as send:
                for number in range(50):
                    send(event(5, 1000 * part + number, 0.0, datetime.now(UTC)).value)
            eventually(lambda before=before: (running.total("shop", "lake") or 0) > before, "the lake has them")
    with opened_console(f"{settings.console}/lake/shop", session_of(settings)) as page:
        page.wait_for_selector('.commit[data-table="events"][data-act="append"]', timeout=60_000)
        marks = page.query_selector_all('.commit[data-table="events"][data-act="append"][data-readable="yes"]')
        version = int(marks[-2].get_attribute("data-version"))
        page.click(_mark("events", version))
        _says(page, "[data-lake-version]", f"events version {version}", "source offsets")
        page.click("text=What has changed since")
        _says(page, "[data-lake-shown] .totals", "added")
        page.click('[data-lake-do="rollback"]')
        says(page, "dialog .badge", "planned", within_ms=60_000)
        _says(page, "dialog", f"Roll shop back to version {version}", "rows now", "events", "Type shop to confirm")
        page.click('dialog [data-operate-do="cancel"]')
        _says(page, "dialog .badge", "cancelled")


def _mark(table: str, version: int) -> str:
    return f'.commit[data-table="{table}"][data-version="{version}"]'
