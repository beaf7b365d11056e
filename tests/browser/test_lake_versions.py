"""A stream's versions in Chromium: Delta tables of a test's own, and those of a platform that runs, with its worker."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from controlplane.contract.backfills import MaintenanceAsked
from controlplane.contract.facts import Extent
from controlplane.contract.operations import Does, Kind, OperationState, WorkerSays
from controlplane.contract.settings import Settings
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.up.checks import free_port
from load_tests.bench.browser import says, served
from pipeline.lakeview.tables import LakeView
from pipeline.maintenance.kind import plan_of
from pipeline.maintenance.stages import Plan as Due
from pipeline.maintenance.stages import Vacuum
from pipeline.operate.serve import create_api

if TYPE_CHECKING:
    from pathlib import Path

    from load_tests.bench.signed import Signed

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_DAY = date(2026, 3, 1)


class _NotKept:
    def record(self, *_: Any, **__: Any) -> None:
        """See `AuditLog`."""


def _events(offsets: range, price: float, day: date = _DAY) -> pa.Table:
    count = len(offsets)
    columns = {
        "tg_partition": [0] * count,
        "tg_offset": list(offsets),
        "price": [price] * count,
        "event_date": [day] * count,
    }
    return pa.table(columns)


def _says_of(**said: Any) -> CommitProperties:
    return CommitProperties(custom_metadata={"userMetadata": json.dumps(said)})


def _write(lake: Path) -> None:
    """Events: 0 and 1 append, 2 is a backfill's swap, 3 appends; visitors: two versions."""
    events = str(lake / "shop" / "events")
    write_deltalake(events, _events(range(5), 1.5), partition_by=["event_date"])
    later = _DAY + timedelta(days=1)
    write_deltalake(
        events, _events(range(5, 8), 1.5, later), mode="append", commit_properties=_says_of(offsets={"0": [5, 8]})
    )
    write_deltalake(
        events,
        _events(range(5), 2.5),
        mode="overwrite",
        predicate=f"event_date = '{_DAY}'",
        commit_properties=_says_of(backfill={"operation": "b1", "days": [str(_DAY)]}),
    )
    for at in (0, 1):
        seen = {"user_id": ["ann", "bob"], "seen": [1, 1 + at]}
        write_deltalake(str(lake / "shop" / "entity_visitor"), pa.table(seen), mode="overwrite")
    write_deltalake(events, _events(range(8, 9), 1.5, later), mode="append")


def test_versions_are_seen_compared_read_and_rolled_back_to(
    opened: Any, who: Signed, tmp_path: Path, looked_at: Any
) -> None:
    _write(tmp_path / "lake")
    token = tmp_path / "service.token"
    token.write_text(who.access.service_token)
    settings = Settings(data=tmp_path, token_file=token)
    engine = engine_of(f"sqlite:///{tmp_path / 'operations.sqlite'}")
    create_all(engine)
    desk = Desk(engine, ["shop"], _NotKept())
    room = free_port()
    with (
        served(create_api(settings, lambda _: ()), room),
        opened(
            lambda *_, **__: [],
            rooms={"tables": f"http://127.0.0.1:{room}"},
            operations=desk,
            schedules=Schedules(engine, desk),
        ) as console,
    ):
        page = console.page
        console.press("k", "/lake")
        page.click('#lake-shop a[href="/lake/shop"]')
        _compares(page)
        _reads(page, looked_at)
        _reads_as_of_a_time(page, LakeView(settings))
        _compares_by_keyboard(page)
        _rolls_back(page, desk)
        _maintains(page, desk)
        _tells_what_was_vacuumed(page, settings)
        assert console.complaints == []


def _mark(table: str, version: int) -> str:
    return f'.commit[data-table="{table}"][data-version="{version}"]'


def _compares(page: Any) -> None:
    page.click(_mark("events", 2))
    _says(
        page, "[data-lake-version]", "events version 2", "days swapped in by a backfill", "can be read", "b1", "8 rows"
    )
    page.click("text=What it changed")
    _says(page, "[data-lake-shown]", "from version 1 to 2", "0 added", "5 changed", "price", "1.5", "2.5")
    assert "table=events&version=2&with=1&show=diff" in page.url
    page.reload()
    _says(page, "[data-lake-shown]", "from version 1 to 2", "5 changed")


def _reads(page: Any, looked_at: Any) -> None:
    page.click(_mark("events", 1))
    page.click("text=Read rows as of it")
    _says(page, "[data-lake-shown]", "events as of version 1", "8 rows")
    page.fill("[data-lake-where]", "tg_offset < 2")
    copies = "[data-lake-shown] form button[data-copies]"
    wanted = "tidegate lake read shop events --version 1 --where 'tg_offset < 2'"
    assert page.get_attribute(copies, "data-copies") == wanted
    page.keyboard.press("Enter")
    _says(page, "[data-lake-shown]", "2 rows")
    page.click("#theme")
    looked_at(page, "lake-rows")
    page.fill("[data-lake-where]", "no_such_column = 1")
    page.keyboard.press("Enter")
    _says(page, "[data-lake-shown] .judgement", "no_such_column")


def _reads_as_of_a_time(page: Any, view: LakeView) -> None:
    at = view.history("shop", "events")["items"][-2]["at"]
    page.fill("[data-lake-at-time]", "long ago")
    page.click("[data-lake-at] button")
    _says(page, "[data-lake-at]", "'long ago' is no time")
    page.fill("[data-lake-at-time]", at)
    page.click("[data-lake-at] button")
    _says(page, "[data-lake-shown]", "events as of version 1", "8 rows")


def _compares_by_keyboard(page: Any) -> None:
    """Left and right move in a lane, Enter chooses, Shift and Enter chooses what to compare with."""
    page.focus(_mark("entity_visitor", 1))
    page.keyboard.press("Enter")
    _says(page, "[data-lake-version]", "entity_visitor version 1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+Enter")
    _says(page, "[data-lake-shown]", "from version 0 to 1", "1 changed", "bob", "seen")


def _rolls_back(page: Any, desk: Desk) -> None:
    page.click(_mark("events", 1))
    _says(page, "[data-lake-version]", "events version 1")
    page.select_option(".lake-rollback select", "hold")
    page.fill(".lake-rollback input", "a wrong rule")
    copied = page.get_attribute(".lake-rollback button[data-copies]", "data-copies")
    assert copied == "tidegate rollback shop --to-version 1 --then hold"
    page.click('[data-lake-do="rollback"]')
    _says(page, "dialog", "Roll shop back to version 1", "nothing is done yet")
    [asked] = desk.frame().operations
    assert (asked.kind, asked.asked["version"], asked.asked["then"], asked.why) == (
        "rollback",
        1,
        "hold",
        "a wrong rule",
    )
    page.keyboard.press("Escape")


def _maintains(page: Any, desk: Desk) -> None:
    page.click('[data-lake-do="maintain"]')
    _says(page, "dialog", "Maintenance of shop", "nothing is done yet")
    asked = next(each for each in desk.frame().operations if each.kind is Kind.MAINTENANCE)
    dead = Vacuum(
        stream="shop", table="events", path="/", before=Extent(files=40, bytes=2048), promise=timedelta(days=7)
    )
    plan = plan_of(Due(at=datetime.now(UTC), stages=(dead,)), MaintenanceAsked(stream="shop"))
    while leased := desk.lease("w", (), tuple(Does)):
        if leased.operation.id == asked.id:
            desk.heard(asked.id, WorkerSays(worker=leased.lease, state=OperationState.PLANNED, plan=plan))
    _says(page, "dialog", "events: vacuum: delete 40 files of 2.0 KiB", "Confirm the maintenance")
    page.click('dialog [data-operate-do="cancel"]')
    page.click("dialog button:has-text('Plan again')")
    page.wait_for_selector("dialog .badge[data-state=planning]", timeout=_WITHIN_MS)
    leased = desk.lease("w", (), tuple(Does))
    assert leased is not None
    nothing = plan_of(Due(at=datetime.now(UTC)), MaintenanceAsked(stream="shop"))
    desk.heard(leased.operation.id, WorkerSays(worker=leased.lease, state=OperationState.PLANNED, plan=nothing))
    _says(page, "dialog", "Nothing is due: there is nothing to confirm")
    assert page.query_selector("dialog .operation-confirmation input") is None
    page.keyboard.press("Escape")


def _tells_what_was_vacuumed(page: Any, settings: Settings) -> None:
    table = DeltaTable(str(settings.data / "lake" / "shop" / "events"))
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    page.wait_for_selector(f'{_mark("events", 1)}[data-readable="no"]', timeout=_WITHIN_MS)
    page.click(_mark("events", 1))
    _says(page, "[data-lake-version]", "why not", "vacuumed")
    assert page.is_disabled('[data-lake-do="rollback"]')
    page.goto(page.url + "&show=rows")
    _says(page, "[data-lake-shown] .judgement", "version 1 can't be read", "what can be read: 2 to ")
