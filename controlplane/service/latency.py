"""How long from an event to the pixel? Measured in the browser, for every event, not for every picture.

A picture shows all events since the one before. The newest of them waited shortest and the oldest longest, so each
picture adds the whole interval between two marks, evenly: a figure of the newest events alone would flatter us.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlplane.contract.metrics.meter import METER
from controlplane.contract.push import Percentiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.push import Marks

WINDOW_MS = 5 * 60_000.0
_POINTS = 10
_SHOWN = "event_to_pixel_ms"
_LONGEST_STEP_MS = 5_000.0
"""A longer step between two marks is a pause of the stream, not a wait."""
_CLOCK_LIKE_MS = 60_000.0
"""An event dated further than this from its arrival was not timed by a clock of today: a replay."""


@dataclass
class Latencies:
    """Samples of the last minutes by hop, as (when, milliseconds, weight)."""

    window_ms: float = WINDOW_MS
    samples: dict[str, deque[tuple[float, float, float]]] = field(default_factory=dict)
    _last: dict[tuple[str, str], float] = field(default_factory=dict)

    def painted(self, client: str, topic: str, marks: Marks, sent_ms: float, painted_ms: float) -> None:
        """One picture was on screen. Times are epoch milliseconds of the hub's clock."""
        if marks.raw_ms is None or marks.served_ms is None:
            return
        is_clock = marks.event_ms is not None and abs(marks.raw_ms - marks.event_ms) < _CLOCK_LIKE_MS
        origin = marks.event_ms if is_clock and marks.event_ms is not None else marks.raw_ms
        before = self._last.get((client, topic))
        self._last[client, topic] = origin
        if before is None or not 0 < origin - before <= _LONGEST_STEP_MS:
            return
        ends = {"served": marks.served_ms, "pushed": sent_ms, "pixel": painted_ms}
        prefix = "event" if is_clock else "raw"
        for name, end in ends.items():
            self._add(f"{prefix}_to_{name}_ms", painted_ms, before, origin, end)

    def _add(self, name: str, now: float, since: float, until: float, end: float) -> None:
        kept = self.samples.setdefault(name, deque())
        step = (until - since) / _POINTS
        waits = [end - (since + step * (number + 0.5)) for number in range(_POINTS)]
        kept.extend((now, wait, step) for wait in waits)
        for wait in waits if name == _SHOWN else ():
            METER.observe("tidegate_event_to_pixel_seconds", value=wait / 1000)
        while kept and kept[0][0] < now - self.window_ms:
            kept.popleft()

    def percentiles(self, name: str, now: float) -> Percentiles | None:
        """p50 and p99 of the last minutes; None when nothing was painted."""
        return percentiles((ms, weight) for at, ms, weight in self.samples.get(name, ()) if at > now - self.window_ms)

    def all(self, now: float) -> dict[str, Percentiles]:
        """Every latency that has samples."""
        found = {name: self.percentiles(name, now) for name in self.samples}
        return {name: each for name, each in found.items() if each is not None}


def percentiles(weighted: Iterable[tuple[float, float]]) -> Percentiles | None:
    """Weighted p50 and p99 of (milliseconds, weight)."""
    ordered = sorted(weighted)
    total = sum(weight for _, weight in ordered)
    if total <= 0:
        return None
    found, passed = [], 0.0
    wanted = [0.5, 0.99]
    for milliseconds, weight in ordered:
        passed += weight
        while wanted and passed >= wanted[0] * total - 1e-9:
            found.append(milliseconds)
            wanted.pop(0)
    return Percentiles(p50=round(found[0], 1), p99=round(found[1], 1), samples=len(ordered))
