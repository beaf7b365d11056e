"""Operations in Chromium, over the real store and API; the worker is played by the test: planned, confirmed, followed, undone."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from controlplane.contract.access import Grant, Principal, Role
from controlplane.contract.operations import (
    Does,
    Kind,
    Operation,
    OperationAsked,
    OperationState,
    Plan,
    StagePlanned,
    StageProgress,
    StageState,
    Touch,
    WorkerSays,
    fingerprint_of,
)
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from load_tests.bench.browser import says

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.operations import Wish

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_BEN = Principal(name="ben", grants=(Grant(role=Role.ADMIN),))
_DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
_COMPARED: dict[str, Any] = {
    "before": 300,
    "after": 301,
    "added": 1,
    "gone": 0,
    "changed": 4,
    "columns": {"price": 4},
    "examples": [{"tg_partition": 0, "tg_offset": 7, "column": "price", "before": 1.5, "after": 2.5}],
}


class _NotKept:
    """An audit log that keeps nothing: what is recorded has tests of its own."""

    def record(self, *_: Any, **__: Any) -> None:
        """See `AuditLog`."""


class _Worker:
    """The worker, one step at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lease = ""
        self.id = ""

    def lease(self) -> Operation:
        leased = self._desk.lease("w", (), tuple(Does))
        assert leased is not None
        self._lease, self.id = leased.lease, leased.operation.id
        return leased.operation

    def says(self, **what: Any) -> Wish:
        return self._desk.heard(self.id, WorkerSays(worker=self._lease, **what))

    def plans(self, plan: Plan) -> None:
        self.lease()
        self.says(state=OperationState.PLANNED, plan=plan)


def _plan(*days: str) -> Plan:
    builds = tuple(
        StagePlanned(key=f"build:{day}", does="build", title=f"Make {day} again", partition=day, rows=100, seconds=2)
        for day in days
    )
    stages = (*builds, StagePlanned(key="compare", does="compare", title="Compare rows and columns"))
    touches = (Touch(stream="shop", table="events", partitions=days),)
    return Plan(
        at=datetime.now(UTC),
        stages=stages,
        touches=touches,
        rows=100 * len(days),
        partitions=len(days),
        seconds=20,
        confirmation="shop",
        notes=("Nothing that readers see changes before the comparison is done.",),
        fingerprint=fingerprint_of(stages, touches, {}),
    )


def _type(page: Any, text: str) -> None:
    page.wait_for_selector("dialog .operation-confirmation input", timeout=_WITHIN_MS)
    page.fill("dialog .operation-confirmation input", text)


def test_a_backfill_is_planned_confirmed_followed_undone_and_scheduled(
    opened: Any, tmp_path: Path, looked_at: Any, by_keyboard: Any
) -> None:
    engine = engine_of(f"sqlite:///{tmp_path / 'operations.sqlite'}")
    create_all(engine)
    desk = Desk(engine, ["shop"], _NotKept())
    worker = _Worker(desk)
    with opened(lambda *_, **__: [], operations=desk, schedules=Schedules(engine, desk)) as console:
        page = console.page
        console.press("f", "/backfills")
        _says(page, '[data-operations="backfill"]', "None yet.")
        page.fill('[data-backfills-field="since"]', _DAYS[0])
        page.fill('[data-backfills-field="until"]', _DAYS[-1])
        copies = page.get_attribute("[data-backfills-form] button[data-copies]", "data-copies")
        assert copies == f"tidegate backfill shop --since {_DAYS[0]} --until {_DAYS[-1]}"
        assert f"since={_DAYS[0]}" in page.url, "a link asks for the same"
        by_keyboard(page, '[data-backfills-do="plan"]')
        page.keyboard.press("Space")
        _says(page, "dialog", "Backfill of shop", "The plan is being made; nothing is done yet")
        worker.plans(_plan(*_DAYS))
        _confirms_with_the_right_word_only(page, looked_at)
        _is_followed(page, worker)
        _is_undone(page, desk, worker)
        _is_scheduled(page, console)
        _is_listed(console, worker)
        assert console.complaints == []


def _confirms_with_the_right_word_only(page: Any, looked_at: Any) -> None:
    _says(page, "dialog", "300 rows", "3 partitions", "Make 2026-03-02 again", "Nothing that readers see changes")
    page.wait_for_function("document.activeElement.name === 'confirmation'", timeout=_WITHIN_MS)
    _type(page, "shoo")
    assert page.is_disabled('dialog [data-operate-do="confirm"]')
    looked_at(page, "plan")
    _type(page, "shop")
    page.keyboard.press("Enter")
    _says(page, "dialog .badge", "queued")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden", timeout=_WITHIN_MS)
    _says(page, "[data-operations-count]", "1")


def _is_followed(page: Any, worker: _Worker) -> None:
    worker.lease()
    began = datetime.now(UTC)
    worker.says(
        state=OperationState.RUNNING,
        waits_for="live of shop is 42 s behind",
        stages=(
            StageProgress(
                key=f"build:{_DAYS[0]}", state=StageState.DONE, done=100, total=100, unit="rows", started_at=began
            ),
            StageProgress(
                key=f"build:{_DAYS[1]}", state=StageState.RUNNING, done=40, total=100, unit="rows", started_at=began
            ),
        ),
        log=("2026-03-01 is made",),
    )
    one = "[data-backfills-one]"
    _says(page, f"{one} .operation-said", "Waits", "live of shop is 42 s behind")
    _says(page, f'{one} [data-partition="{_DAYS[0]}"]', "D")
    _says(page, f'{one} [data-partition="{_DAYS[1]}"]', "R")
    _says(page, '[data-operations="backfill"]', "running", "1 of 4", "waits: live of shop")
    page.click(f"{one} summary:has-text('Log')")
    _says(page, f"{one} .operation-lines", "2026-03-01 is made")
    page.click(f'{one} [data-operate-do="pause"]')
    _says(page, f"{one} .badge", "running, to pause")
    assert worker.says() == "pause"
    worker.says(state=OperationState.PAUSED)
    page.click(f'{one} [data-operate-do="resume"]')
    _says(page, f"{one} .badge", "queued")
    worker.lease()
    done = tuple(
        StageProgress(key=f"build:{day}", state=StageState.DONE, done=100, total=100, unit="rows") for day in _DAYS
    )
    compare = StageProgress(key="compare", state=StageState.DONE, result=_COMPARED)
    worker.says(state=OperationState.RUNNING, stages=(*done, compare))
    _says(page, f'{one} [data-found="compare"]', "4 changed", "price")
    undo = {"kind": "rollback", "asked": {"stream": "shop", "version": 3}}
    worker.says(state=OperationState.DONE, result={"changed": 4}, undo=undo)
    _says(page, f"{one} .operation-progress", "4 of 4 stages done, 100 %")
    _says(page, f"{one} .badge", "done")
    page.wait_for_function(
        "sessionStorage.getItem('tidegate-news').includes('backfill of shop: done')", timeout=_WITHIN_MS
    )
    page.click(f'{one} [data-found="compare"] summary')
    _says(page, f'{one} [data-found="compare"] details table', "tg offset", "7", "1.5", "2.5")


def _is_undone(page: Any, desk: Desk, worker: _Worker) -> None:
    """What undoes it has a page of its own; and is refused while another operation has the same day."""
    backfill, shown = worker.id, "[data-operation-page]"
    page.goto(f"{page.url.split('/backfills')[0]}/operations/{backfill}")
    _says(page, shown, "Backfill of shop", "done")
    page.click(f'{shown} [data-operate-do="undo"]')
    page.wait_for_function(f"!location.pathname.endsWith('{backfill}')", timeout=_WITHIN_MS)
    worker.plans(_plan(_DAYS[0]))
    undo = worker.id
    assert page.url.endswith(undo)
    _says(page, shown, "Rollback of shop", f"undoes {backfill}", "to confirm")
    other = desk.ask(OperationAsked(kind=Kind.BACKFILL, asked={"stream": "shop"}), _BEN)
    plan = _plan(_DAYS[0])
    worker.plans(plan)
    desk.confirm(other.id, plan.fingerprint, "shop", _BEN)
    _says(page, f"{shown} .operation-said", "Under way in shop: backfill", other.id, "of ben, queued")
    page.fill(f"{shown} .operation-confirmation input", "shop")
    page.click(f'{shown} [data-operate-do="confirm"]')
    _says(page, f"{shown} .operation-said", "Refused", other.id)
    page.click(f'{shown} [data-operate-do="cancel"]')
    _says(page, f"{shown} .badge", "cancelled")


def _is_listed(console: Any, worker: _Worker) -> None:
    """Rows that are pushed anew leave the list as somebody has sorted it, and the row that they have the focus on."""
    page, state = console.page, f"[data-grid] [row-id='{worker.id}'] [col-id='state']"
    console.press("w", "/operations")
    _says(page, "[data-grid='operations']", "Backfill", "done", "Rollback", "cancelled", "0 of 2")
    page.click("[data-grid] .ag-header-cell[col-id='kind']")
    page.focus(state)
    page.evaluate("selector => { window.tidegate.row = document.querySelector(selector); }", state)
    worker.lease()
    worker.says(state=OperationState.RUNNING)
    _says(page, state, "running")
    assert page.evaluate("window.tidegate.row === document.activeElement && window.tidegate.row.isConnected")
    assert page.get_attribute("[data-grid] .ag-header-cell[col-id='kind']", "aria-sort") == "ascending"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/operations/{worker.id}")
    page.wait_for_selector(".grid-bar", state="detached", timeout=_WITHIN_MS)


def _is_scheduled(page: Any, console: Any) -> None:
    page.goto(f"{console.address}/backfills?since=2026-03-01")
    page.wait_for_selector('[data-backfills-schedule="name"]', timeout=_WITHIN_MS)
    page.fill('[data-backfills-schedule="name"]', "nightly")
    page.fill('[data-backfills-schedule="cron"]', "30 3 * * *")
    page.fill('[data-backfills-schedule="days"]', "7")
    page.click('[data-backfills-do="schedule"]')
    _says(page, '[data-schedule="nightly"]', "30 3 * * *", "backfill shop", "03:30:00", "waits for a confirmation")
    assert '"since":"today-7"' in page.get_attribute('[data-schedule="nightly"] button[data-copies]', "data-copies")
    page.click('[data-schedule="nightly"] button:has-text("Off")')
    _says(page, '[data-schedule="nightly"]', "off")
    page.click('[data-schedule="nightly"] button:has-text("Remove")')
    _says(page, "[data-backfills-schedules]", "None.")
