"""What has changed in ClickHouse since the last picture?

The marks are read before the rollups: whatever they promise is in the rows that follow. But one insert's views are not
committed in one moment, and the arrivals may be there first. So when nothing has come for a second it is looked at once more: else
the last events before a silence would be missing until the next one came. Most ticks find nothing new and cost one small query
a stream.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from controlplane.contract.names import arrivals_table
from controlplane.contract.push import LiveFrame, Marks, Series
from controlplane.contract.rollups import span_query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.streams import Rollup, StreamDefinition

SERIES_AT_MOST = 12
OTHER = "(other)"
NONE = "(none)"
_FRESH_BUCKETS = 5
_FULL_EVERY_S = 5.0
_ACTIVE_MS = 5_000
_AGAIN_AFTER_MS = 1_000
_ADDS = ("count", "sum")
_COUNTS = ("count", "distinct")
_log = logging.getLogger(__name__)

Row = tuple[object, ...]


class Query(Protocol):
    """Runs a SELECT."""

    def __call__(self, sql: str, **parameters: int | str) -> Sequence[Row]:
        """Rows.

        Raises:
            OSError: with a sentence, if ClickHouse cannot be asked; FileNotFoundError if it has no such table.
        """


@dataclass(frozen=True)
class Arrived:
    """What had arrived in ClickHouse when it was asked."""

    events: int
    newest_event_ms: int | None
    marks: Marks


@dataclass
class Watched:
    """What the last picture of a rollup showed."""

    events: int = -1
    again_at_ms: float | None = None
    """When it is to be asked once more; None when it has been."""
    full_at: float = 0.0
    keys: tuple[tuple[str, ...], ...] = ()
    reason: str | None = None


@dataclass
class StreamFrames:
    """Makes the frames of one stream's rollups."""

    stream: StreamDefinition
    query: Query
    watched: dict[str, Watched] = field(default_factory=lambda: defaultdict(Watched))
    now_ms: Callable[[], float] = lambda: time.time() * 1000
    unanswered: str | None = None
    """Why ClickHouse did not answer the last look; None when it did, if only to say that there is no table yet."""

    def look(self) -> Arrived | str:
        """What has arrived, for every rollup's frame of this tick; or why that is unknown."""
        try:
            arrived = self.arrived()
        except OSError as error:
            self.unanswered = None if isinstance(error, FileNotFoundError) else str(error)
            return str(error)
        self.unanswered = None
        return arrived

    def frame(self, rollup: str, arrived: Arrived | str, *, full: bool) -> LiveFrame | None:
        """A new frame of a rollup if it has something new, or if `full` says that somebody has no picture yet.

        Different rollups may be asked from different threads at once.
        """
        if isinstance(arrived, str):
            return self._unknown(rollup, arrived, again=full)
        try:
            return self._frame(rollup, arrived, full=full)
        except OSError as error:
            return self._unknown(rollup, str(error), again=full)

    def arrived(self) -> Arrived:
        """Events so far, and the marks that hold for what is read after this.

        Raises:
            OSError: if ClickHouse cannot be asked.
        """
        rows = self.query(
            "SELECT partition, sum(events), max(max_event_ms), max(max_raw_ms) "  # noqa: S608 (a checked name)
            f"FROM {arrivals_table(self.stream.name)} GROUP BY partition"
        )
        return summed([(int(str(p)), int(str(n)), int(str(e)), int(str(r))) for p, n, e, r in rows])

    def _frame(self, name: str, arrived: Arrived, *, full: bool) -> LiveFrame | None:
        watched, now = self.watched[name], time.monotonic()
        late = now - watched.full_at > _FULL_EVERY_S and watched.events != arrived.events
        is_same = arrived.events == watched.events
        is_due = watched.again_at_ms is not None and self.now_ms() >= watched.again_at_ms
        if not full and is_same and not is_due and watched.reason is None:
            return None
        whole = full or late or watched.reason is not None
        rollup = self.stream.rollups[name]
        bounds = bounds_of(rollup, arrived.newest_event_ms, self.now_ms())
        if bounds is None:
            return self._unknown(name, "no event has arrived yet", again=full)
        since, until, fresh = bounds
        first = since if whole else fresh
        found = self.query(span_query(self.stream.name, name, rollup), since=since, until=until, fresh=first)
        rows = [row[1:] for row in found if not row[0]]
        starts = range(first, until, int(rollup.bucket.total_seconds()))
        watched.events, watched.reason = arrived.events, None
        if not is_same:
            watched.again_at_ms = self.now_ms() + _AGAIN_AFTER_MS
        elif is_due:
            watched.again_at_ms = None
        series = laid_out(rollup, rows, starts, None if whole else watched.keys)
        if whole:
            watched.full_at, watched.keys = now, tuple(each.key for each in series if each.key[:1] != (OTHER,))
        return LiveFrame(
            stream=self.stream.name,
            rollup=name,
            full=whole,
            bucket_s=rollup.bucket.total_seconds(),
            span_s=rollup.span.total_seconds(),
            buckets=tuple(map(float, starts)),
            series=series,
            totals=_totals(rollup, found),
            newest_event_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=arrived.newest_event_ms or 0),
            marks=arrived.marks.model_copy(update={"served_ms": self.now_ms()}),
        )

    def _unknown(self, name: str, reason: str, *, again: bool) -> LiveFrame | None:
        watched = self.watched[name]
        if watched.reason == reason and not again:
            return None
        watched.reason = reason
        rollup = self.stream.rollups[name]
        return LiveFrame(
            stream=self.stream.name,
            rollup=name,
            full=False,
            bucket_s=rollup.bucket.total_seconds(),
            span_s=rollup.span.total_seconds(),
            buckets=(),
            series=(),
            totals=dict.fromkeys(rollup.measures),
            newest_event_at=None,
            marks=Marks(),
            reason=reason,
        )


def summed(rows: Sequence[tuple[int, int, int, int]]) -> Arrived:
    """Low marks over the partitions that had an event within five seconds of the newest.

    An event that is dated later than the raw topic took it came from a clock that runs ahead: it is as old as raw says.
    """
    if not rows:
        return Arrived(0, None, Marks())
    newest = max(raw_ms for *_, raw_ms in rows)
    active = [row for row in rows if row[3] > newest - _ACTIVE_MS]
    events = sum(row[1] for row in rows)
    event_ms, raw_ms = float(min(min(row[2:]) for row in active)), float(min(row[3] for row in active))
    return Arrived(events, max(row[2] for row in rows), Marks(event_ms=event_ms, raw_ms=raw_ms, events=events))


def bounds_of(rollup: Rollup, newest_event_ms: int | None, now_ms: float) -> tuple[int, int, int] | None:
    """First second of the span, end (exclusive), and from where buckets may still change.

    The span ends at the newest event, which for a replay is long ago, but never ahead of now: one producer whose clock
    runs ahead would carry the window away from everyone else's events.
    """
    if newest_event_ms is None:
        return None
    newest_event_ms = min(newest_event_ms, int(now_ms))
    width, span = int(rollup.bucket.total_seconds()), int(rollup.span.total_seconds())
    until = (newest_event_ms // 1000 // width + 1) * width
    return until - span, until, until - min(span, _FRESH_BUCKETS * width)


def _totals(rollup: Rollup, found: Sequence[Row]) -> dict[str, float | None]:
    """Measures of the whole span; of an empty one there is no row, and what counts is 0."""
    total = next((row for row in found if row[0]), None)
    if total is None:
        return {name: 0.0 if each.function in _COUNTS else None for name, each in rollup.measures.items()}
    cells = total[len(total) - len(rollup.measures) :]
    return {measure: _number(cell) for measure, cell in zip(rollup.measures, cells, strict=True)}


def laid_out(
    rollup: Rollup, rows: Sequence[Row], starts: Sequence[int], keys: tuple[tuple[str, ...], ...] | None
) -> tuple[Series, ...]:
    """Rows of a rollup as lines over all buckets, the largest first.

    Args:
        rollup: gives dimensions and measures.
        rows: bucket, dimensions, measures.
        starts: every bucket's start.
        keys: the lines to keep; None to choose the largest.
    """
    place = {start: number for number, start in enumerate(starts)}
    width = len(rollup.dimensions)
    lines: dict[tuple[str, ...], dict[int, list[float | None]]] = defaultdict(dict)
    for row in rows:
        key = tuple(str(value) or NONE for value in row[1 : 1 + width])
        if (at := place.get(int(str(row[0])))) is not None:
            lines[key][at] = [_number(value) for value in row[1 + width :]]
    ordered = sorted(lines, key=lambda key: (-sum(cells[0] or 0 for cells in lines[key].values()), key))
    kept = list(ordered[:SERIES_AT_MOST] if keys is None else keys)
    if rest := [key for key in ordered if key not in set(kept)]:
        other = (OTHER,) * width
        lines[other] = _merged(rollup, [lines[key] for key in rest])
        kept.append(other)
    return tuple(_series(rollup, key, lines.get(key, {}), len(starts)) for key in kept)


def _merged(rollup: Rollup, lines: Sequence[dict[int, list[float | None]]]) -> dict[int, list[float | None]]:
    """Small lines as one, for measures that can be put together from finished numbers; None for the others."""
    merged: dict[int, list[float | None]] = {}
    for at in {at for line in lines for at in line}:
        cells = [line[at] for line in lines if at in line]
        merged[at] = [
            _together(measure.function, [cell[number] for cell in cells])
            for number, measure in enumerate(rollup.measures.values())
        ]
    return merged


def _together(function: str, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    if function in _ADDS:
        return sum(known)
    return {"min": min, "max": max}[function](known) if function in ("min", "max") else None


def _series(rollup: Rollup, key: tuple[str, ...], cells: dict[int, list[float | None]], length: int) -> Series:
    return Series(
        key=key,
        measures={
            measure: tuple(cells[at][number] if at in cells else None for at in range(length))
            for number, measure in enumerate(rollup.measures)
        },
    )


def _number(value: object) -> float | None:
    """A finite number, or None: an average of nothing is not a number."""
    if value is None:
        return None
    number = float(str(value))
    return round(number, 3) if number - number == 0 else None
