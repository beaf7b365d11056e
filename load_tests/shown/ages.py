"""How old events were at each hop of the shop, and how its promises were kept: the lake has been too old for a while."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.latency import LatencyHop
from controlplane.contract.spread import gathered
from load_tests.shown.moment import AT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.contract.spread import Spread

Rows = list[tuple[object, ...]]
_MEDIANS_MS = {"raw": 9.0, "routed": 24.0, "inserted": 138.0, "served": 236.0, "sent": 239.0, "painted": 322.0}
_HALF_MINUTES = 40
_STALE_HALF_MINUTES = 14


def ages(sql: str, asked: Mapping[str, int | str]) -> Rows:
    """Rows of `tidegate_latency`: a hop's points, or every hop's half minutes."""
    if "FROM tidegate_latency " not in sql:
        return []
    if "sumMap" in sql:
        hop, bucket_s = str(asked["hop"]), int(asked["bucket_s"])
        return [(at, (*_columns(spread),), spread.samples, spread.max_ms) for at, spread in _times(hop, bucket_s, 60)]
    return [
        (at, "shop", hop, "event", *_columns(spread), spread.samples, spread.max_ms)
        for hop in LatencyHop
        for at, spread in _times(hop, 30, _HALF_MINUTES)
    ]


def promises(sql: str) -> Rows:
    """Rows of `tidegate_promises`: each half minute, or what was counted in all."""
    if "FROM tidegate_promises " not in sql:
        return []
    if "sum(bad_s)" in sql:
        return [("shop", "latency", "", 5_200.0, 950_000.0), ("shop", "freshness", "lake", 3_900.0, 1_900_000.0)]
    return [
        (AT - timedelta(seconds=30 * number), "shop", level, hop, bad_s, 30.0)
        for level, hop in (("latency", ""), ("freshness", "lake"), ("freshness", "serving"))
        for number in range(1, 2 * _HALF_MINUTES)
        for bad_s in (30.0 if hop == "lake" and number < _STALE_HALF_MINUTES else 0.2 if level == "latency" else 0.0,)
    ]


def _times(hop: str, step_s: int, count: int) -> list[tuple[datetime, Spread]]:
    starts = (AT - timedelta(seconds=step_s * number) for number in range(count, 0, -1))
    return [(at.astimezone(UTC), _spread(_MEDIANS_MS[hop], at.timestamp() / step_s)) for at in starts]


def _spread(median_ms: float, at: float) -> Spread:
    """Long to the right, as waits are."""
    slow = median_ms * (1 + 0.15 * math.sin(at / 5))
    return gathered((slow * math.exp(0.09 * number), 100 / (1 + number * number / 12)) for number in range(-6, 16))


def _columns(spread: Spread) -> tuple[list[int], list[float]]:
    ordered = sorted(spread.weights.items())
    return [bucket for bucket, _ in ordered], [weight for _, weight in ordered]
