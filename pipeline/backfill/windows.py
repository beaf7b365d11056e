"""Which windows of a rollup does a backfill change, and what do they add up to then?

A window is computed whole, from all of its events, as the tables that follow do it; so nothing can be counted twice, and what a
table has followed does not matter: its cursor stays. Windows that reach into the touched days are computed again, the others stay.
Sessions are what is hard: they join when an event comes between them and part when one goes. Those of the table that reach into the
touched days, or begin less than a gap behind them, say from where to where events have to be read; those that are still open end
nowhere yet, so from the table's floor on all is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.rollups import LATE, PERIOD, WINDOW_END, WINDOW_START
from controlplane.contract.streams import WindowKind
from pipeline.backfill.spans import is_in, reach_into, starts_of
from pipeline.tables.due import joined, within
from pipeline.tables.windows import END, LAST_SECOND, START, added_up, as_rows, counted, in_windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.streams import Rollup, StreamDefinition
    from pipeline.tables.cursor import Cursor
    from pipeline.tables.due import Span

_CHUNK_ROWS = 1_000_000
_END_OF_TIME = LAST_SECOND + 1


@dataclass(frozen=True)
class Touched:
    """A rollup, and the days that a backfill touches."""

    stream: StreamDefinition
    rollup: Rollup
    cursor: Cursor
    """Of the rollup's table."""
    spans: Sequence[Span]

    @property
    def _length(self) -> int:
        return int(self.rollup.window.length.total_seconds())

    @property
    def _is_session(self) -> bool:
        return self.rollup.window.kind is WindowKind.SESSION

    def is_touched(self, start: Column, end: Column) -> Column:
        """May the content of a window change? Of a session also, may it be joined with one that does?"""
        beyond = self._length if self._is_session else 0
        return is_in(self.spans, lambda span: (end > span[0]) & (start < span[1] + beyond))

    def computed(
        self, events: DataFrame, table: DataFrame, rows: Mapping[str, int], fresh: Sequence[Span] | None = None
    ) -> Iterator[tuple[int, DataFrame]]:
        """The touched windows, also those that have not closed, as the table has rows; in numbered pieces that end within seconds.

        Args:
            events: all of the stream's, as they will be.
            table: the rollup's rows as they are.
            rows: day -> events of it, about.
            fresh: only pieces with windows that reach into these; sessions may join with any, so they are always one piece.
        """
        if self._is_session:
            yield 0, self._added_up(within(events, self.stream, self._to_read(table)), self._touches)
            return
        for at, (start, end) in enumerate(starts_of(self.spans, rows, self._length, _CHUNK_ROWS)):
            if fresh is None or reach_into((start, end), self._length, fresh):
                mine = within(events, self.stream, [(start, min(end + self._length, _END_OF_TIME))])
                yield at, self._added_up(mine, (sf.col(START) >= start) & (sf.col(START) < end) & self._touches)

    @property
    def _touches(self) -> Column:
        return self.is_touched(sf.col(START), sf.col(END))

    def _added_up(self, events: DataFrame, is_wanted: Column) -> DataFrame:
        mine = counted(events, self.stream, self.rollup, {})
        found = added_up(in_windows(mine, self.rollup), self.stream, self.rollup, None)
        return as_rows(found.where(is_wanted), self.rollup)

    def _to_read(self, table: DataFrame) -> list[Span]:
        start, end = sf.unix_seconds(WINDOW_START), sf.unix_seconds(WINDOW_END)
        asked = [
            function(sf.when((end > since) & (start < until + self._length), column))
            for since, until in self.spans
            for function, column in ((sf.min, start), (sf.max, end))
        ]
        [said] = table.agg(*asked).collect()
        floor = self.cursor.floor or 0
        return joined(
            [self._reach(span, floor, said[2 * at], said[2 * at + 1]) for at, span in enumerate(self.spans)],
            len(self.spans),
        )

    def _reach(self, span: Span, floor: int, first: int | None, last: int | None) -> Span:
        since, until = span[0], span[1] + self._length
        since = min(since, since if first is None else first, floor)
        return since, _END_OF_TIME if until > floor else max(until, until if last is None else last)

    def floor(self, computed: DataFrame) -> int | None:
        """First second of windows that are open: a session that has joined an open one is open as well."""
        floor = self.cursor.floor
        if not self._is_session or self.cursor.horizon is None:
            return floor
        is_open = sf.unix_seconds(WINDOW_END) > self.cursor.horizon
        first = computed.where(is_open).agg(sf.min(sf.unix_seconds(WINDOW_START))).collect()[0][0]
        return floor if first is None else min(int(first), self.cursor.horizon if floor is None else floor)

    def closed(self, computed: DataFrame) -> DataFrame:
        """Those of the computed windows that belong into the table."""
        return computed.where(sf.unix_seconds(WINDOW_END) <= (self.cursor.horizon or 0))

    def with_late(self, computed: DataFrame, table: DataFrame) -> DataFrame:
        """Closed windows with how many events had been late for them, or for the sessions that they are made of."""
        closed = self.closed(computed).drop(LATE)
        end = WINDOW_END if self._is_session else None
        theirs = self.old(table).select(
            sf.col(WINDOW_START).alias("o_start"),
            *(sf.col(each).alias(f"o_{each}") for each in self.rollup.dimensions),
            sf.col(LATE).alias("o_late"),
        )
        is_of = sf.col("o_start") == sf.col(WINDOW_START)
        if end is not None:
            is_of = (sf.col("o_start") >= sf.col(WINDOW_START)) & (sf.col("o_start") < sf.col(end))
        same = [sf.col(f"o_{each}") == sf.col(each) for each in self.rollup.dimensions]
        by = [WINDOW_START, WINDOW_END, *self.rollup.dimensions, PERIOD]
        measures = [sf.first(each).alias(each) for each in self.rollup.measures]
        late = sf.coalesce(sf.sum("o_late"), sf.lit(0)).alias(LATE)
        joined_ = closed.join(theirs, reduce(and_, same, is_of), "left").groupBy(*by).agg(*measures, late)
        return joined_.select(*computed.columns)

    def old(self, table: DataFrame) -> DataFrame:
        """Those of the table's windows that are computed again."""
        return table.where(self.is_touched(sf.unix_seconds(WINDOW_START), sf.unix_seconds(WINDOW_END)))

    def whole_periods(self, closed: DataFrame, table: DataFrame) -> tuple[list[str], DataFrame]:
        """The table's partitions that change, and all that will be in them.

        Args:
            closed: what `with_late` gives.
            table: the rollup's rows as they are.
        """
        names = closed.select(PERIOD).union(self.old(table).select(PERIOD)).distinct().collect()
        periods = sorted(str(row[0]) for row in names)
        is_touched = self.is_touched(sf.unix_seconds(WINDOW_START), sf.unix_seconds(WINDOW_END))
        stays = table.where(sf.col(PERIOD).isin(*periods) & ~is_touched)
        return periods, closed.unionByName(stays.select(*closed.columns))
