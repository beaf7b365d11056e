"""What do the seconds of a run say together? One time axis, percentiles of many small histograms, what was at the peak. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import floor
from statistics import median
from typing import TYPE_CHECKING

from controlplane.contract.loads import LoadSecond, LoadTarget, level_at
from pipeline.loads.findings.balance import ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from controlplane.contract.loads import LoadAsked, Observed, Offered

TOO_MANY = "429"


def percentile(ms: Mapping[str, int], share: float) -> float | None:
    """Of times in steps; None when there is none."""
    rank, passed = share * sum(ms.values()), 0
    for value in sorted(ms, key=float):
        passed += ms[value]
        if passed >= rank and passed:
            return float(value)
    return None


def seconds_of(asked: LoadAsked, offered: Sequence[Offered], observed: Sequence[Observed]) -> list[LoadSecond]:
    """What was sent and what was seen, beside one another; a second in which nothing was said has None."""
    rows = {
        floor(each.t_s): LoadSecond(t_s=each.t_s, asked=_asked(asked, each.t_s), **_seen(each)) for each in observed
    }
    start = [] if not offered else [offered[0].model_copy(update={"t_s": 0.0, "offered": 0, "statuses": {}, "ms": {}})]
    for before, now in pairwise([*start, *offered]):
        if now.t_s > before.t_s:
            found = rows.get(floor(now.t_s)) or LoadSecond(t_s=now.t_s, asked=_asked(asked, now.t_s))
            rows[floor(now.t_s)] = found.model_copy(update=_sent(asked, before, now))
    return [rows[each] for each in sorted(rows)]


def thinned(seconds: Sequence[LoadSecond], most: int) -> list[LoadSecond]:
    """So many rows at most: of neighbours the mean of rates and the worst of times and lags."""
    size = -(-len(seconds) // most)
    if size <= 1:
        return list(seconds)
    return [_joined(seconds[at : at + size]) for at in range(0, len(seconds), size)]


def totals(offered: Iterable[Offered]) -> dict[str, int]:
    """How many were answered what."""
    found = Counter[str]()
    for each in offered:
        found.update(each.statuses)
    return dict(sorted(found.items()))


def at_peak(offered: Sequence[Offered], peak: tuple[float, float]) -> dict[str, int]:
    """Times of what was answered at the peak, in steps."""
    found = Counter[str]()
    for each in offered:
        if peak[0] < each.t_s <= peak[1] + 1:
            found.update(each.ms)
    return dict(found)


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is known."""
    known = [each for each in values if each is not None]
    return median(known) if known else None


def _asked(asked: LoadAsked, t_s: float) -> float:
    most = asked.users if asked.target is LoadTarget.HUB else asked.rate
    return round(most * level_at(asked.corners, t_s), 3)


def _seen(each: Observed) -> dict[str, object]:
    return each.model_dump(include={"lag_s", "pixel_p99_ms", "executors", "waiting"})


def _sent(asked: LoadAsked, before: Offered, now: Offered) -> dict[str, object]:
    took = now.t_s - before.t_s
    accepted = sum(now.statuses.get(each, 0) for each in ACCEPTED)
    refused = now.statuses.get(TOO_MANY, 0)
    failed = sum(now.statuses.values()) - accepted - refused
    offered = float(now.users) if asked.target is LoadTarget.HUB else (now.offered - before.offered) / took
    rates = {"accepted": accepted / took, "refused": refused / took, "failed": failed / took, "offered": offered}
    times = {"p50_ms": percentile(now.ms, 0.5), "p99_ms": percentile(now.ms, 0.99)}
    return {"users": now.users, **{name: round(each, 1) for name, each in rates.items()}, **times}


def _joined(group: Sequence[LoadSecond]) -> LoadSecond:
    def by(name: str, how: Callable[[list[float]], float]) -> float | None:
        known = [value for each in group if (value := getattr(each, name)) is not None]
        return round(how(known), 2) if known else None

    names = {name for each in group for name in each.lag_s}
    worst = {
        name: max((lag for each in group if (lag := each.lag_s.get(name)) is not None), default=None) for name in names
    }
    rates = {
        name: by(name, lambda known: sum(known) / len(known)) for name in ("offered", "accepted", "refused", "failed")
    }
    times = {name: by(name, max) for name in ("p50_ms", "p99_ms", "pixel_p99_ms", "waiting")}
    return group[-1].model_copy(update={"lag_s": worst, **rates, **times})
