"""The wall board in Chromium, over an API in this process: well, wrong and where, unknown, old, not connected, signed out."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import expect

from controlplane.contract.access import Principal
from controlplane.contract.alerts import AlertsCounted, IncidentSeverity, IncidentsListed, OpenIncident
from controlplane.contract.facts import (
    FACTS,
    HopMeasured,
    LedgerPartition,
    LedgerTaken,
    PartChanged,
    PartState,
    Verdict,
)
from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict
from controlplane.contract.latency import BurnJudged, BurnVerdict
from controlplane.contract.names import Hop
from controlplane.contract.operations import Kind, OperationAsked
from controlplane.service.api import create_api
from controlplane.service.audit.port import NotKept
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from controlplane.contract.facts import Fact
    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_WITHIN_MS = 15_000
_KINDS = ("cart", "purchase", "view")


def _flowing(sql: str, **parameters: int | str) -> Sequence[tuple[object, ...]]:
    """A ClickHouse into which a hundred events come each second, the newest 50 ms ago."""
    now_ms = int(time.time() * 1000) - 50
    if "GROUP BY partition" in sql:
        return [(0, now_ms // 10, now_ms, now_ms)]
    if "fresh" not in parameters:
        return []
    fresh, until = int(parameters["fresh"]), int(parameters["until"])
    rows = [
        (0, bucket, kind, 40 + (bucket * (number + 3)) % 17, 30, 180.0)
        for bucket in range(fresh, until)
        for number, kind in enumerate(_KINDS)
    ]
    return [*rows, (1, 0, "", 12_345, 678, 190.5)]


def _hop(stream: str, hop: Hop, per_s: float | None, **more: Any) -> HopMeasured:
    at = datetime.now(UTC)
    return HopMeasured(at=at, stream=stream, hop=hop, events=1000, events_per_s=per_s, newest_at=at, **more)


def _hops(stream: str) -> list[Fact]:
    rates = {
        Hop.RAW: 1204.0,
        Hop.VALID: 1190.0,
        Hop.DEAD: 2.0,
        Hop.QUARANTINE: 12.0,
        Hop.LAKE: 1190.0,
        Hop.SERVING: 1190.0,
    }
    return [_hop(stream, hop, per_s) for hop, per_s in rates.items()]


def _account(stream: str, verdict: Verdict, reason: str) -> LedgerTaken:
    partition = LedgerPartition(
        partition=0, raw_from=0, raw_until=12, produced=10, valid=8, dead=1, quarantined=1, lake=8, serving=8
    )
    return LedgerTaken(at=datetime.now(UTC), stream=stream, partitions=(partition,), verdict=verdict, reason=reason)


def _lag(consumer: str, hop: Hop, verdict: LagVerdict, lag_s: float | None, **more: Any) -> LagJudged:
    stream, at = consumer.split()[1], datetime.now(UTC)
    said: dict[str, Any] = {
        "consumer_kind": ConsumerKind.QUERY,
        "topic": f"{stream}.valid",
        "since": at - timedelta(minutes=8),
    }
    return LagJudged(at=at, consumer=consumer, stream=stream, hop=hop, verdict=verdict, lag_s=lag_s, **{**said, **more})


def _listed(at: datetime, *incidents: OpenIncident) -> IncidentsListed:
    return IncidentsListed(at=at, incidents=incidents, open=len(incidents))


def _burn(hop: Hop | None, verdict: BurnVerdict, left: float | None, **more: Any) -> BurnJudged:
    """Dated so that what the service itself judges, of nothing, does not take its place."""
    at, level = datetime.now(UTC) + timedelta(minutes=5), "latency" if hop is None else "freshness"
    said = {"rates": {"1h": 16.24, "6h": 0.31}, "promised_s": 30.0, "budget_left": left, "verdict": verdict}
    return BurnJudged.model_validate({"at": at, "stream": "shop", "level": level, "hop": hop, **said, **more})


def _well(*streams: str) -> list[Fact]:
    """All that there has to be known, and nothing wrong with it."""
    at = datetime.now(UTC)
    counted = AlertsCounted(
        at=at, open=0, critical=0, acknowledged=0, held=0, waiting=0, refused=0, pages=False, version=1
    )
    facts: list[Fact] = [PartChanged(at=at, part="lake", state=PartState.RUNNING), counted, _listed(at)]
    for stream in streams:
        facts += [*_hops(stream), _account(stream, Verdict.BALANCED, "10 of 10 events are accounted for")]
        facts += [
            _lag(f"route {stream}", Hop.VALID, LagVerdict.OK, 0.013),
            _lag(f"lake {stream}", Hop.LAKE, LagVerdict.OK, 1.4),
            _lag(f"live {stream}", Hop.SERVING, LagVerdict.OK, 0.0),
        ]
    return facts


@dataclass(frozen=True)
class _Wall:
    """A board that is open, and the service behind it."""

    page: Any
    service: Service
    desk: Desk
    api: int
    who: Signed
    address: str
    complaints: list[str] = field(default_factory=list)

    @contextmanager
    def hub(self) -> Iterator[None]:
        """The hub is there."""
        with served(create_api(self.service, access=self.who.access), self.api):
            yield

    def report(self, *facts: Fact) -> None:
        url = f"http://127.0.0.1:{self.api}/api/v1/facts"
        httpx.post(url, content=FACTS.dump_json(list(facts)), headers=self.who.headers).raise_for_status()

    def is_well(self, *streams: str) -> None:
        """Told again until it is seen: what was told once is old before a machine that is busy has drawn it."""
        verdict, until = self.page.locator(".verdict"), time.monotonic() + _WITHIN_MS / 1000
        while verdict.inner_text() != "OK":
            assert time.monotonic() < until, self.page.locator("main").inner_text()
            self.report(*_well(*streams))
            with suppress(AssertionError):
                expect(verdict).to_have_text("OK", timeout=2_000)

    def signs_out(self) -> None:
        url = f"http://127.0.0.1:{self.api}/api/v1/session"
        httpx.delete(url, headers=self.who.as_page).raise_for_status()

    def says(self, selector: str, *texts: str) -> None:
        for text in texts:
            expect(self.page.locator(selector).first).to_contain_text(text, timeout=_WITHIN_MS)


@contextmanager
def _wall(who: Signed, folder: Path, *streams: StreamDefinition, query: Any = _flowing) -> Iterator[_Wall]:
    api, console = free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    engine = engine_of(f"sqlite:///{folder / 'operations.sqlite'}")
    create_all(engine)
    desk = Desk(engine, [each.name for each in streams], NotKept())
    service = Service(streams, query, address, 0.1, operations=desk, schedules=Schedules(engine, desk))
    with (
        served(create_app(ConsoleData({each.name: each for each in streams}, api)).server, console),
        opened_console("about:blank", who.cookie) as page,
    ):
        wall = _Wall(page, service, desk, api, who, f"{address}/live")
        page.on("pageerror", lambda error: wall.complaints.append(str(error)))
        page.on("console", lambda said: wall.complaints.append(said.text) if "Content Security" in said.text else None)
        page.set_viewport_size({"width": 1920, "height": 1080})
        yield wall


def test_one_look_says_whether_all_is_well_and_if_not_what_and_where(
    shop: StreamDefinition, who: Signed, looked_at: Callable[[Any, str], None], tmp_path: Path
) -> None:
    flights = shop.model_copy(update={"name": "flights", "title": "Flights"})
    with _wall(who, tmp_path, shop, flights) as wall, wall.hub():
        page, of_shop = wall.page, '[data-stream="shop"]'
        page.goto(f"{wall.address}?theme=light")
        wall.says(".verdict", "Unknown")
        wall.says(f'{of_shop} [data-figure="events a second"]', "unknown", "not measured yet")
        wall.says(f'{of_shop} [data-hop="lake"]', "unknown", "not measured yet")
        wall.says(".badge", "ledger unknown")

        wall.is_well("shop", "flights")
        wall.says(f'{of_shop} [data-figure="events a second"]', "1,204")
        wall.says(f'{of_shop} [data-figure="newest event"]', "0\u2009s ago", "promised 30")
        wall.says(f'{of_shop} [data-figure="valid"]', "98.8")
        wall.says(f'{of_shop} [data-hop="lake"]', "ok", "1.4")
        wall.says(f"{of_shop} .chart", "Traffic by kind of event", "12.3", "purchase")
        wall.says(".top", "p50 · p99", "measured here")
        wall.says(".operations", "none under way")
        assert page.locator(".figure.is-stale").count() == 0
        assert wall.service.hub.latencies.pixel(datetime.now(UTC)) is not None
        looked_at(page, "wall-well")

        wall.report(
            _account("shop", Verdict.UNBALANCED, "missing: 3 in serving"),
            _lag("lake flights", Hop.LAKE, LagVerdict.WARN, 42.3, reason="lag has grown from 12 to 42 s"),
        )
        wall.says(".verdict", "2 problems")
        wall.says(".problems li:first-child", "ledger of shop", "does not add up: missing: 3 in serving", "since")
        wall.says(f'{of_shop}[data-level="bad"] .badge', "ledger unbalanced")
        wall.says('[data-stream="flights"] [data-hop="lake"][data-level="slow"]', "behind", "42")
        wall.desk.ask(OperationAsked(kind=Kind.BACKFILL, asked={"stream": "shop"}), Principal(name="ben", grants=()))
        wall.says(".operation", "backfill of shop, planning")
        page.keyboard.press("?")
        wall.says("dialog[open]", "?streams=shop,flights")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).not_to_be_visible()

        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{wall.address}?theme=dark&streams=flights,nobody")
        wall.says(".problems", "nobody is no stream")
        expect(page.locator(".card")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        wall.signs_out()
        wall.says(".lost", "refused: the session has ended", "Sign in")
        assert (
            page.get_attribute(".lost a", "href") == "/sign-in?next=%2Flive%3Ftheme%3Ddark%26streams%3Dflights%2Cnobody"
        )
        assert wall.complaints == []


def test_what_is_old_is_never_shown_as_new(
    shop: StreamDefinition, who: Signed, looked_at: Callable[[Any, str], None], tmp_path: Path
) -> None:
    with _wall(who, tmp_path, shop) as wall:
        page = wall.page
        with wall.hub():
            loads: list[str] = []
            page.on("framenavigated", lambda frame: loads.append(frame.url))
            page.route("**/live/assets/version", lambda route: route.fulfill(body="another board"))
            with page.expect_event("framenavigated", lambda _: len(loads) == 2, timeout=_WITHIN_MS):
                page.goto(wall.address)
            wall.is_well("shop")
            assert len(loads) == 2, "it loads itself anew once"
            page.unroute_all()
        wall.says(".lost", "no connection for", "what you see is from")
        wall.says(".verdict", "Not connected")
        wall.says('[data-figure="events a second"]', "1,204")
        greys = "each => getComputedStyle(each).filter"
        assert page.locator(".plot").evaluate(greys) == "grayscale(1)"
        looked_at(page, "wall-lost")
        with wall.hub():
            expect(page.locator(".lost")).to_have_count(0, timeout=_WITHIN_MS)
            wall.is_well("shop")
            assert page.locator(".plot").evaluate(greys) == "none"
        assert wall.complaints == []


def test_which_incidents_are_open_and_how_budgets_are_spent_is_seen_and_what_nobody_says_is_unknown(
    shop: StreamDefinition, who: Signed, looked_at: Callable[[Any, str], None], tmp_path: Path
) -> None:
    with _wall(who, tmp_path, shop) as wall, wall.hub():
        page, now = wall.page, datetime.now(UTC)
        page.goto(f"{wall.address}?theme=dark")
        wall.says(".incidents", "unknown: alerts has said nothing yet")
        wall.report(_listed(now - timedelta(minutes=5)))
        wall.says(
            '.incidents [data-level="unknown"]',
            f"alerts has said nothing since {now - timedelta(minutes=5):%H:%M:%S} UTC",
        )

        gate = OpenIncident(
            id="i1", severity=IncidentSeverity.CRITICAL, title="A gate fails", subject="shop/lake", reason="because",
            opened_at=now - timedelta(minutes=190),
        )  # fmt: skip
        lags = OpenIncident(
            id="i2", severity=IncidentSeverity.WARNING, title="A query lags", subject="lake shop", reason="because",
            opened_at=now - timedelta(seconds=50), acknowledged_at=now, acknowledged_by="ana",
        )  # fmt: skip
        wall.report(
            *_well("shop"),
            _burn(None, BurnVerdict.KEPT, -0.2),
            _burn(Hop.LAKE, BurnVerdict.BURNS_FAST, 0.412),
            _burn(Hop.SERVING, BurnVerdict.UNKNOWN, None, reason="the lag monitor has not measured it"),
        )
        wall.report(_listed(now + timedelta(minutes=4), gate, lags))
        wall.says(".incidents li", "critical", "shop/lake", "A gate fails", "not acknowledged", "3\u2009h")
        wall.says(".incidents li:nth-child(2)", "warning", "lake shop", "acknowledged by ana", "\u2009s")
        assert page.get_attribute(".incidents li a", "href") == "/alerts/i1"
        wall.says('[data-hop="latency"][data-level="slow"]', "overdrawn", "-20\u2009% left")
        wall.says(
            '[data-hop="fresh in lake"][data-level="bad"]',
            "burns fast",
            "41.2\u2009% left",
            "1\u2009h 16\u00d7 \u00b7 6\u2009h 0.3\u00d7",
        )
        wall.says('[data-hop="fresh served"][data-level="unknown"]', "unknown", "the lag monitor has not measured it")
        looked_at(page, "wall-incidents")
        wall.report(_listed(now + timedelta(minutes=5)))
        expect(page.locator(".incidents")).to_have_count(0, timeout=_WITHIN_MS)
        assert wall.complaints == []
