"""The quality page in Chromium, over an API in this process: facts are posted, orders are given and looked up again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.facts import FACTS, LedgerPartition, LedgerTaken, Verdict
from controlplane.contract.gates import (
    BreakerChanged,
    BreakerState,
    GateDecided,
    Outcome,
    RuleVerdict,
    Severity,
    Stage,
    SuiteFollowed,
)
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, says, served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_SUITE = "3f9a01c2b7de"


def _away(sql: str, **parameters: int) -> Sequence[tuple[object, ...]]:
    raise OSError("ClickHouse does not answer: refused")


def _rule(name: str, severity: str, kept: bool | None, **more: Any) -> RuleVerdict:  # noqa: ANN401, FBT001 (rows of a table)
    kind = "expect_column_values_to_be_between"
    return RuleVerdict(rule=name, expectation=kind, severity=Severity(severity), kept=kept, **more)


def _verdict(at: datetime, stage: Stage, outcome: Outcome, *rules: RuleVerdict, **more: Any) -> GateDecided:  # noqa: ANN401
    said = {"subject": "micro-batch 17", "rows": 9000, "judged": 9000, "took_s": 0.2, "stage_took_s": 4.0, **more}
    return GateDecided(at=at, stream="shop", stage=stage, suite=_SUITE, outcome=outcome, rules=rules, **said)


def _account(at: datetime, valid: int, quarantined: int) -> LedgerTaken:
    counts = {"valid": valid, "dead": 0, "quarantined": quarantined, "lake": valid, "serving": valid}
    one = LedgerPartition(partition=0, raw_from=0, raw_until=1, produced=valid + quarantined, **counts)
    return LedgerTaken(at=at, stream="shop", partitions=(one,), verdict=Verdict.BALANCED, reason="it adds up")


def _facts() -> list[Any]:
    at = datetime.now(UTC)
    age = _rule(
        "amount_not_negative", "critical", kept=False, judged=200, unexpected=50, examples=("-3.5", "<b>-1</b>")
    )
    odd = _rule("quantity_in_range", "warning", kept=None, reason="there is no column 'qty'")
    fine = _rule("country_code", "critical", kept=True, judged=200, unexpected=0)
    said = {"at": at, "stream": "shop", "suite": _SUITE, "rules": 3, "since": at - timedelta(hours=2)}
    return [
        *(_verdict(at - timedelta(minutes=each), Stage.LAKE, Outcome.PASSED, fine) for each in range(5, 120, 7)),
        _verdict(at - timedelta(minutes=40), Stage.LAKE, Outcome.DIVERTED, age, reason="amount_not_negative is broken"),
        _verdict(at, Stage.LAKE, Outcome.HALTED, fine, odd, age, reason="amount_not_negative is broken by 50 rows"),
        _verdict(at, Stage.INGEST, Outcome.PASSED, fine, took_s=None, stage_took_s=None, judged=2000),
        _verdict(at, Stage.ROLLUP, Outcome.WARNED, fine, table="traffic", reason="a warning"),
        SuiteFollowed(**said, stage=Stage.LAKE, refused="suite.json, line 7: Expecting ',' delimiter"),
        SuiteFollowed(**said, stage=Stage.INGEST),
        SuiteFollowed(**said, stage=Stage.ROLLUP, refused="suite.json, line 7: Expecting ',' delimiter"),
        BreakerChanged(
            at=at,
            stream="shop",
            stage=Stage.INGEST,
            state=BreakerState.OPEN,
            since=at - timedelta(seconds=20),
            resumes_at=at + timedelta(seconds=40),
            turned_away=700,
            seen=1000,
            reason="70 % of the last 30 s were turned away",
        ),
        *(_account(at - timedelta(minutes=8 - each), 1000 * each, 20 * each) for each in range(8)),
    ]


def test_the_quality_page_shows_gates_rules_and_the_past_and_takes_orders(
    shop: StreamDefinition, who: Signed, looked_at: Any, by_keyboard: Any
) -> None:
    api, console = free_port(), free_port()
    address, hub = f"http://127.0.0.1:{console}", f"http://127.0.0.1:{api}"
    service = Service([shop], _away, address, 0.1)
    with (
        served(create_app(ConsoleData({"shop": shop}, api)).server, console),
        served(create_api(service, access=who.access), api),
        opened_console("about:blank", who.cookie) as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        page.wait_for_selector('.nav a[href="/quality"]', timeout=_WITHIN_MS)
        page.keyboard.press("g")
        page.keyboard.press("u")
        _says(page, '[data-quality-gates="shop"] [data-gate="lake"]', "not judged yet", "unknown", "divert")
        _says(page, '[data-quality-strips="shop"]', "No gate has judged in this time")
        looked_at(page, "quality-empty")
        httpx.post(f"{hub}/api/v1/facts", content=FACTS.dump_json(_facts()), headers=who.headers).raise_for_status()

        _says(page, '[data-gate="lake"]', "halted", "micro-batch 17, 9,000 rows", _SUITE, "since 2 h ago", "5 %")
        _says(page, '[data-gate="lake"] + tr[data-state="refused"]', "Configuration error", "line 7")
        _says(page, '[data-gate="ingest"]', "passed", "a sample of 2,000 of 9,000", "open", "probes in", "700 of 1,000")
        _says(page, '[data-gate="rollup traffic"]', "warned", "halt", "a newer one is refused")
        assert page.locator('tr[data-state="refused"]').count() == 1, "one mistake, told once"
        _says(page, '[data-rules-of="lake"]', "3 rules, 1 broken, 1 not evaluated", "25 %", "-3.5", "<b>-1</b>")
        _says(page, '[data-rules-of="lake"] tr[data-rule="quantity_in_range"]', "not evaluated", "no column 'qty'")
        link = page.locator('[data-rules-of="lake"] tr[data-rule="amount_not_negative"] a').get_attribute("href")
        assert link == "/quarantine/shop?rule=amount_not_negative"
        page.click("#range-open")
        page.click('[data-range="1h"]')
        _says(page, '[data-quality-strips="shop"] .gate-strip:nth-of-type(3)', "lake", "halted, diverted")
        _says(page, '[data-quality-share="shop"]', "2 %")
        assert page.url.endswith("/quality?range=1h")
        page.wait_for_function(
            "document.querySelectorAll('[data-quality-chart=\"shop\"] .scatterlayer .trace').length === 3",
            timeout=_WITHIN_MS,
        )

        by_keyboard(page, '[data-gate="ingest"] .order button:first-child')
        page.keyboard.press("Enter")
        _says(page, '[data-quality-said="shop"]', "Ordered: resume ingest of shop")
        page.click('[data-gate="lake"] .order button >> text=Divert it')
        page.click('[data-gate="lake"] .order button >> text=Yes, divert it')
        _says(page, '[data-gate="lake"]', "ana ordered: divert")
        orders = httpx.get(f"{hub}/api/v1/gates/orders", headers=who.headers).json()
        given = [(each["stage"], each["order"]) for each in orders]
        assert given == [("ingest", "resume"), ("lake", "divert")]
        copied = page.locator('[data-gate="lake"] [data-copies]').first.get_attribute("data-copies")
        assert copied == "tidegate gate resume shop lake"
        assert complaints == []
