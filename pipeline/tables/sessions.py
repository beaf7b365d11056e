"""Which sessions have to be computed now, and from which events?

A session has no fixed place: a late event may lengthen one, join two, or begin one of its own. So for each tuple of
dimensions that has late events the stretch around them is found, from where their neighbours begin to where they end, and
everything in it is computed again. Where that reaches the sessions that are still open, it goes on to the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.rollups import LATE, WINDOW_END, WINDOW_START
from pipeline.tables.due import Due, within
from pipeline.tables.windows import END, LAST_SECOND, SECOND, START, added_up, as_rows, counted, dimension, in_windows

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from controlplane.contract.streams import Rollup, StreamDefinition
    from pipeline.tables.cursor import Cursor
    from pipeline.tables.news import News

_FROM, _TO = "tg_from", "tg_to"
_END_OF_TIME = 2 * LAST_SECOND


def due_sessions(  # noqa: PLR0913 (what a decision rests on)
    stream: StreamDefinition, rollup: Rollup, cursor: Cursor, news: News, horizon: int, table: DataFrame | None
) -> Due:
    """Sessions that have closed, and those that late events have changed.

    Args:
        stream: whose.
        rollup: which.
        cursor: how far the table is.
        news: what has come since.
        horizon: up to where sessions close now, epoch seconds.
        table: the rollup's rows until now; None before the first.
    """
    before, floor = cursor.horizon, cursor.floor or 0
    closes = (sf.col(END) <= horizon) & (sf.col(END) > (-1 if before is None else before))
    if table is None or not news.has_before(before):
        events = within(news.events, stream, [(floor, _END_OF_TIME)])
        found = added_up(in_windows(counted(events, stream, rollup, cursor.seen), rollup), stream, rollup, before)
        found = found.persist()
        return Due(as_rows(found.where(closes), rollup), _floor(found, horizon))
    stretches = _stretches(stream, rollup, cursor, news, table).persist()
    first = stretches.agg(sf.min(_FROM)).collect()[0][0]
    events = within(news.events, stream, [(floor if first is None else min(floor, first), _END_OF_TIME)])
    mine = _with(counted(events, stream, rollup, cursor.seen), stretches, rollup)
    read = mine.where((sf.col(SECOND) >= floor) | _is_inside(SECOND)).drop(_FROM, _TO)
    found = added_up(in_windows(read, rollup), stream, rollup, before).persist()
    again = _with(found, stretches, rollup).where(closes | ((sf.col(END) <= horizon) & _is_inside(START)))
    old = _old(table, stretches, rollup).persist()
    rows = as_rows(_with_their_late(again, old, rollup), rollup)
    return Due(rows, _floor(found, horizon), gone=_gone(old, again, rollup), replaces=True)


def _floor(found: DataFrame, horizon: int) -> int:
    """Where the first session begins that is still open."""
    first = found.where(sf.col(END) > horizon).agg(sf.min(START)).collect()[0][0]
    return horizon if first is None else min(horizon, int(first))


def _stretches(stream: StreamDefinition, rollup: Rollup, cursor: Cursor, news: News, table: DataFrame) -> DataFrame:
    """By dimensions: from where to where (exclusive) late events may have changed the table's sessions."""
    gap, by = int(rollup.window.length.total_seconds()), _by(rollup)
    mine = counted(news.added, stream, rollup, cursor.seen).where(sf.col(SECOND) < (cursor.horizon or 0))
    late = mine.select(*by, SECOND).distinct()
    old = _as_found(table, rollup).select(*(sf.col(each).alias(f"o_{each}") for each in (*by, START, END)))
    is_near = (sf.col(f"o_{START}") < sf.col(SECOND) + gap) & (sf.col(f"o_{END}") > sf.col(SECOND))
    for each in by:
        is_near = is_near & (sf.col(each) == sf.col(f"o_{each}"))
    near = (
        late.join(old, is_near, "left")
        .groupBy(*by)
        .agg(
            sf.min(sf.least(sf.col(SECOND), sf.col(f"o_{START}"))).alias(_FROM),
            sf.max(sf.greatest(sf.col(SECOND) + gap, sf.col(f"o_{END}"))).alias(_TO),
        )
    )
    return near.withColumn(_TO, sf.when(sf.col(_TO) > (cursor.floor or 0), _END_OF_TIME).otherwise(sf.col(_TO)))


def _by(rollup: Rollup) -> list[str]:
    return [dimension(each) for each in rollup.dimensions]


def _as_found(table: DataFrame, rollup: Rollup) -> DataFrame:
    """The table's rows, named as computed ones are."""
    return table.select(
        sf.unix_seconds(WINDOW_START).alias(START),
        sf.unix_seconds(WINDOW_END).alias(END),
        *(sf.col(each).alias(dimension(each)) for each in rollup.dimensions),
        *rollup.measures,
        LATE,
    )


def _with(frame: DataFrame, stretches: DataFrame, rollup: Rollup) -> DataFrame:
    """Each row with its dimensions' stretch; nulls where there is none."""
    if not rollup.dimensions:
        return frame.crossJoin(sf.broadcast(stretches))
    return frame.join(sf.broadcast(stretches), _by(rollup), "left")


def _is_inside(second: str) -> Column:
    inside = (sf.col(second) >= sf.col(_FROM)) & (sf.col(second) < sf.col(_TO))
    return sf.coalesce(inside, sf.expr("false"))


def _old(table: DataFrame, stretches: DataFrame, rollup: Rollup) -> DataFrame:
    """The table's sessions that are computed again."""
    return _with(_as_found(table, rollup), stretches, rollup).where(_is_inside(START)).drop(_FROM, _TO)


def _with_their_late(again: DataFrame, old: DataFrame, rollup: Rollup) -> DataFrame:
    """What had been late for the sessions that one was made of was late for it."""
    names = (*_by(rollup), START)
    theirs = old.select(*(sf.col(each).alias(f"o_{each}") for each in names), sf.col(LATE).alias("o_late"))
    is_of = (sf.col(f"o_{START}") >= sf.col(START)) & (sf.col(f"o_{START}") < sf.col(END))
    for each in _by(rollup):
        is_of = is_of & (sf.col(each) == sf.col(f"o_{each}"))
    keys = [*_by(rollup), START, END]
    measures = [sf.first(each).alias(each) for each in rollup.measures]
    late = (sf.first(LATE) + sf.coalesce(sf.sum("o_late"), sf.lit(0))).alias(LATE)
    return again.join(theirs, is_of, "left").groupBy(*keys).agg(*measures, late)


def _gone(old: DataFrame, again: DataFrame, rollup: Rollup) -> DataFrame:
    """The table's sessions that there are no more."""
    keys = [*_by(rollup), START]
    return as_rows(old.join(again.select(*keys), keys, "left_anti"), rollup)
