"""Page Trials: a folder is sent and tried, what it found is seen, promoted or discarded. The worker of operations is played."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.operations import LEASE_PATH, PATH, Leased, Plan, StagePlanned
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.trial_verdict import differing
from controlplane.contract.trials import (
    ChartPoint,
    ColumnCompared,
    CostCompared,
    Definition,
    MeasureCompared,
    RollupCompared,
    RowExample,
    RowsCompared,
    RuleCounts,
    SideCost,
    TrialFound,
    ValueExample,
)
from controlplane.service.api import create_api
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, served
from pipeline.operate.serve import create_api as create_worker
from pipeline.trial.asked import folder_of, scratch_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlplane.contract.operations import Operation
    from load_tests.bench.signed import Signed

WITHIN_MS = 15_000
AT = datetime(2013, 1, 7, 12, tzinfo=UTC)


class Played:
    """A console over an API with the worker's own router; the test is the worker."""

    def __init__(self, page: Any, api: str, settings: Settings, headers: dict[str, str]) -> None:
        self.page, self.api, self.settings, self.headers = page, api, settings, headers
        self.complaints: list[str] = []

    def lease(self) -> Leased:
        answer = httpx.post(f"{self.api}{LEASE_PATH}", json={"worker": "w", "holds": []}, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return Leased.model_validate(answer.json())

    def said(self, leased: Leased, **what: Any) -> None:
        url = f"{self.api}{PATH}/{leased.operation.id}/said"
        httpx.post(url, json={"worker": leased.lease, **what}, headers=self.headers).raise_for_status()

    def operations(self) -> list[dict[str, Any]]:
        return list(httpx.get(f"{self.api}{PATH}", headers=self.headers).json()["items"])


class _Unheard:
    def record(self, *_: Any, **__: Any) -> None: ...


@pytest.fixture
def played(tmp_path: Path, who: Signed) -> Iterator[Played]:
    (tmp_path / "token").write_text(who.access.service_token)
    settings = Settings(data=tmp_path, token_file=tmp_path / "token")
    flights = load_stream(SHIPPED_STREAMS / "flights")
    engine = engine_of(f"sqlite:///{tmp_path / 'operations.sqlite'}")
    create_all(engine)
    desk = Desk(engine, ["flights"], _Unheard())
    api, console, worker = free_port(), free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    service = Service([flights], lambda *_, **__: [], address, 0.1, operations=desk, schedules=Schedules(engine, desk))
    with (
        served(create_app(ConsoleData({"flights": flights}, api)).server, console),
        served(create_worker(settings, lambda _: ()), worker),
        served(create_api(service, {"trials": f"http://127.0.0.1:{worker}"}, access=who.access), api),
        opened_console("about:blank", who.cookie) as page,
    ):
        one = Played(page, f"http://127.0.0.1:{api}", settings, who.headers)
        page.on("pageerror", lambda error: one.complaints.append(str(error)))
        page.goto(address)
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=WITHIN_MS)
        yield one


def result() -> TrialFound:
    cost = SideCost(events=200_000, cpu_s=2.0, took_s=1.4, files=4, bytes=300_000)
    key = {"tailnum": "N14228", "origin": "EWR"}
    days = [AT.replace(day=day, hour=0) for day in range(7, 14)]
    found = TrialFound(
        stream="flights",
        since=AT,
        until=AT.replace(day=14),
        version=3,
        rejects_version=1,
        today=Definition(digest="a", suites={}),
        changed=Definition(digest="b", suites={}),
        schemas=(),
        rows=RowsCompared(
            history=995, rejects=5, today=995, changed=950, both=945, only_today=50, only_changed=5,
            rules=(RuleCounts(rule="distance_flown", today=0, changed=50), RuleCounts(rule="carrier_code", today=5, changed=0)),
            examples=(RowExample(key=key, at=AT, accepted_by="today", because="distance_flown"),),
        ),
        columns=(
            ColumnCompared(
                column="airline", differ=17, of=945,
                examples=(ValueExample(key=key, at=AT, today="United Air Lines Inc.", changed="<b>United</b>"),),
            ),
            ColumnCompared(column="distance", differ=0, of=945),
        ),
        rollups=(
            RollupCompared(
                rollup="by_carrier", today=90, changed=88, both=88, only_today=2, charted="flights",
                measures=(
                    MeasureCompared(
                        measure="flights", differ=30, of=88, largest=9.0,
                        examples=(ValueExample(key={"carrier": "UA"}, at=AT, today="30", changed="21"),),
                    ),
                ),
                chart=tuple(ChartPoint(at=at, today=140 + at.day, changed=130 + at.day) for at in days),
            ),
        ),
        cost=CostCompared(turns=2, today=cost, changed=cost.model_copy(update={"cpu_s": 2.3})),
        tables={"differences": "/data/trials/x/differences"},
    )  # fmt: skip
    return found.model_copy(update={"differs": differing(found)})


def plan() -> Plan:
    stage = StagePlanned(key="compare", does="compare", title="Compare", rows=995, seconds=10)
    return Plan(at=datetime.now(UTC), stages=(stage,), touches=(), confirmation="flights", fingerprint="f", rows=995)


def _filled(page: Any, mine: Path) -> None:
    """The form, with a folder that has a mistake."""
    page.wait_for_selector('.nav a[href="/trials"]', timeout=WITHIN_MS)
    page.keyboard.press("g")
    page.keyboard.press("x")
    page.wait_for_selector(".trial-form", timeout=WITHIN_MS)
    page.click(".trial-form button[type=submit]")
    page.wait_for_selector(".trial-said >> text=say which: a folder, from, until", timeout=WITHIN_MS)
    shutil.copytree(SHIPPED_STREAMS / "flights", mine)
    (mine / "stream.yaml").write_text((mine / "stream.yaml").read_text().replace("tailnum, origin", "nobody, origin"))
    page.fill('.trial-form [name="since"]', "2013-01-07")
    page.fill('.trial-form [name="until"]', "2013-01-14")
    page.set_input_files('.trial-form [name="files"]', str(mine))
    page.click(".trial-form button[type=submit]")
    page.wait_for_selector(".trial-said >> text=there is no field 'nobody'", timeout=WITHIN_MS)


def test_a_folder_is_sent_tried_and_promoted(played: Played, tmp_path: Path, looked_at: Any) -> None:
    page, mine = played.page, tmp_path / "my-flights"
    _filled(page, mine)
    assert not played.operations(), "a folder with a mistake is not tried"
    shutil.copy(SHIPPED_STREAMS / "flights" / "stream.yaml", mine / "stream.yaml")
    page.set_input_files('.trial-form [name="files"]', str(mine))
    cli = page.get_attribute(".trial-form [data-copies]", "data-copies")
    assert cli == "tidegate trial start flights ./my-flights --since 2013-01-07T00:00:00Z --until 2013-01-14T00:00:00Z"
    page.click(".trial-form button[type=submit]")
    page.wait_for_selector("dialog[open]", timeout=WITHIN_MS)
    leased = played.lease()
    operation: Operation = leased.operation
    folder = folder_of(str(operation.asked["folder"]), "flights", played.settings)
    assert (folder / "reference" / "weather.parquet").stat().st_size == (
        mine / "reference" / "weather.parquet"
    ).stat().st_size

    played.said(leased, plan=plan().model_dump(mode="json"))
    page.fill('dialog [name="confirmation"]', "flights", timeout=WITHIN_MS)
    page.click('dialog [data-operate-do="confirm"]')
    page.wait_for_selector('dialog .badge[data-state="queued"]', timeout=WITHIN_MS)
    found = result()
    scratch = scratch_of(played.settings, operation.id)
    scratch.mkdir(parents=True)
    (scratch / "result.json").write_text(found.model_dump_json())
    played.said(played.lease(), state="done", result=found.model_dump(mode="json"))
    page.wait_for_selector("dialog .trial-verdict", timeout=WITHIN_MS)
    said = page.inner_text("dialog .operation-result")
    for each in (
        *found.differs,
        "50 rows no more",
        "1 of 2 columns differ",
        "+15 % CPU",
        "turned away by distance_flown",
    ):
        assert each.replace("`", "") in said, each
    page.click("dialog .trial-examples >> nth=1")
    assert page.locator("dialog .trial-examples b").count() == 0, "values are text, whatever is in them"
    assert page.locator("dialog .trial-chart polyline").count() == 2

    looked_at(page, "trial")
    page.click('dialog [data-trial-do="discard"]')
    assert scratch.exists(), "it is asked twice"
    page.click('dialog [data-trial-do="promote"]')
    page.wait_for_selector("dialog >> text=Make trial", timeout=WITHIN_MS)
    promotion = played.lease().operation
    assert (promotion.kind, promotion.asked) == (
        "promotion",
        {"stream": "flights", "trial": operation.id, "back": None},
    )

    page.goto(f"{page.url.split('/trials')[0]}/trials/{operation.id}")
    page.click('[data-trial-do="discard"]', timeout=WITHIN_MS)
    page.click('[data-trial-do="discard"]')
    page.wait_for_selector("text=Discarded: its tables are gone", timeout=WITHIN_MS)
    assert not scratch.exists()
    assert not played.complaints
