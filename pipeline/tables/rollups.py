"""What do closed windows add up to? One table a rollup, each window in it once, corrected when late events come.

Live counts what is still open. A window is written here when the watermark has passed its end, and again when an event comes
for it later: never lost, and counted in `late`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import functions as sf

from controlplane.contract.rollups import LATE, PERIOD, WINDOW_START
from controlplane.contract.streams import WindowKind
from pipeline.maintenance.promise import promised
from pipeline.tables.commit import committed, fingerprint, last_metrics
from pipeline.tables.due import closed_until, due
from pipeline.tables.sessions import due_sessions
from pipeline.tables.watermark import watermark
from pipeline.tables.windows import definition

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from controlplane.contract.streams import Rollup, StreamDefinition
    from pipeline.tables.cursor import Cursor
    from pipeline.tables.due import Due
    from pipeline.tables.news import News

_IS_GONE = "tg_gone"


def definition_of(stream: StreamDefinition, rollup: Rollup) -> str:
    """Fingerprint of what a rollup's rows are computed by."""
    return fingerprint(definition(stream, rollup))


@dataclass(frozen=True)
class Closed:
    """What one commit closed and corrected."""

    version: int
    cursor: Cursor
    rows: int
    """Windows by dimensions."""
    corrected: bool
    """Late events have changed windows that had closed."""
    took_s: float


@dataclass(frozen=True)
class RollupTable:
    """One rollup of a stream."""

    session: SparkSession
    stream: StreamDefinition
    rollup: Rollup
    path: str

    @property
    def definition(self) -> str:
        """Fingerprint of what the rows are computed by."""
        return definition_of(self.stream, self.rollup)

    def follow(self, cursor: Cursor, news: News) -> Closed | None:
        """Write the windows that have closed or were corrected; None when there are none."""
        mark = watermark(news.seen, self.stream.lateness)
        if mark is None:
            return None
        began, before = time.monotonic(), cursor.horizon
        horizon = max(closed_until(mark, self.rollup), 0 if before is None else before)
        if horizon == (before or 0) and not news.has_before(before):
            return None
        try:
            return self._write(cursor, news, self._due(cursor, news, horizon), horizon, began)
        finally:
            self.session.catalog.clearCache()

    def _due(self, cursor: Cursor, news: News, horizon: int) -> Due:
        if self.rollup.window.kind is not WindowKind.SESSION:
            return due(self.stream, self.rollup, cursor, news, horizon)
        table = None if cursor.horizon is None else self.session.read.format("delta").load(self.path)
        return due_sessions(self.stream, self.rollup, cursor, news, horizon, table)

    def _write(self, cursor: Cursor, news: News, found: Due, horizon: int, began: float) -> Closed | None:
        rows = found.rows.withColumn(_IS_GONE, sf.expr("false"))
        if found.gone is not None:
            rows = rows.unionByName(found.gone.withColumn(_IS_GONE, sf.expr("true")))
        rows = rows.coalesce(1).persist()
        by_period = rows.groupBy(PERIOD).count().collect()
        if not by_period:
            return None
        periods = tuple(sorted(row[0] for row in by_period))
        after = replace(
            cursor,
            events_version=news.version,
            seen=dict(news.seen),
            horizon=horizon,
            floor=found.floor,
            periods=periods,
        )
        with committed(self.session, after):
            if found.replaces:
                self._merge(rows, periods)
            else:
                self._add(rows.drop(_IS_GONE), is_first=cursor.horizon is None)
        version, _ = last_metrics(self.session, self.path)
        return Closed(version, after, sum(row[1] for row in by_period), found.replaces, time.monotonic() - began)

    def _add(self, rows: DataFrame, *, is_first: bool) -> None:
        writer = rows.write.format("delta").partitionBy(PERIOD)
        if is_first:
            writer = writer.options(**promised(self.stream.maintenance))
            writer.mode("overwrite").option("overwriteSchema", "true").save(self.path)
        else:
            writer.mode("append").save(self.path)

    def _merge(self, rows: DataFrame, periods: tuple[str, ...]) -> None:
        same = [sf.col(f"t.{each}") == sf.col(f"s.{each}") for each in (PERIOD, WINDOW_START, *self.rollup.dimensions)]
        columns = [each for each in rows.columns if each != _IS_GONE]
        late = sf.col(f"s.{LATE}")
        if self.rollup.window.kind is not WindowKind.SESSION:
            late = late + sf.col(f"t.{LATE}")
        taken: dict[str, str | Column] = {each: sf.col(f"s.{each}") for each in columns}
        (
            DeltaTable.forPath(self.session, self.path)
            .alias("t")
            .merge(rows.alias("s"), reduce(and_, [sf.col(f"t.{PERIOD}").isin(*periods), *same]))
            .whenMatchedDelete(sf.col(f"s.{_IS_GONE}"))
            .whenMatchedUpdate(set={**taken, LATE: late})
            .whenNotMatchedInsert(~sf.col(f"s.{_IS_GONE}"), values=taken)
            .execute()
        )
