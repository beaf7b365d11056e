"""The Load tests page in Chromium, over the real store, API and files of runs: asked for, watched, its report, two compared."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from controlplane.contract.access import Grant, Role
from controlplane.contract.loads import Balance, LoadAsked, Observed, Offered
from controlplane.contract.operations import Does, OperationState, WorkerSays
from controlplane.contract.settings import Settings
from controlplane.service.audit.port import NotKept
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.up.checks import free_port
from load_tests.bench.browser import says, served
from load_tests.bench.signed import NAME
from pipeline.loads.findings.html import written
from pipeline.loads.findings.report import report_of
from pipeline.loads.folder import LoadFolder, LoadRun
from pipeline.loads.plan import plan_of
from pipeline.operate.serve import create_api

if TYPE_CHECKING:
    from pathlib import Path

    from load_tests.bench.signed import Signed

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_ASKED: dict[str, Any] = {"stream": "shop", "shape": "flash-sale", "rate": 500, "lasts": "40s"}
_BALANCE = {
    "acknowledged": 2000,
    "refused": 0,
    "unanswered": 0,
    "valid": 1990,
    "dead": 0,
    "quarantined": 10,
    "served": 1990,
}


def _begin(settings: Settings, number: str) -> LoadFolder:
    folder = LoadFolder(settings, number)
    asked = LoadAsked.model_validate(_ASKED)
    folder.begin(LoadRun(id=number, run=1, asked=asked, started_ms=(time.time() - 60) * 1000))
    return folder


def _goes_on(folder: LoadFolder, until: int, ms: int, refused: int = 0) -> None:
    for at in range(1, until + 1):
        said = {"committed": 50, "429": refused}
        folder.add(Offered(t_s=at, users=4, due=50 * at, offered=50 * at, statuses=said, ms={str(ms + at % 3): 50}))
        folder.add(Observed(t_s=at + 0.1, lag_s={"route shop": 0.2, "live shop": 0.3}, pixel_p99_ms=120, executors=2))


def _ended(settings: Settings, number: str, ms: int, lost: int) -> None:
    folder = _begin(settings, number)
    _goes_on(folder, 40, ms)
    balance = Balance(lost=lost, doubled=0, uninvited=0, **_BALANCE)
    report = report_of(folder, settings, "ana", "whole", balance)
    folder.keep(report, written(report))


def test_a_load_test_is_asked_for_watched_and_compared(
    opened: Any, who: Signed, tmp_path: Path, looked_at: Any
) -> None:
    token = tmp_path / "service.token"
    token.write_text(who.access.service_token)
    settings, room = Settings(data=tmp_path, token_file=token), free_port()
    engine = engine_of(f"sqlite:///{tmp_path / 'operations.sqlite'}")
    create_all(engine)
    desk = Desk(engine, ["shop"], NotKept())
    rooms = {"loads": f"http://127.0.0.1:{room}"}
    with opened(lambda *_, **__: [], rooms=rooms, operations=desk, schedules=Schedules(engine, desk)) as console:
        page = console.page
        console.press("n", "/load")
        _says(page, "[data-load-runs]", "does not answer")
        with served(create_api(settings, lambda _: ()), room):
            _says(page, "[data-load-runs]", "None has ended yet.")
            _is_asked_for(page, desk, settings)
            _is_watched(page, desk, settings)
            _are_compared(page, settings, looked_at)
            _is_only_seen_by_a_viewer(page, who)
        assert console.complaints == []


def _is_asked_for(page: Any, desk: Desk, settings: Settings) -> None:
    page.fill('[data-load-field="lasts"]', "never")
    _says(page, '[data-load-said="form"]', "'never' is not a duration")
    page.fill('[data-load-field="lasts"]', "40s")
    page.select_option('[data-load-field="shape"]', "flash-sale")
    page.fill('[data-load-field="rate"]', "500")
    _says(page, '[data-load-said="form"]', "8,750 real events into shop, which stay")
    copies = page.get_attribute("[data-load-form] button[data-copies]", "data-copies")
    assert copies == "tidegate load start shop --shape flash-sale --rate 500 --for 40s"
    assert "shape=flash-sale" in page.url, "a link asks for the same"
    page.click('[data-load-do="plan"]')
    leased = desk.lease("w", (), tuple(Does))
    while leased is None:
        page.wait_for_timeout(50)
        leased = desk.lease("w", (), tuple(Does))
    plan = plan_of(LoadAsked.model_validate(leased.operation.asked), settings, {"Kafka": 400.0, "the lake": None})
    desk.heard(leased.operation.id, WorkerSays(worker=leased.lease, plan=plan))
    _says(
        page,
        "dialog",
        "Load test of shop",
        "8,750 rows",
        "real events are written into shop.raw and stay",
        "400 in Kafka, unknown in the lake",
        "Up to 500 events/s",
    )
    page.fill("dialog .operation-confirmation input", "shop")
    page.keyboard.press("Enter")
    _says(page, "dialog .badge", "queued")
    page.keyboard.press("Escape")


def _is_watched(page: Any, desk: Desk, settings: Settings) -> None:
    leased = desk.lease("w", (), tuple(Does))
    assert leased is not None
    number = leased.operation.id
    desk.heard(number, WorkerSays(worker=leased.lease, state=OperationState.RUNNING))
    _says(page, '[data-load-now="id"]', number)
    folder = _begin(settings, number)
    _says(page, '[data-load-said="run"]', "Nothing has been measured yet.")
    _goes_on(folder, 12, 20, refused=5)
    _says(page, '[data-load-chart="rates"] .legend', "offered", "accepted", "429", "live shop behind")
    _says(page, '[data-load-chart="times"] .legend', "response p99", "event to pixel p99")
    _says(page, '[data-load-chart="scale"] .legend', "executors", "waiting in the collector (right): not measured")
    assert "executors: not measured" not in page.inner_text('[data-load-chart="scale"]')
    desk.heard(number, WorkerSays(worker=leased.lease, state=OperationState.DONE, result={"says": "Nothing lost."}))
    _says(page, '[data-load-one="id"]', "done", "Nothing lost.")


def _are_compared(page: Any, settings: Settings, looked_at: Any) -> None:
    _ended(settings, "aaaaaaaaaaaa", 20, 0)
    _ended(settings, "bbbbbbbbbbbb", 40, 3)
    _says(page, '[data-load-run="aaaaaaaaaaaa"]', "flash-sale, kafka, 500/s, 40s", "good", "Report")
    _says(page, '[data-load-run="bbbbbbbbbbbb"]', "bad")
    page.check('[data-load-pick="bbbbbbbbbbbb"]')
    page.check('[data-load-pick="aaaaaaaaaaaa"]')
    _says(page, '[data-load-compared="figures"]', "before: aaaaaaaaaaaa", "after: bbbbbbbbbbbb")
    _says(page, '[data-load-figure="p99"]', "more than noise: worse")
    _says(page, '[data-load-figure="recovery"]', "one value a run")
    _says(page, '[data-load-chart="compared"] .legend', "aaaaaaaaaaaa accepted", "bbbbbbbbbbbb p99")
    with page.expect_popup() as popup:
        page.click('[data-load-compared="cli"] a:has-text("Report")')
    _says(popup.value, "body", "Two load tests", "more than noise: worse")
    popup.value.close()
    assert "compare=bbbbbbbbbbbb%2Caaaaaaaaaaaa" in page.url, "as they were ticked; the earlier one is before"
    page.click('[data-load-run="bbbbbbbbbbbb"] a:has-text("bbbbbbbbbbbb")')
    _says(page, '[data-load-judged="run"]', "balance", "3 lost, 0 doubled")
    looked_at(page, "load-compared")
    with page.expect_popup() as popup:
        page.click('[data-load-run="bbbbbbbbbbbb"] a:has-text("Report")')
    _says(popup.value, "body", "Load test of shop", "3 lost, 0 doubled", "route shop")
    popup.value.close()


def _is_only_seen_by_a_viewer(page: Any, who: Signed) -> None:
    who.access.users.grant(NAME, (Grant(role=Role.VIEWER),))
    page.reload()
    _says(page, '[data-load-run="aaaaaaaaaaaa"]', "good")
    page.wait_for_selector('[data-load-do="plan"].is-denied', timeout=_WITHIN_MS)
