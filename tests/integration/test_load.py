"""A short load test on the real platform: planned, run by the worker, counted by its ids beside another sender, reported."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.loads import PATH as LOADS
from controlplane.contract.loads import LoadReport
from controlplane.contract.operations import PATH
from pipeline.feed import shop as feed
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition

ASKED = {"stream": "shop", "shape": "flash-sale", "rate": 300, "lasts": "6s", "users": 2}


def test_a_flash_sale_is_sent_watched_and_every_event_of_it_is_there_once(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    settings, ended = running.settings, threading.Event()
    beside = threading.Thread(target=_another_sender, args=(settings, shop, ended), daemon=True)
    beside.start()
    with httpx.Client(base_url=settings.api, headers=settings.authorization, timeout=30) as client:

        def reached(number: str, *states: str) -> dict[str, Any] | None:
            found: dict[str, Any] = client.get(f"{PATH}/{number}?wait=2").raise_for_status().json()
            assert found["state"] in states or found["state"] not in ("failed", "cancelled"), found["reason"]
            return found if found["state"] in states else None

        number = client.post(PATH, json={"kind": "load_test", "asked": ASKED}).raise_for_status().json()["id"]
        plan = eventually(lambda: reached(number, "planned"), "a plan")["plan"]
        assert any("real events are written into shop.raw" in note for note in plan["notes"])
        assert any(note.startswith("Bytes that an event takes") for note in plan["notes"])
        said = {"fingerprint": plan["fingerprint"], "confirmation": plan["confirmation"]}
        client.post(f"{PATH}/{number}/confirm", json=said).raise_for_status()
        eventually(lambda: reached(number, "done"), "a load test that is done", within_s=180)
        ended.set()
        report = LoadReport.model_validate(client.get(f"{LOADS}/{number}").raise_for_status().json())
        page = client.get(f"{LOADS}/{number}/report").raise_for_status()
    balance = report.balance
    assert balance is not None
    assert (balance.acknowledged, balance.is_balanced) == (plan["rows"], True), report.judgements
    assert balance.valid + balance.dead + balance.quarantined == balance.served == plan["rows"], (
        "no event of another sender"
    )
    assert {each.consumer for each in report.recoveries} >= {"route shop", "live shop"}
    assert max(each.offered or 0 for each in report.seconds) > 150, "the peak is on the time axis"
    assert "<svg" in page.text
    assert len(page.content) < 500_000
    beside.join(10)


def _another_sender(settings: Any, stream: StreamDefinition, ended: threading.Event) -> None:
    """The ledger's totals say nothing of a run when somebody else sends as well."""
    with EventProducer(stream, settings.kafka, settings.registry, transactional_id="tidegate-test-beside") as producer:
        for event in feed.events(lambda: datetime.now(UTC), seed=99):
            with producer.transaction() as send:
                send(event.value)
            if ended.wait(0.05):
                return
