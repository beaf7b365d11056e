"""What is told of what has happened, in Chromium: incidents that open and resolve, suites that are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException

from controlplane.contract.alerts import AlertsCounted
from controlplane.contract.gates import Stage, SuiteFollowed
from controlplane.up.checks import free_port
from load_tests.bench.browser import says, served

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_HALTED = {"id": "a1", "title": "A gate does not let data through", "subject": "shop/lake"}
_BEHIND = {"id": "b2", "title": "A query is behind", "subject": "shop/route"}

_FRAMES = """async () => {
  for (let frame = 0; frame < 20; frame += 1) {
    for (const each of window.tidegate.painters) await each(window.tidegate.latest.get("overview"));
    await new Promise((done) => requestAnimationFrame(done));
  }
}"""


class _Alerts:
    """A room that has these incidents, or does not answer."""

    def __init__(self) -> None:
        self.open: list[dict[str, str]] = []
        self.past: list[dict[str, str]] = []
        self.is_away, self.version, self.asked = False, 0, 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/api/v1/alerts/incidents")
        def incidents() -> dict[str, Any]:
            self.asked += 1
            if self.is_away:
                raise HTTPException(503, "alerts is away")
            return {"open": self.open, "past": self.past}

        return app

    def counted(self) -> AlertsCounted:
        self.version += 1
        many = len(self.open)
        return AlertsCounted(
            at=datetime.now(UTC), open=many, critical=0, acknowledged=0, held=0, waiting=0, refused=0, pages=True,
            version=self.version,
        )  # fmt: skip


def _suite(refused: str | None) -> SuiteFollowed:
    now = datetime.now(UTC)
    return SuiteFollowed(at=now, stream="shop", stage=Stage.LAKE, suite="f" * 12, rules=3, since=now, refused=refused)


def test_what_happens_is_told_once(opened: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    alerts, room = _Alerts(), free_port()
    alerts.open = [_HALTED]
    with (
        served(alerts.app(), room),
        opened(lambda *_, **__: [], rooms={"alerts": f"http://127.0.0.1:{room}"}) as console,
    ):
        _how_things_were_is_no_news(console, alerts)
        _opened_and_resolved(console, alerts)
        _nobody_who_is_away_is_asked_at_each_frame(console, alerts, eventually)
        _suites_refused(console)
        assert console.complaints == []


def _how_things_were_is_no_news(console: Any, alerts: _Alerts) -> None:
    console.report(alerts.counted(), _suite(None))
    console.page.wait_for_function(
        "sessionStorage.getItem('tidegate-news')?.includes('\"incidents\":{\"a1\":true}')", timeout=_WITHIN_MS
    )
    assert console.page.locator(".toast").count() == 0


def _opened_and_resolved(console: Any, alerts: _Alerts) -> None:
    alerts.open, alerts.past = [_BEHIND], [_HALTED]
    console.report(alerts.counted())
    _says(console.page, "#toasts", "Incident: A query is behind", "Resolved: A gate does not let data through")
    good = console.page.locator('.toast[data-state="good"]')
    assert good.inner_text().startswith("Resolved")
    assert good.locator("a").get_attribute("href") == "/alerts/a1"
    _says(console.page, "#news-open", "2")


def _nobody_who_is_away_is_asked_at_each_frame(console: Any, alerts: _Alerts, eventually: Callable[..., Any]) -> None:
    alerts.is_away, before = True, alerts.asked
    console.report(alerts.counted())
    eventually(lambda: alerts.asked > before, "alerts were asked")
    console.page.evaluate(_FRAMES)
    assert alerts.asked < before + 4
    alerts.is_away, alerts.open, alerts.past = False, [], [_BEHIND, _HALTED]
    _says(console.page, "#toasts", "Resolved: A query is behind")


def _suites_refused(console: Any) -> None:
    console.report(_suite("suite.json: lake: no rule is named 'expect_nothing'"))
    _says(console.page, "#toasts", "The suites of shop are refused")
    console.page.click("#news-open")
    _says(console.page, "#news", "The suites of shop are refused", "Resolved: A query is behind", "ago")
    console.page.click("#news a:has-text('suites')")
    console.page.wait_for_url("**/quality/shop", timeout=_WITHIN_MS)
