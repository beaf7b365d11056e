"""The alerts page in Chromium, over the control plane's API and the room's in this process: an incident is seen and taken on."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from alerts.api import Beats, create_api
from alerts.observe import FakeSource
from alerts.outbox import Outbox
from alerts.pages import Writer
from alerts.sender import Answer, Came, FakeSender
from alerts.store import Store
from alerts.watch import Watch
from controlplane.contract.gates import GateDecided, Outcome, Stage
from controlplane.service.api import create_api as create_control
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_says = partial(says, within_ms=20_000)


def _now() -> datetime:
    return datetime.now(UTC)


_AS_IF_OPENED_BEFORE = """() => {
  // Not before: the page goes on keeping what it knows until it is gone.
  addEventListener("pagehide", () => sessionStorage.setItem("tidegate-news", JSON.stringify({ seen: { incidents: {} } })));
  location.reload();
}"""


def test_an_incident_is_seen_taken_on_and_silenced_and_a_test_page_is_sent(  # noqa: PLR0915 (one way through the page)
    shop: StreamDefinition, tmp_path: Path, who: Signed, looked_at: Any, by_keyboard: Any
) -> None:
    store, source, sender = Store(tmp_path / "incidents.sqlite"), FakeSource(_now), FakeSender()
    outbox, beats = Outbox(store, sender), Beats()
    watch = Watch(source, store, Writer("http://c", "m"), {}, timedelta(minutes=1), pages=True)
    verdict = GateDecided(
        at=_now(), stream="shop", stage=Stage.LAKE, subject="micro-batch 17", suite="f" * 12, outcome=Outcome.HALTED,
        rows=10, judged=10, reason="total_is_positive is broken <b>by 3 rows</b>",
    )  # fmt: skip
    source.facts = (verdict,)
    api, console, room = free_port(), free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    service = Service([shop], lambda *_, **__: [], address, 0.1)
    stopping = threading.Event()

    def beat() -> None:
        while not stopping.wait(0.2):
            beats.at = watch.beat()
            outbox.beat(_now())
            service.fold([watch.counted(outbox, _now())])

    sender.answers = [Answer(Came.SENT), Answer(Came.REFUSED, "400: invalid event")]
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    with (
        served(create_app(ConsoleData({"shop": shop}, api)).server, console),
        served(create_control(service, {"alerts": f"http://127.0.0.1:{room}"}, access=who.access), api),
        served(create_api(watch, outbox, beats, _now, who.access.service_token), room),
        opened_console(f"{address}/", who.cookie) as page,
    ):
        _says(page, "[data-alerts-count]", "1")
        page.evaluate(_AS_IF_OPENED_BEFORE)
        _says(page, ".toast", "Incident: ")
        page.keyboard.press("g")
        page.keyboard.press("a")
        page.wait_for_url(f"{address}/alerts")
        _says(page, "[data-alerts-open] tbody", "critical", "shop/lake", "broken <b>by 3 rows</b>", "paged")
        by_keyboard(page, "[data-alerts-open] .asks button:first-child")
        page.keyboard.press("Enter")
        _says(page, "[data-alerts-open] tbody", "taken on by ana")
        page.click("[data-alerts-open] a")
        _says(page, "[data-alerts-moments]", "opened", "paged", "acknowledged by ana", "refused", "400: invalid event")
        _says(page, ".runbook", "What to do", "tidegate gate ls")
        page.fill('[data-field="because"]', "we know")
        page.click('[data-alerts-ask="silence"]')
        _says(page, "[data-alerts-moments]", "silenced by ana", "UTC: we know")
        looked_at(page, "incident")
        page.click("text=All incidents")
        _says(page, "[data-alerts-quiets] tbody", "silence", "gate_failed shop/lake", "we know")
        page.click("text=Plan a maintenance window")
        page.fill('[data-field="subject"]', "kafka")
        page.fill('[data-field="start"]', "2099-01-01T03:00")
        page.select_option('[data-field="window_for"]', "8h")
        page.wait_for_selector(
            """[data-copies="tidegate alerts windows add --for 8h --from 2099-01-01T03:00:00Z --subject 'kafka'"]"""
        )
        page.click('[data-alerts-ask="window"]')
        _says(
            page, "[data-alerts-quiets]", "window", "* kafka", "from 2099-01-01 03:00:00", "until 2099-01-01 11:00:00"
        )
        page.click("text=Send a test page")
        _says(page, "[data-alerts-past] tbody", "Test page", "by ana")
        _says(page, "[data-alerts-delivery]", "1 event refused in the last day")
        page.click("text=The last events")
        _says(page, "[data-alerts-sent]", "acknowledge", "refused", "400: invalid event")
        source.facts = (verdict.model_copy(update={"outcome": Outcome.PASSED, "at": _now(), "id": "2"}),)
        _says(page, "[data-alerts-open] tbody", "well now, not yet for long enough")
        stopping.set()
        thread.join(10)
        _says(page, "[data-alerts-count]", "?")
    store.close()
