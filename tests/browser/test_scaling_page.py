"""The Scaling page in Chromium, over an API in this process: executors, the decision, orders in two steps, the policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict, PartitionLag
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import QueryProgressed
from load_tests.bench.browser import says

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)


def _executors(have: int, want: int, port: str = "spark standalone", **more: Any) -> ExecutorsChanged:
    said: dict[str, Any] = {"cores": 1, "least": 1, "most": 8, **more}
    return ExecutorsChanged(at=datetime.now(UTC), target="lake", have=have, want=want, port=port, **said)


def _facts() -> list[Any]:
    at = datetime.now(UTC)
    partitions = tuple(PartitionLag(partition=each, lag_events=30_000) for each in range(8))
    lag = LagJudged(
        at=at,
        consumer="lake shop",
        consumer_kind=ConsumerKind.QUERY,
        topic="shop.valid",
        stream="shop",
        partitions=partitions,
        lag_events=240_000,
        lag_s=80.0,
        error_s=1.0,
        arriving_per_s=3000.0,
        taken_per_s=900.0,
        verdict=LagVerdict.WARN,
        since=at - timedelta(minutes=2),
    )
    batch = QueryProgressed(
        at=at, query="lake shop", stream="shop", mode="microbatch", batch_id=4, rows=9000, took_s=9.0
    )
    return [lag, batch, _executors(2, 4, waits_for="2 of 4 are not there yet, asked for 12 s ago", failed=1)]


def test_the_scaling_page_says_how_many_and_why_and_takes_orders(opened: Any, looked_at: Any) -> None:
    with opened(lambda *_, **__: []) as console:
        page = console.page
        console.press("c", "/scaling")
        _says(page, '[data-scaling-reason="lake"]', "lake has not said how many executors it has")
        _says(page, '[data-scaling-now="lake"]', "unknown")
        looked_at(page, "scaling-empty")
        console.report(*_facts())
        _says(page, '[data-scaling-now="lake"] .totals', "2there", "2 of 4 are not there yet", "1have failed")
        _says(page, '[data-scaling-mode="lake"]', "autoscaler on")
        sets_the_policy(page, console)
        orders(page, console)
        console.report(_executors(0, 0, port="local"))
        _says(page, '[data-scaling-reason="lake"]', "tidegate up --spark standalone gives it some")
        _says(page, '[data-scaling-mode="lake"]', "not scaled")
        page.fill('[data-scaling-input="executors"]', "3")
        page.click('[data-scaling-ask="plan"]')
        _says(page, '[data-scaling-plan="lake"]', "This can’t be ordered", "tidegate up --spark standalone")  # noqa: RUF001
        assert console.complaints == []


def sets_the_policy(page: Any, console: Any) -> None:
    said = '[data-scaling-said="lake"]'
    page.fill('[data-scaling-input="most"]', "20")
    page.fill('[data-scaling-input="in_cool_down"]', "4m")
    copies = '[data-scaling-cli="lake set"] button'
    assert page.get_attribute(copies, "data-copies") == "tidegate scaling set lake --most 20 --in-cool-down 4m"
    page.click('[data-scaling-ask="set"]')
    _says(page, said, "The policy is set.")
    page.fill('[data-scaling-input="least"]', "30")
    page.click('[data-scaling-ask="set"]')
    _says(page, said, "Nothing was changed", "least (30) is more than most (20)")
    page.click('[data-scaling-ask="reset"]')
    page.wait_for_function("document.querySelector('[data-scaling-input=\"least\"]').value === '2'", timeout=_WITHIN_MS)
    page.click('[data-scaling-ask="dry-run"]')
    _says(page, '[data-scaling-mode="lake"]', "dry run")
    policy = _target(console)["policy"]
    assert (policy["least"], policy["most"], policy["in_cool_down"], policy["is_dry_run"]) == (2, 20, "4m", True)


def _target(console: Any) -> Any:
    found = httpx.get(f"{console.api}/api/v1/scaling", headers=console.headers)
    return found.raise_for_status().json()["targets"][0]


def orders(page: Any, console: Any) -> None:
    page.fill('[data-scaling-input="executors"]', "12")
    page.fill('[data-scaling-input="for"]', "30m")
    copied = page.get_attribute('[data-scaling-cli="lake scale"] button', "data-copies")
    assert copied == "tidegate scaling scale lake 12 --for 30m"
    page.click('[data-scaling-ask="plan"]')
    _says(page, '[data-scaling-plan="lake"]', "12 executors instead of 2", "the cluster gives 8 executors at most")
    assert _target(console)["ordered"] is None, "a plan changes nothing"
    page.click('[data-scaling-ask="order"]')
    _says(page, '[data-scaling-said="lake"]', "Ordered: 12 executors until")
    _says(page, '[data-scaling-now="lake"]', "ana has ordered 12", "12wanted", "Rule 1,")
    _says(page, '[data-scaling-changes="lake"]', "ana")
    page.click('[data-scaling-ask="release"]')
    _says(page, '[data-scaling-said="lake"]', "Given back to the autoscaler.")
    assert _target(console)["ordered"] is None
