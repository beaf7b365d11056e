"""From what was read of a consumer to what is to be thought of it: its partitions' windows, rates, verdicts, and the worst of them.

Keeps the windows; everything else is a function of them and of `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlplane.contract.lag import ConsumerKind, LagJudged, LagSource, LagVerdict, PartitionLag
from lag_monitor.rates import Rates, catch_up_s, rates
from lag_monitor.verdict import is_idle, judge
from lag_monitor.window import Sample, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from controlplane.contract.names import Hop
    from lag_monitor.seconds import Age

HOT_TIMES = 3
"""A partition is hot that has so many times the lag of the others, on average."""
HOT_FROM = 1000
"""Offsets; less is no burden."""
_WORST_LAST = tuple(LagVerdict)


@dataclass(frozen=True)
class Consumer:
    """Who reads what."""

    name: str
    kind: ConsumerKind
    topic: str
    stream: str | None = None
    hop: Hop | None = None
    shadow: str | None = None


@dataclass(frozen=True)
class Reading:
    """One partition as it was read; None where it could not be, with a reason."""

    position: int | None
    end: int | None
    low: int | None = None
    age: Age | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Looked:
    """A consumer as it was read."""

    consumer: Consumer
    at: datetime
    readings: Mapping[int, Reading]
    heard_at: datetime | None = None
    is_gone: bool = False
    held_by: str | None = None
    """The operation that holds it."""
    retained_s: float | None = None
    """For how long its topic keeps records; None: for ever, or unknown."""
    reason: str | None = None
    """Why nothing could be read at all."""


@dataclass
class _Known:
    windows: dict[int, Window] = field(default_factory=dict)
    verdict: LagVerdict | None = None
    since: datetime | None = None


class Judge:
    """Remembers each consumer's windows."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def judge(self, looked: Looked) -> LagJudged:
        """Take a look in, and say how the consumer stands."""
        known = self._known.setdefault((looked.consumer.name, looked.consumer.topic), _Known())
        partitions = tuple(
            _partition(number, reading, looked, known.windows.setdefault(number, Window()))
            for number, reading in sorted(looked.readings.items())
        )
        fact = _whole(looked, partitions)
        if fact.verdict is not known.verdict:
            known.verdict, known.since = fact.verdict, looked.at
        return fact.model_copy(update={"since": known.since})

    def forget(self, kept: set[tuple[str, str]]) -> None:
        """Consumers that are gone are not remembered."""
        self._known = {key: known for key, known in self._known.items() if key in kept}


def _partition(number: int, reading: Reading, looked: Looked, window: Window) -> PartitionLag:
    now, age = looked.at, reading.age
    is_empty = (age is not None and age.source is LagSource.CAUGHT_UP) or _holds_nothing(reading)
    retention_s = None
    if looked.retained_s is not None and age is not None and not is_empty:
        retention_s = looked.retained_s - age.lag_s
    sample = Sample(
        at=now,
        position=reading.end if is_empty and reading.position is None else reading.position,
        end=reading.end,
        low=reading.low,
        is_empty=is_empty,
        heard_at=looked.heard_at,
        is_gone=looked.is_gone,
        held_by=looked.held_by,
        retention_s=retention_s,
        retained_s=looked.retained_s,
        reason=reading.reason,
    )
    window.add(sample)
    judged, speed = judge(window, now), rates(window, now)
    return PartitionLag(
        partition=number,
        position=reading.position,
        end=reading.end,
        lag_events=sample.left,
        lag_s=0.0 if is_empty else None if age is None else age.lag_s,
        error_s=0.0 if is_empty else None if age is None else age.error_s,
        source=LagSource.CAUGHT_UP if is_empty else None if age is None else age.source,
        taken_per_s=speed.taken_per_s,
        arriving_per_s=speed.arriving_per_s,
        catch_up_s=catch_up_s(window, judged, speed),
        retention_s=retention_s,
        moved_at=window.moved_at,
        is_idle=is_idle(window, now),
        verdict=judged.verdict,
        rule=judged.rule,
        reason=judged.reason,
    )


def _holds_nothing(reading: Reading) -> bool:
    """The partition has no record at all: whoever reads it has nothing to take, also one that has not said where it is."""
    return reading.end is not None and reading.end == reading.low


def _whole(looked: Looked, partitions: Sequence[PartitionLag]) -> LagJudged:
    consumer = looked.consumer
    fact = LagJudged(
        at=looked.at,
        consumer=consumer.name,
        consumer_kind=consumer.kind,
        topic=consumer.topic,
        stream=consumer.stream,
        hop=consumer.hop,
        shadow=consumer.shadow,
        reason=looked.reason or "its topic has no partition that could be read",
    )
    if not partitions:
        return fact
    worst = max(partitions, key=lambda each: (_WORST_LAST.index(each.verdict), each.lag_events or 0))
    oldest = max(
        (each for each in partitions if each.lag_s is not None), key=lambda each: each.lag_s or 0, default=None
    )
    is_dated = oldest is not None and all(each.lag_s is not None for each in partitions)
    speed = _summed(partitions)
    return fact.model_copy(
        update={
            "partitions": tuple(partitions),
            "lag_events": _sum([each.lag_events for each in partitions]),
            "lag_s": oldest.lag_s if is_dated and oldest is not None else None,
            "error_s": oldest.error_s if is_dated and oldest is not None else None,
            "taken_per_s": speed.taken_per_s,
            "arriving_per_s": speed.arriving_per_s,
            "catch_up_s": _max([each.catch_up_s for each in partitions]),
            "retention_s": min((each.retention_s for each in partitions if each.retention_s is not None), default=None),
            "hot_partition": hot_partition(partitions),
            "is_idle": all(each.is_idle for each in partitions),
            "verdict": worst.verdict,
            "reason": _reason(worst, partitions),
        }
    )


def hot_partition(partitions: Sequence[PartitionLag]) -> int | None:
    """The one that has much more of the lag than its share; None when there is none, or it is not known of all."""
    lags = {each.partition: each.lag_events for each in partitions}
    if len(lags) < 2 or None in lags.values():  # noqa: PLR2004 (one alone has no share)
        return None
    hottest = max(lags, key=lambda each: lags[each] or 0)
    most = lags[hottest] or 0
    others = sum(lag or 0 for lag in lags.values()) - most
    return hottest if most >= HOT_FROM and most > HOT_TIMES * others / (len(lags) - 1) else None


def _reason(worst: PartitionLag, partitions: Sequence[PartitionLag]) -> str:
    alike = [each for each in partitions if each.verdict is worst.verdict]
    if len(alike) == len(partitions):
        return worst.reason or ""
    return f"partition {worst.partition} ({len(alike)} of {len(partitions)} are so): {worst.reason}"


def _summed(partitions: Sequence[PartitionLag]) -> Rates:
    return Rates(_sum([each.taken_per_s for each in partitions]), _sum([each.arriving_per_s for each in partitions]))


def _sum(values: Sequence[Any]) -> Any:  # noqa: ANN401 (whole numbers stay whole)
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _max(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None
