"""How old were events at each hop? Held for six hours, in half minutes.

Of the first hops live tells (`HopsTimed`). The last ones are measured picture by picture: a picture shows all events since the
one before. The newest of them waited shortest and the oldest longest, so each picture adds the whole interval between two
marks, evenly: a figure of the newest events alone would flatter us. Where few events came in between each is taken for itself.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.burn import BUCKET, KEPT
from controlplane.contract.latency import HopLatency, HopsTimed, LatencyHop, LatencyKept, Since
from controlplane.contract.metrics.meter import METER
from controlplane.contract.push import Percentiles
from controlplane.contract.spread import MEDIAN, P99, Gathering, Spread, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlplane.contract.push import Marks

SHOWN = timedelta(minutes=5)
_POINTS = 10
_COUNTED_AT_MOST = 100
"""Of more charts on screens than this an even share of pictures is counted: a thousand say no more than a hundred."""
_LONGEST_STEP_MS = 5_000.0
"""A longer step between two marks is a pause of the stream, not a wait."""
_CLOCK_LIKE_MS = 60_000.0
"""An event dated further than this from its arrival was not timed by a clock of today: a replay."""
_CLOSED_AFTER_S = 10.0
"""A half minute is kept when it has been over for so long: browsers and parts tell a little later."""
_SLOT_S = BUCKET.total_seconds()
_REMEMBERED = 5_000

Weighted = list[tuple[float, float]]
"""Samples: (milliseconds, weight)."""


class Latencies:
    """Spreads by stream, hop and half minute; folding is idempotent and does not depend on the order."""

    def __init__(self) -> None:
        self.since: dict[str, Since] = {}
        """From when a stream's latencies are counted."""
        self._slots: dict[tuple[str, LatencyHop], dict[int, Gathering]] = defaultdict(dict)
        self._unkept: set[tuple[str, LatencyHop, int]] = set()
        self._shown: dict[str, Weighted] = defaultdict(list)
        self._last: dict[tuple[str, str], tuple[float, int | None]] = {}
        self._folded: OrderedDict[str, None] = OrderedDict()

    def fold(self, facts: Iterable[object]) -> None:
        """What live tells."""
        for fact in facts:
            if isinstance(fact, HopsTimed) and fact.id not in self._folded:
                self._folded[fact.id] = None
                if len(self._folded) > _REMEMBERED:
                    self._folded.popitem(last=False)
                self.since[fact.stream] = fact.since
                for hop, spread in fact.hops.items():
                    self._slot(fact.stream, hop, fact.at.timestamp()).merge(spread)

    def painted(self, client: str, topic: str, marks: Marks, sent_ms: float, painted_ms: float) -> None:
        """One picture of `live/<stream>/<rollup>` was on screen. Times are epoch milliseconds of the hub's clock."""
        stream = topic.split("/")[1]
        ends = {LatencyHop.SENT: sent_ms, LatencyHop.PAINTED: painted_ms}
        self._shown[stream] += self._picture((client, topic), stream, marks, ends)

    def served(self, stream: str, marks: Marks) -> None:
        """The hub has read a picture that is on no screen."""
        self._shown[stream] += self._picture(("", stream), stream, marks, {})

    def forget(self, client: str) -> None:
        """A watcher has gone."""
        self._last = {key: last for key, last in self._last.items() if key[0] != client}

    def take_shown(self) -> Mapping[str, Weighted]:
        """By stream, how old events were where they were seen last, since this was asked the last time."""
        shown, self._shown = self._shown, defaultdict(list)
        return shown

    def spread(self, stream: str, hop: LatencyHop, now: datetime, within: timedelta = SHOWN) -> Spread:
        """Of the last minutes."""
        oldest = _slot_of((now - within).timestamp())
        return merged(each.spread() for slot, each in self._slots[stream, hop].items() if slot >= oldest)

    def newest_at(self, stream: str, hop: LatencyHop) -> datetime | None:
        """When something was last measured, to within a half minute; None when nothing was in six hours."""
        newest = max(self._slots[stream, hop], default=None)
        return None if newest is None else _moment(newest)

    def hop(self, stream: str, hop: LatencyHop, now: datetime, within: timedelta) -> HopLatency:
        """How it was in the last minutes or hours."""
        spread = self.spread(stream, hop, now, within)
        return HopLatency(
            hop=hop,
            p50_ms=_rounded(spread.quantile(MEDIAN)),
            p99_ms=_rounded(spread.quantile(P99)),
            max_ms=_rounded(spread.max_ms) if spread.samples else None,
            samples=spread.samples,
            newest_at=self.newest_at(stream, hop),
        )

    def pixel(self, now: datetime) -> Percentiles | None:
        """From the event to the pixel, of all streams that are no replay; None when nothing was painted."""
        streams = [stream for stream, hop in self._slots if hop is LatencyHop.PAINTED]
        live = [stream for stream in streams if self.since.get(stream) is Since.EVENT]
        return percentiles(merged(self.spread(stream, LatencyHop.PAINTED, now) for stream in live))

    def kept(self, now: datetime) -> Iterator[LatencyKept]:
        """Half minutes that are over and have changed since they were asked for."""
        last = _slot_of(now.timestamp() - _SLOT_S - _CLOSED_AFTER_S)
        for stream, hop, slot in sorted(each for each in self._unkept if each[2] <= last):
            self._unkept.discard((stream, hop, slot))
            if (found := self._slots[stream, hop].get(slot)) is not None:
                since = self.since.get(stream, Since.EVENT)
                yield LatencyKept(at=_moment(slot), stream=stream, hop=hop, since=since, spread=found.spread())

    def restore(self, kept: Iterable[LatencyKept]) -> None:
        """Take in what an earlier run has kept."""
        for each in kept:
            self.since.setdefault(each.stream, each.since)
            slots, slot = self._slots[each.stream, each.hop], _slot_of(each.at.timestamp())
            slots.setdefault(slot, Gathering()).merge(each.spread)

    def _picture(self, of: tuple[str, str], stream: str, marks: Marks, ends: Mapping[LatencyHop, float]) -> Weighted:
        """Ages at the last hop that it has reached."""
        if marks.raw_ms is None or marks.served_ms is None:
            return []
        is_clock = marks.event_ms is not None and abs(marks.raw_ms - marks.event_ms) < _CLOCK_LIKE_MS
        origin = marks.event_ms if is_clock and marks.event_ms is not None else marks.raw_ms
        before, events_before = self._last.get(of, (None, None))
        self._last[of] = (origin, marks.events)
        if before is None or not 0 < origin - before <= _LONGEST_STEP_MS:
            return []
        self.since[stream] = Since.EVENT if is_clock else Since.RAW
        if hash((of, origin)) % len(self._last) >= _COUNTED_AT_MOST:
            return []
        came = None if marks.events is None or events_before is None else marks.events - events_before
        origins, weight = _between(before, origin, came)
        arrivals = {LatencyHop.SERVED: marks.served_ms, **ends}
        at_s, ages = max(arrivals.values()) / 1000, Weighted()
        for hop, end in arrivals.items():
            ages = [(end - each, weight) for each in origins]
            self._add(stream, hop, at_s, ages)
        return ages

    def _add(self, stream: str, hop: LatencyHop, at_s: float, ages: Weighted) -> None:
        slot = self._slot(stream, hop, at_s)
        for age_ms, weight in ages:
            slot.add(age_ms, weight)
            METER.observe("tidegate_latency_seconds", stream, hop, value=max(0.0, age_ms) / 1000)

    def _slot(self, stream: str, hop: LatencyHop, at_s: float) -> Gathering:
        slots, slot = self._slots[stream, hop], _slot_of(at_s)
        if slot not in slots:
            oldest = slot - _slot_of(KEPT.total_seconds())
            for old in [each for each in slots if each < oldest]:
                del slots[old]
            slots[slot] = Gathering()
        self._unkept.add((stream, hop, slot))
        return slots[slot]


def _between(before: float, origin: float, came: int | None) -> tuple[list[float], float]:
    """Event times of what came between two marks, and the time that each stands for; of few the last is at the mark."""
    step = origin - before
    if came is not None and 0 < came <= _POINTS:
        return [before + step * (number + 1) / came for number in range(came)], step / came
    return [before + step * (number + 0.5) / _POINTS for number in range(_POINTS)], step / _POINTS


def percentiles(spread: Spread) -> Percentiles | None:
    """Median and 99th percentile; None of nothing."""
    p50, p99 = spread.quantile(MEDIAN), spread.quantile(P99)
    if p50 is None or p99 is None:
        return None
    return Percentiles(p50=round(p50, 1), p99=round(p99, 1), samples=spread.samples)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


def _slot_of(at_s: float) -> int:
    return int(at_s // _SLOT_S)


def _moment(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * _SLOT_S, UTC)
