"""How many executors are needed now, and how many at the most in the last while? What the rules compare; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.contract.scaling import ScalingPolicy
    from controlplane.service.scaling.load import Load

_ROUNDING = 1e-9
_PIECES = 30
"""A while is remembered in so many pieces, each by its most."""
_A_HOLE = timedelta(seconds=30)
"""When nobody has looked for so long, nobody knows what was needed meanwhile."""
_FALLING = 1 / 6
"""Of the cool-down: at its beginning the load may still have been falling. That counts for whether there were too many all the
while, and not for how many would have done: or a first step in would be a small one, and the rest wait for another while."""
_NO_SOONER = 0.25
"""Of `catch_up`: a backlog that should be gone by now is to be gone after so much of it."""


@dataclass(frozen=True)
class Peak:
    """The most that was asked of executors in a piece of time that began at `at`."""

    at: datetime
    busy: float
    working_off: float


@dataclass(frozen=True)
class Standing:
    """What is remembered from one decision to the next."""

    asked: int | None = None
    """Executors that were wanted."""
    changed_at: datetime | None = None
    looked_at: datetime | None = None
    peaks: tuple[Peak, ...] = ()
    """Oldest first, without a hole: what was not known empties it."""
    behind_since: datetime | None = None
    missing_since: datetime | None = None


@dataclass(frozen=True)
class Needs:
    """What is needed, and in which bounds."""

    asked: int | None
    """Executors that are wanted so far."""
    lower: int
    upper: int
    ceiling: int | None
    """Executors of which more never do anything, but not below `lower`."""
    more: int
    """Executors that are needed, if that is more than are wanted; else those."""
    more_by_rate: int
    """The same without the backlog."""
    useful: int
    """Executors of which more would find nothing to do now: a stream can't use more than its topic has partitions."""
    crowded: tuple[str, ...]
    """Streams that need more than they can use, and why they can't."""
    fewer: int
    """Executors that would have done all through the last while, if that is fewer than are wanted; else those."""
    known_for: timedelta
    """How long the demand has been known without a hole."""
    why: str
    why_fewer: str
    inputs: dict[str, float | None]
    """What was looked at, by name with the unit last."""


@dataclass(frozen=True)
class _Sums:
    """Of all streams whose query goes on and of which enough is known."""

    arriving_per_s: float
    lag: int
    waiting: float
    busy: float
    """Executors that what arrives keeps busy, at most."""
    busy_surely: float
    working_off: float
    """Executors that are busy until the backlog is gone, if it is to be gone in time; 0 without one."""
    useful: float
    crowded: tuple[str, ...]

    @property
    def per_s(self) -> float | None:
        return self.arriving_per_s / self.busy if self.busy > 0 else None


def needs_of(load: Load, policy: ScalingPolicy, before: Standing, now: datetime) -> tuple[Needs, Standing]:
    """What is needed now, and what is to be remembered of it."""
    asked = _asked(load, before)
    lower, upper = _bounds(load, policy)
    ceiling = None if load.ceiling is None else max(lower, load.ceiling)
    behind_since = _behind_since(load, before, now)
    left = _left(policy, behind_since, now)
    sums = _sums(load, policy, left)
    peaks = _peaks(load, sums, policy, before, now)
    known_for = now - peaks[0].at if peaks else timedelta(0)
    more = asked if asked is None else _more(sums, policy, asked)
    fewer = asked if asked is None else _fewer(peaks, policy, asked, lower, ceiling)
    needs = Needs(
        asked=asked,
        lower=lower,
        upper=upper,
        ceiling=ceiling,
        more=more or 0,
        more_by_rate=0 if asked is None else _more_by_rate(sums, policy, asked),
        useful=max(lower, _up(sums.useful)) if sums.crowded else max(lower, more or 0),
        crowded=sums.crowded,
        fewer=fewer or 0,
        known_for=known_for,
        why=_why(sums, policy, asked or 0, left),
        why_fewer=_why_fewer(peaks, policy, asked or 0, ceiling),
        inputs=_inputs(load, sums, asked, more, fewer),
    )
    missing_since = _missing_since(load, asked, before, now)
    return needs, replace(before, peaks=peaks, looked_at=now, behind_since=behind_since, missing_since=missing_since)


def _asked(load: Load, before: Standing) -> int | None:
    if before.asked is not None:
        return before.asked
    return None if load.executors is None else load.executors.want


def _bounds(load: Load, policy: ScalingPolicy) -> tuple[int, int]:
    cluster = load.executors
    upper = policy.most if cluster is None else max(1, min(policy.most, cluster.most))
    lower = policy.least if cluster is None else max(policy.least, cluster.least)
    return min(lower, upper), upper


def _behind_since(load: Load, before: Standing, now: datetime) -> datetime | None:
    if not any(each.waiting > 0 for each in load.moving):
        return None
    return before.behind_since or now


def _left(policy: ScalingPolicy, behind_since: datetime | None, now: datetime) -> timedelta:
    """How long there is to work a backlog off."""
    gone = timedelta(0) if behind_since is None else now - behind_since
    return max(policy.catch_up - gone, policy.catch_up * _NO_SOONER, timedelta(seconds=1))


def _sums(load: Load, policy: ScalingPolicy, left: timedelta) -> _Sums:
    moving = load.moving
    low, high = policy.utilisation
    waiting = sum(each.waiting for each in moving)
    needed = [max(each.busy() / ((low + high) / 2), each.working_off(left) / high) for each in moving]
    useful = [min(need, each.can_use(load.executors)) for need, each in zip(needed, moving, strict=True)]
    return _Sums(
        arriving_per_s=sum(each.arriving_per_s or 0.0 for each in moving),
        lag=sum(each.lag_events or 0 for each in moving),
        waiting=waiting,
        busy=sum(each.busy() for each in moving),
        busy_surely=sum(each.busy_surely() for each in moving),
        working_off=sum(each.working_off(left) for each in moving) if waiting > 0 else 0.0,
        useful=sum(useful),
        crowded=tuple(
            f"{each.stream} has {each.partitions} partitions"
            for each, need, use in zip(moving, needed, useful, strict=True)
            if use < need
        ),
    )


def _peaks(load: Load, sums: _Sums, policy: ScalingPolicy, before: Standing, now: datetime) -> tuple[Peak, ...]:
    """The last while's, this moment included; none when something is not known now."""
    if load.executors is None or load.lacking or load.stopped:
        return ()
    is_whole = before.looked_at is not None and now - before.looked_at <= _A_HOLE
    kept = before.peaks if is_whole else ()
    found = (*kept, Peak(now, sums.busy, sums.working_off))
    if kept and now - kept[-1].at < policy.in_cool_down / _PIECES:
        last = kept[-1]
        found = (*kept[:-1], Peak(last.at, max(last.busy, sums.busy), max(last.working_off, sums.working_off)))
    while len(found) > 1 and found[1].at <= now - policy.in_cool_down:
        found = found[1:]
    return found


def _more(sums: _Sums, policy: ScalingPolicy, asked: int) -> int:
    return max(_more_by_rate(sums, policy, asked), _up(sums.working_off / policy.utilisation[1]))


def _more_by_rate(sums: _Sums, policy: ScalingPolicy, asked: int) -> int:
    is_too_busy = sums.busy_surely > policy.utilisation[1] * asked
    return max(asked, _near_the_middle(sums.busy_surely, policy)) if is_too_busy else asked


def _fewer(peaks: tuple[Peak, ...], policy: ScalingPolicy, asked: int, lower: int, ceiling: int | None) -> int:
    if not peaks:
        return asked
    low, high = policy.utilisation
    would_do = asked
    if max(each.busy for each in peaks) < low * asked:
        falling_until = peaks[0].at + policy.in_cool_down * _FALLING
        lately = [each for each in peaks if each.at >= falling_until] or [peaks[-1]]
        by_rate = _near_the_middle(max(each.busy for each in lately), policy)
        would_do = max(by_rate, _up(max(each.working_off for each in lately) / high))
    if ceiling is not None:
        would_do = min(would_do, ceiling)
    return min(asked, max(lower, would_do))


def _missing_since(load: Load, asked: int | None, before: Standing, now: datetime) -> datetime | None:
    if load.executors is None or asked is None or load.executors.have >= asked:
        return None
    since = before.missing_since or now
    return since if before.changed_at is None else max(since, before.changed_at)


def _near_the_middle(busy: float, policy: ScalingPolicy) -> int:
    """The whole number that is as busy as the middle of the band, or nearly; well below its upper end in any case."""
    low, high = policy.utilisation
    middle = (low + high) / 2
    return max(_up(busy / middle - 0.5), _up(busy / ((middle + high) / 2)))


def _up(executors: float) -> int:
    return math.ceil(executors - _ROUNDING)


def _why(sums: _Sums, policy: ScalingPolicy, asked: int, left: timedelta) -> str:
    if sums.per_s is None and sums.lag == 0:
        return "nothing arrives and nothing waits"
    does = "" if sums.per_s is None else f", an executor does {sums.per_s:,.0f}"
    busy = f"; {asked} are {_per_cent(sums.busy / max(1, asked))} busy, {_band(policy)}"
    waits = f"; {sums.waiting:,.0f} wait that are to be gone in {left.total_seconds():.0f} s" if sums.waiting else ""
    return f"{sums.arriving_per_s:,.0f} events/s arrive{does}{busy}{waits}"


def _why_fewer(peaks: tuple[Peak, ...], policy: ScalingPolicy, asked: int, ceiling: int | None) -> str:
    if ceiling is not None and asked > ceiling:
        return f"more than {ceiling} do nothing, the topics have no partitions for them"
    busy = max((each.busy for each in peaks), default=0.0)
    return f"{asked} were {_per_cent(busy / max(1, asked))} busy at most, {_band(policy)}"


def _band(policy: ScalingPolicy) -> str:
    low, high = policy.utilisation
    return f"the band is {low * 100:.0f} to {high * 100:.0f} %"


def _per_cent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _inputs(load: Load, sums: _Sums, asked: int | None, more: int | None, fewer: int | None) -> dict[str, float | None]:
    """What the sums are of no stream, because too little is known of each, is not 0."""
    needed = None if more is None or fewer is None else more if more != asked else fewer
    is_known = bool(load.moving) or not load.lacking
    looked_at: dict[str, float | None] = {
        "arriving_events_per_s": sums.arriving_per_s,
        "lag_events": sums.lag,
        "backlog_events": sums.waiting,
        "capacity_events_per_s": sums.per_s,
        "busy_executors": sums.busy,
        "utilisation": sums.busy / asked if asked else None,
    }
    said = looked_at if is_known else dict.fromkeys(looked_at)
    return {**said, "needed_executors": needed, "ceiling_executors": load.ceiling}
