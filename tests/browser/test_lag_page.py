"""The lag page in Chromium, over an API in this process: who is behind, since when, why, when it will have caught up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from controlplane.contract.lag import (
    Cause,
    ConsumerKind,
    LagExplained,
    LagJudged,
    LagSource,
    LagVerdict,
    PartitionLag,
    Suspect,
)
from controlplane.contract.names import Hop
from load_tests.bench.browser import says

if TYPE_CHECKING:
    from collections.abc import Sequence


_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)


def _away(sql: str, **parameters: object) -> Sequence[tuple[object, ...]]:
    raise OSError("ClickHouse does not answer: refused")


def _partition(number: int, lag_s: float | None, verdict: LagVerdict, **more: Any) -> PartitionLag:
    lag = None if lag_s is None else int(lag_s * 200)
    source = None if lag_s is None else LagSource.BETWEEN if lag_s else LagSource.CAUGHT_UP
    said = {"position": 90_000, "end": 90_000 + (lag or 0), "lag_events": lag, "error_s": 1.0, "source": source, **more}
    return PartitionLag(partition=number, lag_s=lag_s, verdict=verdict, **said)


def _judged(consumer: str, verdict: LagVerdict, lag_s: float | None, **more: Any) -> LagJudged:
    at = more.pop("at", datetime.now(UTC))
    partitions = tuple(_partition(number, lag_s, verdict, rule=4, moved_at=at) for number in range(3))
    said: dict[str, Any] = {
        "consumer_kind": ConsumerKind.QUERY if " " in consumer else ConsumerKind.GROUP,
        "topic": "shop.raw" if consumer.startswith("route") else "shop.valid",
        "partitions": () if lag_s is None else partitions,
        "lag_s": lag_s,
        "error_s": None if lag_s is None else 1.0,
        "lag_events": None if lag_s is None else int(lag_s * 600),
        "taken_per_s": None if lag_s is None else 450.0,
        "arriving_per_s": None if lag_s is None else 450.0,
        "since": at - timedelta(minutes=8),
        **more,
    }
    return LagJudged(at=at, consumer=consumer, verdict=verdict, **said)


def _facts() -> list[Any]:
    at = datetime.now(UTC)
    merge = Suspect(
        cause=Cause.SMALL_FILES,
        share=0.62,
        evidence="MERGE into entity_customer opened 412 of 640 files for 90 rows, 6.1 of 9.8 s.",
        advice="Compact the table: `tidegate maintain run shop`.",
        page="/lake",
    )
    burst = Suspect(
        cause=Cause.INPUT_BURST, share=0.21, evidence="<b>3x</b> arrives", advice="Wait.", page="/live/shop"
    )
    return [
        _judged(
            "lake shop",
            LagVerdict.WARN,
            42.3,
            stream="shop",
            hop=Hop.LAKE,
            reason="lag has grown from 12 to 42 s over 5 min",
            arriving_per_s=1800.0,
            taken_per_s=450.0,
            hot_partition=2,
            retention_s=7200.0,
            shadow="tidegate.lake.shop",
        ),
        _judged("live shop", LagVerdict.OK, 0.0, stream="shop", catch_up_s=0.0, shadow="tidegate.live.shop"),
        _judged("live flights", LagVerdict.OK, 310.0, topic="flights.valid", catch_up_s=120.0, taken_per_s=9000.0),
        _judged("route flights", LagVerdict.OK, 0.0, topic="flights.raw", catch_up_s=0.0, is_idle=True),
        _judged("route shop", LagVerdict.UNKNOWN, None, reason="the broker does not answer"),
        _judged("billing", LagVerdict.STALL, 900.0, taken_per_s=0.0, reason="its offset has not moved for 15 min"),
        _judged("billing", LagVerdict.OK, 0.0, topic="shop.dead", catch_up_s=0.0),
        _judged("reports", LagVerdict.STOP, 5.0, at=at - timedelta(seconds=60)),
        LagExplained(at=at, consumer="lake shop", stream="shop", is_slow=True, suspects=(merge, burst)),
    ]


def test_the_lag_page_says_who_is_behind_since_when_why_and_until_when(opened: Any, looked_at: Any) -> None:
    with opened(_away) as console:
        page = console.page
        console.press("d", "/lag")
        _says(page, "#lag-said", "Nothing is known of lag now: the lag monitor has not reported yet.")
        _says(page, '[data-lag-rows="query"]', "lake shop", "live shop", "route shop", "unknown")
        looked_at(page, "lag-empty")

        console.report(*_facts())
        one_look(page)
        opens(page)
        links(page, console.address)
        healed = [_judged("lake shop", LagVerdict.OK, 0.4, catch_up_s=0.1, since=datetime.now(UTC))]
        healed += [_judged("route shop", LagVerdict.OK, 0.0, catch_up_s=0.0)]
        healed += [_judged("billing", LagVerdict.OK, 0.0, catch_up_s=0.0)]
        healed += [_judged("live flights", LagVerdict.OK, 0.0, topic="flights.valid", catch_up_s=0.0)]
        healed += [_judged("reports", LagVerdict.OK, 0.0, catch_up_s=0.0)]
        console.report(*healed)
        _says(page, '#lag-said [data-key="well"]', "Everybody", "The furthest behind is lake shop: 0.4")
        assert console.complaints == []


def one_look(page: Any) -> None:
    shop = '#lag-said [data-key="lake shop shop.valid"]'
    _says(
        page,
        shop,
        "lake shop is 42",
        "1.0",
        "since",
        "falls further behind",
        "Likeliest small files: MERGE",
        "412 of 640",
    )
    _says(page, shop, "At this rate it never catches up.", "may be deleted unread in 2")
    _says(page, '#lag-said [data-key="billing shop.valid"]', "takes nothing", "it will not catch up by itself")
    _says(page, '#lag-said [data-key="live flights flights.valid"]', "more than arrives", "caught up in about 2")
    _says(page, "#lag-said", "Not known: route shop (the broker does not answer)")
    _says(page, "#lag-said", "reports (not confirmed lately)")
    row = '[data-lag-row="lake shop shop.valid"]'
    _says(page, row, "falls behind", "8 min", "42", "never", "1,800 → 450", "hot: partition 2", "tidegate.lake.shop")
    assert page.text_content(f"{row} td:nth-child(6) .is-bad") is not None
    _says(page, '[data-lag-row="route flights flights.raw"]', "idle")
    _says(page, '[data-lag-row="route shop shop.raw"]', "unknown")
    _says(page, '[data-lag-rows="group"] [data-lag-row="reports shop.valid"].is-old', "unknown", "stopped, 6", " s ago")
    order = page.eval_on_selector_all(
        '[data-lag-rows="query"] [data-lag-row]', "rows => rows.map(each => each.dataset.lagRow)"
    )
    assert order[:2] == ["lake shop shop.valid", "route shop shop.raw"], "the worst first, then what is unknown"


def opens(page: Any) -> None:
    page.click('[data-lag-row="lake shop shop.valid"] .lag-name')
    assert page.url.endswith("/lag/lake%20shop")
    _says(page, '[data-lag-open="head"]', "lake shop", "falls behind")
    _says(page, '[data-lag-open="reason"]', "lag has grown from 12 to 42 s over 5 min", "rule 4, partition 0")
    _says(
        page,
        '[data-lag-open="why"] [data-cause="small_files"]',
        "62 %",
        "412 of 640",
        "tidegate maintain run shop",
        "Show",
    )
    _says(page, '[data-lag-open="why"] [data-cause="input_burst"]', "<b>3x</b> arrives")
    assert page.get_attribute('[data-cause="small_files"] a', "href") == "/lake"
    _says(page, '[data-lag-partitions="shop"], [data-lag-open="partitions"]', "2 hot", "90,000", "8,460", "rule 4")
    _says(page, '[data-lag-open="history"]', "is unknown: ", "ClickHouse does not answer: refused")
    page.wait_for_selector('#lag-open [data-copies*="lag why"]', timeout=_WITHIN_MS)
    copies = page.eval_on_selector_all("#lag-open [data-copies]", "all => all.map(each => each.dataset.copies)")
    assert copies == ["tidegate lag show 'lake shop'", "tidegate lag why 'lake shop'"]
    page.click("#range-open")
    page.click('[data-range="6h"]')
    assert page.url.endswith("/lag/lake%20shop?range=6h")
    page.wait_for_function(
        "document.querySelectorAll('[data-lag-chart] .scatterlayer .trace').length === 3", timeout=_WITHIN_MS
    )


def links(page: Any, address: str) -> None:
    page.goto(f"{address}/lag/billing?topic=shop.valid&range=15m")
    _says(page, '[data-lag-open="reason"]', "its offset has not moved for 15 min")
    _says(page, '[data-lag-open="why"]', "nothing is known but its offsets")
    page.goto(f"{address}/lag/nobody")
    _says(page, '[data-lag-open="reason"]', "There is no such consumer now.")
    page.click('.nav a[href="/lag"]')
    page.wait_for_function("document.getElementById('lag-open')?.hidden", timeout=_WITHIN_MS)
