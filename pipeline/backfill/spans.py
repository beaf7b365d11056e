"""Which seconds of event time does a backfill touch? Its days, as few spans, and the windows that lie in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from pipeline.tables.due import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pyspark.sql import Column

    from pipeline.tables.due import Span

SPANS_AT_MOST = 40


def spans_of(days: Iterable[str]) -> list[Span]:
    """Days (ISO) as spans of seconds, neighbours as one; when they are many, with some days between them."""
    starts = [int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()) for day in days]
    return joined([(max(0, start), start + 86_400) for start in starts if start + 86_400 > 0], SPANS_AT_MOST)


def is_in(spans: Sequence[Span], of: Callable[[Span], Column]) -> Column:
    """Is it so of one of the spans? Of none when there are none."""
    return reduce(or_, map(of, spans), sf.lit(False))  # noqa: FBT003 (Spark's)


def chunks(spans: Iterable[Span], rows: Mapping[str, int], most: int) -> Iterator[Span]:
    """Cut spans at midnights, so that each holds about so many rows at most; a day is never cut.

    Args:
        spans: whole days.
        rows: day (ISO) -> rows.
        most: rows.
    """
    for start, end in spans:
        begun, held = start, 0
        for midnight in range(start, end, 86_400):
            count = rows.get(day_of(midnight), 0)
            if held and held + count > most:
                yield begun, midnight
                begun, held = midnight, 0
            held += count
        yield begun, end


def starts_of(spans: Sequence[Span], rows: Mapping[str, int], length: int, most: int) -> list[Span]:
    """In which seconds do windows of a length begin that reach into the spans? Each in one stretch, and none too large.

    Args:
        spans: whole days, ascending.
        rows: day (ISO) -> rows.
        length: of a window, seconds.
        most: rows of a stretch, about.
    """
    found: list[Span] = []
    begin = {span[0] for span in spans}
    for start, end in chunks(spans, rows, most):
        since = max(0, start - length) if start in begin else start
        found.append((max(since, found[-1][1]) if found else since, end))
    return found


def reach_into(stretch: Span, length: int, spans: Iterable[Span]) -> bool:
    """Do windows of a length (seconds) that begin in a stretch reach into any of these spans?"""
    start, end = stretch
    return any(start < until and end - 1 + length > since for since, until in spans)


def day_of(second: int) -> str:
    """The day of a second, ISO."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).date().isoformat()
