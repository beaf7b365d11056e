"""Which windows have to be computed now, and from which events?

Those that have closed since the last time, and closed ones that late events have come for. Only events of these windows are
read. There is no state to lose: a window is always computed whole, from all of its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE
from controlplane.contract.streams import WindowKind
from pipeline.tables.windows import END, LAST_SECOND, SECOND, START, added_up, as_rows, counted, in_windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.streams import Rollup, StreamDefinition
    from pipeline.tables.cursor import Cursor
    from pipeline.tables.news import News

Span = tuple[int, int]
"""First second and end (exclusive), since 1970."""
_SPANS_AT_MOST = 40
"""Late windows are read in so many stretches at most; nearer ones are read as one."""


@dataclass(frozen=True)
class Due:
    """What has to be written."""

    rows: DataFrame
    """Windows as the table has them."""
    floor: int
    """First second of windows that are still open."""
    gone: DataFrame | None = None
    """Rows of the table that are no window any more; None when that can't be."""
    replaces: bool = False
    """Some of the windows are in the table already."""


def closed_until(mark: int, rollup: Rollup) -> int:
    """The end of the last window that ends by the watermark."""
    step = 1 if rollup.window.kind is WindowKind.SESSION else int(rollup.window.step.total_seconds())
    return mark - mark % step


def due(stream: StreamDefinition, rollup: Rollup, cursor: Cursor, news: News, horizon: int) -> Due:
    """Tumbling and sliding windows."""
    before = cursor.horizon
    overlap = int((rollup.window.length - rollup.window.step).total_seconds())
    late = _late_starts(stream, rollup, cursor, news)
    length = int(rollup.window.length.total_seconds())
    spans = [(0 if before is None else max(0, before - overlap), horizon)]
    spans += joined([(start, start + length) for start in late], _SPANS_AT_MOST)
    mine = counted(within(news.events, stream, spans), stream, rollup, cursor.seen)
    found = added_up(in_windows(mine, rollup), stream, rollup, before)
    is_due = sf.col(END) <= horizon
    if before is not None:
        is_due = (is_due & (sf.col(END) > before)) | _is_one_of(late)
    return Due(as_rows(found.where(is_due), rollup), horizon - overlap, replaces=bool(late))


def _late_starts(stream: StreamDefinition, rollup: Rollup, cursor: Cursor, news: News) -> list[int]:
    """Starts of closed windows that new events lie in."""
    if cursor.horizon is None or not news.has_before(cursor.horizon):
        return []
    mine = counted(news.added, stream, rollup, cursor.seen).where(sf.col(SECOND) < cursor.horizon)
    found = in_windows(mine, rollup).where(sf.col(END) <= cursor.horizon).select(START).distinct().collect()
    return sorted(row[0] for row in found)


def _is_one_of(starts: Sequence[int]) -> Column:
    """As a set that is looked up, however many there are."""
    return sf.col(START).isin(*starts) if starts else sf.expr("false")


def joined(spans: Iterable[Span], at_most: int) -> list[Span]:
    """The same seconds, and some between them, in few spans: the smallest gaps are filled."""
    ordered = sorted(spans)
    merged: list[Span] = []
    for start, end in ordered:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    gaps = sorted(range(1, len(merged)), key=lambda at: merged[at][0] - merged[at - 1][1], reverse=True)
    kept = {0, *gaps[: at_most - 1]}
    few: list[Span] = []
    for at, span in enumerate(merged):
        if at in kept:
            few.append(span)
        else:
            few[-1] = (few[-1][0], span[1])
    return few


def within(events: DataFrame, stream: StreamDefinition, spans: Sequence[Span]) -> DataFrame:
    """Events of these seconds; said by the table's own columns, so that files of other times are not read."""
    return events.where(reduce(or_, (_within(stream, span) for span in spans)))


def _within(stream: StreamDefinition, span: Span) -> Column:
    start, end = span
    at, date = sf.col(stream.event_time.field), sf.col(EVENT_DATE)
    after = before = sf.expr("true")
    if start > 0:
        moment = sf.timestamp_seconds(sf.lit(start))
        after = (at >= moment) & (date >= sf.to_date(moment))
    if end <= LAST_SECOND:
        moment = sf.timestamp_seconds(sf.lit(end))
        before = (at < moment) & (date <= sf.to_date(moment))
    return after & before
