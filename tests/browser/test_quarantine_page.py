"""The quarantine page in Chromium, over quality's own API with a table in a folder and a writer in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from controlplane.contract.names import Hop
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served
from pipeline.feed.shop import event
from quality.inbox.inbox import Inbox
from quality.inbox.markers import Markers
from quality.quarantine import add_quarantine
from quality.rejects.record import SCHEMA
from quality.rejects.table import Place, RejectsTable
from quality.replay.fit import Fit
from quality.replay.kept import WorkFiles
from quality.replay.work import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from controlplane.contract.replays import Marker
    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed
    from quality.replay.today import Today
    from quality.replay.writer import Outgoing

pa = pytest.importorskip("pyarrow")
_WITHIN_MS = 20_000
_says = partial(says, within_ms=_WITHIN_MS)


class FakeSchemas:
    """A registry with one schema."""

    def __init__(self, avro: dict[str, Any]) -> None:
        self.avro = avro

    def of_id(self, schema_id: int) -> dict[str, Any] | None:
        return self.avro if schema_id == 1 else None

    def versions(self, subject: str) -> dict[int, dict[str, Any]]:
        return {1: self.avro} if subject.endswith(".raw-value") else {}


class FakeWriter:
    """Takes what is sent, and marks it."""

    def __init__(self, markers: Markers) -> None:
        self.markers, self.sent = markers, []  # type: ignore[var-annotated]

    def begin(self) -> None:
        pass

    def end(self) -> None:
        pass

    def write(self, records: Sequence[Outgoing], marker: Callable[[str, str | None], Marker]) -> int:
        for each in records:
            self.sent.append(each)
            raw = None if each.value is None else f"0:{100 + len(self.sent)}"
            self.markers.fold(self.markers.next_offset, each.id, marker(each.id, raw))
        return len(records)


def rules(_: Today, events: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [("quantity_in_range",) if each["quantity"] < 1 else () for each in events]


def desk(shop: StreamDefinition, folder: Path) -> tuple[Desk, FakeWriter]:
    now, fit = datetime.now(UTC), Fit(1, shop.avro_schema, shop.avro_schema)
    made: list[dict[str, Any]] = []
    for number in range(8):
        broken = {**event(5, number, 0.0, now).value, "quantity": 0, "session_id": f"session-{number}"}
        encoded = fit.encoded(broken)
        assert isinstance(encoded, tuple)
        hop, value = (Hop.DEAD, encoded[0][:-3]) if number == 7 else (Hop.QUARANTINE, encoded[0])
        at = now - timedelta(minutes=number)
        made.append(
            {
                "id": f"{hop}:0:{number}",
                "stage": "ingest",
                "reason": "undecodable" if hop is Hop.DEAD else "rule_broken",
                "rules": "" if hop is Hop.DEAD else "quantity_in_range",
                "suite": "abc",
                "partition": 0,
                "offset": number,
                "tg_partition": 0,
                "tg_offset": number,
                "schema_id": 1,
                "seen_at": at,
                "rejected_at": at,
                "key": b"u1",
                "value": value,
                "day": at.date(),
            }
        )
    table = RejectsTable(str(folder), "shop")
    rows = pa.Table.from_pylist(made, schema=SCHEMA)
    table.append(rows, {Place("shop.quarantine", 0): 7})
    markers = Markers()
    inbox = Inbox(shop, table, markers, FakeSchemas(shop.avro_schema))  # type: ignore[arg-type]
    inbox.index.add(table.load())
    inbox.unknown = None
    writer = FakeWriter(markers)
    found = Desk(inbox, writer, WorkFiles(folder / "replays"), rules)  # type: ignore[arg-type]
    found.start([])
    return found, writer


def test_the_quarantine_page_shows_why_plans_with_fixes_runs_and_discards(
    shop: StreamDefinition, who: Signed, tmp_path: Path
) -> None:
    one, writer = desk(shop, tmp_path / "lake")
    quality = FastAPI()
    add_quarantine(quality, {"shop": one})
    api, console, room = free_port(), free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    service = Service([shop], lambda *_, **__: [], address, 0.1)
    with (
        served(create_app(ConsoleData({"shop": shop}, api)).server, console),
        served(create_api(service, {"quarantine": f"http://127.0.0.1:{room}"}, access=who.access), api),
        served(quality, room),
        opened_console(f"{address}/", who.cookie) as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.wait_for_selector('.nav a[href="/quarantine"]', timeout=_WITHIN_MS)
        page.keyboard.press("g")
        page.keyboard.press("q")
        _says(page, "#quarantine-shop", "8 turned away: 8 waiting, 0 replayed, 0 discarded")
        page.click('[data-group="quarantine rule_broken quantity_in_range"] .as-link')
        shows_a_record(page)
        plans_and_runs(page, writer)
        discards(page)
        assert complaints == []
    one.close()


def shows_a_record(page: Any) -> None:
    _says(page, '[data-quarantine-records="shop"]', "quarantine:0:0", "quantity_in_range", "waiting")
    assert "reason=rule_broken" in page.url
    page.click('[row-id="quarantine:0:2"] [col-id="id"]')
    _says(
        page, "#quarantine-record", "Decoded by its writer's schema", '"session_id": "session-2"', "History", "waiting"
    )
    assert (
        page.get_attribute("#quarantine-record .copy", "data-copies") == "tidegate quarantine show shop quarantine:0:2"
    )
    _says(page, '[data-quarantine-about="shop"]', "the record quarantine:0:2")
    page.click('[row-id="quarantine:0:2"] [col-id="id"]')
    _says(
        page,
        '[data-quarantine-about="shop"]',
        "all that wait with hop quarantine, reason rule_broken, rules quantity_in_range",
    )
    page.fill("#quarantine-text", "nobody says that")
    _says(page, "#quarantine-shop", "Nothing that was turned away fits; the last of all was turned away", "ago")
    page.fill("#quarantine-text", "")
    _says(page, "#quarantine-shop", "7 turned away")


def plans_and_runs(page: Any, writer: FakeWriter) -> None:
    plan = '[data-quarantine-plan="shop"]'
    page.fill('[data-quarantine-steps="shop"]', "sett quantity 1")
    page.click('[data-quarantine-ask="plan"]')
    _says(page, plan, "'sett quantity 1' is no fix step")
    page.fill('[data-quarantine-steps="shop"]', "drop quantity")
    page.click('[data-quarantine-ask="plan"]')
    _says(page, plan, "7 fit no schema", "7 field quantity is missing")
    page.fill('[data-quarantine-steps="shop"]', "set quantity 3")
    page.click('[data-quarantine-ask="plan"]')
    _says(page, plan, "planned", "7 chosen", "7 ready", "quantity", "0", "3")
    page.fill(f"{plan} .rate", "1000")
    page.click(f'{plan} [data-quarantine-do="run"]')
    _says(page, plan, "Yes, send 7 records")
    assert writer.sent == []
    a_link_opens_the_same(page, plan)
    page.click(f'{plan} [data-quarantine-do="run"]')
    _says(page, plan, "done", "7 of 7 replayed")
    assert len(writer.sent) == 7
    _says(page, '[data-group="quarantine rule_broken quantity_in_range"]', "7")
    _says(page, '[data-quarantine-works="shop"]', "replay", "done", "7")


def a_link_opens_the_same(page: Any, plan: str) -> None:
    page.reload()
    _says(page, plan, "planned", "7 chosen", "7 ready")
    assert page.input_value('[data-quarantine-steps="shop"]') == "set quantity 3"
    page.click(f'{plan} [data-quarantine-do="run"]')


def discards(page: Any) -> None:
    page.click('[data-quarantine-choose="hop"][data-value="dead"]')
    page.fill("#quarantine-reason", "")
    page.click('[data-quarantine-exact="shop"] button')
    _says(page, '[data-quarantine-records="shop"]', "dead:0:7")
    page.click('[row-id="dead:0:7"] [col-id="id"]')
    _says(page, "#quarantine-record", "Decoded up to where it breaks", "event_time")
    page.click('[data-quarantine-ask="discard"]')
    _says(page, '[data-quarantine-plan="shop"]', "say why they are discarded")
    page.fill("[data-quarantine-why] input", "cut off")
    page.click('[data-quarantine-ask="discard"]')
    _says(page, '[data-quarantine-plan="shop"]', "planned", "1 ready")
    page.click('[data-quarantine-do="run"]')
    page.click('[data-quarantine-do="run"]')
    _says(page, '[data-quarantine-plan="shop"]', "done", "1 of 1 discarded")
    _says(page, "#quarantine-record", "discarded (cut off)")
