"""The Latency page in Chromium, over an API in this process: bars, hops, histogram, budgets; and why something is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from controlplane.contract.facts import HopMeasured
from controlplane.contract.folders import load_stream
from controlplane.contract.latency import PROBE, HopsTimed, LatencyHop, ProbeSent, Since
from controlplane.contract.names import Hop, arrivals_table
from controlplane.contract.settings import PROBE_STREAM
from controlplane.contract.spread import gathered
from load_tests.bench.browser import says

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_AGES = {LatencyHop.RAW: 8.0, LatencyHop.ROUTED: 21.0, LatencyHop.INSERTED: 130.0}


def timed(stream: str, factor: float = 1.0) -> HopsTimed:
    hops = {hop: gathered([(ms * factor, 98.0), (ms * factor * 9, 2.0)]) for hop, ms in _AGES.items()}
    return HopsTimed(at=datetime.now(UTC), stream=stream, since=Since.EVENT, hops=hops)


def answers(sql: str, **_: Any) -> Sequence[tuple[object, ...]]:
    """ClickHouse: probes that never cease, an hour of half minutes of any hop, and nothing else."""
    if f"FROM {arrivals_table(PROBE)} " in sql:
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        return [("0", now_ms, now_ms, now_ms)]
    if "FROM tidegate_latency" not in sql or "sumMap" not in sql:
        return []
    now = datetime.now(UTC)
    spread = ([80, 112], [60.0, 40.0])
    return [(now - timedelta(seconds=30 * number), spread, 100, 140.0) for number in range(100, 0, -1)]


def test_the_latency_page_says_how_old_events_are_and_what_is_left(
    opened: Any, looked_at: Callable[[Any, str], None]
) -> None:
    with opened(answers, probe=load_stream(PROBE_STREAM)) as console:
        page = console.page
        console.press("m", "/latency")
        _says(page, '[data-latency-bars="shop"]', "Unknown in the last 5m", "no event has come")
        _says(page, f'[data-latency-burns="{PROBE}"]', "Probes do not arrive: the lag monitor has sent none lately")
        _says(page, '[data-latency-here="here"]', "unknown: this browser has shown no live page")
        looked_at(page, "latency-empty")
        fresh = HopMeasured(at=datetime.now(UTC), stream="shop", hop=Hop.LAKE, lag_s=1.0)
        console.report(
            timed("shop"), timed(PROBE, 0.5), ProbeSent(at=datetime.now(UTC), sent_at=datetime.now(UTC)), fresh
        )
        _says(
            page,
            '[data-latency-hops="shop"]',
            "routed",
            "21\u00a0ms",
            "189\u00a0ms",
            "unknown: nobody has watched this stream",
        )
        _says(page, '[data-latency-since="shop"]', "since its event time")
        assert page.locator('[data-latency-bars="shop"] .latency-track button').count() == 2 * len(_AGES)
        _says(page, '[data-latency-burns="shop"]', "latency: 0.8 s in 99 %", "freshness of lake", "unknown")
        _says(page, f'[data-latency-burns="{PROBE}"]', "One event a second")
        _says(page, '[data-latency-opened="shop"]', "when ClickHouse has it")
        copies = page.get_attribute('[data-latency-cli="shop"] button', "data-copies")
        assert copies == "tidegate latency --stream shop"
        looked_at(page, "latency")
        opens_a_hop(page)
        assert console.complaints == []


def opens_a_hop(page: Any) -> None:
    page.click('[data-latency-hops="shop"] button:text("raw")')
    page.wait_for_url("**/latency/shop?hop=raw", timeout=_WITHIN_MS)
    _says(page, '[data-latency-opened="shop"]', "when the raw topic has it")
    page.wait_for_selector('[data-latency-histogram="shop"] i', timeout=_WITHIN_MS)
    assert page.locator('[data-latency-card="tidegate_probe"]').count() == 0, "the address names one stream"
    page.click('[data-latency-window="1h"]')
    page.wait_for_url("**/latency/shop?hop=raw&window=1h", timeout=_WITHIN_MS)
    page.wait_for_selector(
        '[data-latency-chart="shop"] .scatterlayer path.js-line', state="attached", timeout=_WITHIN_MS
    )


def test_while_probes_are_off_that_is_said(opened: Any) -> None:
    with opened(answers) as console:
        console.page.goto(f"{console.address}/latency/probes")
        _says(console.page, f'[data-latency-bars="{PROBE}"]', "probes are off (TIDEGATE_PROBES=off)")
        assert console.complaints == []
