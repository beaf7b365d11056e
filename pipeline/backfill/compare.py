"""What will a backfill change? Rows and columns, windows, things: counts and examples, before anything is changed.

What is compared is what will be swapped in, from the shadow; windows and things that come of it are kept there, so that the swap
itself has little to do. Fractions of windows are equal when they differ by no more than the order of an addition can make them.
"""

from __future__ import annotations

import json
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as sf
from pyspark.sql.types import DoubleType, FloatType

from controlplane.contract.names import EVENT_DATE, lake_entity, lake_rollup
from controlplane.contract.rollups import LATE, PERIOD, WINDOW_END, WINDOW_START
from pipeline.backfill.build import ROWS
from pipeline.backfill.differences import EXAMPLES, KEYS, Differences, differences
from pipeline.backfill.spans import chunks, spans_of
from pipeline.tables.cursor import commits_of
from pipeline.tables.entities import EntityTable
from pipeline.tables.rollups import RollupTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from pipeline.backfill.scene import Scene
    from pipeline.backfill.windows import Touched
    from pipeline.tables.cursor import Cursor
    from pipeline.tables.due import Span

_AT_ONCE = 50_000
"""Rows of a day that are held whole; of a larger one a column at a time."""
_NEAR = 1e-9
_LATEST_ROWS = 1_000_000


def compare_days(scene: Scene) -> dict[str, Any]:
    """Rows and columns, day by day, and which days differ at all."""
    if not scene.is_history:
        added = sum(each.rows for unit in scene.units() for each in scene.shadow.files(f"{unit}/{ROWS}"))
        return {"before": 0, "after": added, "added": added, "gone": 0, "changed": 0, "days": scene.touched_days()}
    total, changed = Differences(), []
    days = scene.units()
    for at, day in enumerate(days):
        scene.work.check()
        found = _of_day(scene, day)
        pa.default_memory_pool().release_unused()
        total.add(found)
        if not found.is_none:
            changed.append(day)
        scene.work.progress(at + 1, len(days), "days")
    return {**total.as_json(), "days": sorted(changed)}


def _of_day(scene: Scene, day: str) -> Differences:
    old = [each.path for each in scene.events.by_day.get(day, ())]
    new = [each.path for each in scene.shadow.files(f"{day}/{ROWS}")]
    rows = sum(each.rows for each in scene.events.by_day.get(day, ()))
    before = _Columns(scene, [f"events/{each}" for each in old], whole=rows <= _AT_ONCE)
    after = _Columns(scene, new, whole=rows <= _AT_ONCE)
    names = dict.fromkeys([*after.names, *before.names])
    # Delta writes the partition into its files as well; it is the day that is compared.
    return differences(before, after, [each for each in names if each not in (*KEYS, EVENT_DATE)])


class _Columns:
    """Columns of some Parquet files, as `differences` asks for them."""

    def __init__(self, scene: Scene, paths: Sequence[str], *, whole: bool) -> None:
        self._shadow, self._paths = scene.shadow, paths
        self.names = scene.shadow.columns(paths)
        self._held = self._read(self.names) if whole and paths else None

    def __call__(self, column: str) -> pa.ChunkedArray | None:
        if column not in self.names:
            return None
        table = self._held if self._held is not None else self._read([column])
        return table[column]

    def _read(self, columns: Collection[str]) -> pa.Table:
        parts = [self._shadow.read(each, columns) for each in self._paths]
        return pa.concat_tables(parts, promote_options="permissive")


def rollup_table(scene: Scene, name: str) -> RollupTable:
    """A rollup's."""
    path = f"{scene.folder}/{lake_rollup(name)}"
    return RollupTable(scene.work.session(), scene.stream, scene.stream.rollups[name], path)


def entity_table(scene: Scene, name: str) -> EntityTable:
    """An entity's."""
    path = f"{scene.folder}/{lake_entity(name)}"
    return EntityTable(scene.work.session(), scene.stream, scene.stream.entities[name], path)


def cursor_of(table: RollupTable | EntityTable) -> Cursor | None:
    """How far a table is; None when it is computed anew anyhow: there is none yet, or it is of another definition."""
    commits = commits_of(table.path)
    if commits is None or commits.cursor.definition != table.definition:
        return None
    return commits.cursor


def compute_windows(  # noqa: PLR0913 (what it is computed from, and where to)
    scene: Scene,
    touched: Touched,
    path: str,
    events: DataFrame,
    folder: str,
    check: Callable[[], None],
    fresh: Sequence[Span] | None = None,
) -> None:
    """Compute the touched windows of a rollup into a folder of the shadow, in pieces.

    Args:
        scene: whose.
        touched: which rollup and days.
        path: of the rollup's table.
        events: all of them, as they will be.
        folder: in the shadow.
        check: called between two pieces.
        fresh: only the pieces that reach into these are computed again, the others are there; None: all.
    """
    if fresh is None:
        scene.shadow.forget(folder)
    there = scene.work.session().read.format("delta").load(path)
    for at, piece in touched.computed(events, there, scene.rows_of_days(), fresh):
        check()
        piece.coalesce(1).write.mode("overwrite").parquet(scene.shadow.uri(f"{folder}/{at}"))
        scene.work.progress(at + 1, None, "pieces")


def computed_windows(scene: Scene, folder: str) -> DataFrame:
    """What `compute_windows` has left."""
    read = scene.work.session().read.option("recursiveFileLookup", "true")
    return read.parquet(scene.shadow.uri(folder))


def compare_windows(touched: Touched, there: DataFrame, computed: DataFrame) -> dict[str, Any]:
    """Of the closed windows: how many are new, gone or changed, and by which measure."""
    rollup = touched.rollup
    keys = [WINDOW_START, WINDOW_END, *rollup.dimensions, PERIOD]
    old = touched.old(there).select(*keys, sf.struct(*rollup.measures).alias("o"))
    new = touched.closed(computed).drop(LATE).select(*keys, sf.struct(*rollup.measures).alias("n"))
    both = old.join(new, keys, "full_outer").persist()
    try:
        return _windows_found(both, rollup.measures, [WINDOW_START, *rollup.dimensions])
    finally:
        both.unpersist()


def _windows_found(both: DataFrame, measures: Iterable[str], keys: Sequence[str]) -> dict[str, Any]:
    names = list(measures)
    differs = {each: _unequal(both, each) for each in names}
    is_old, is_new = sf.col("o").isNotNull(), sf.col("n").isNotNull()
    is_changed = is_old & is_new & reduce(or_, differs.values())
    [row] = both.agg(
        sf.count(sf.lit(1)),
        sf.count_if(is_changed),
        sf.count_if(~is_old),
        sf.count_if(~is_new),
        *(sf.count_if(is_old & is_new & each) for each in differs.values()),
    ).collect()
    shown = both.where(is_changed | ~is_old | ~is_new).limit(EXAMPLES).toJSON().collect()
    return {
        "windows": row[0],
        "changed": row[1],
        "new": row[2],
        "gone": row[3],
        "measures": {name: row[4 + at] for at, name in enumerate(names)},
        "examples": [_example(each, keys) for each in shown],
    }


def _example(text: str, keys: Sequence[str]) -> dict[str, Any]:
    found = json.loads(text)
    return {"window": {key: found.get(key) for key in keys}, "before": found.get("o"), "after": found.get("n")}


def _unequal(both: DataFrame, measure: str) -> Column:
    one, other = sf.col(f"o.{measure}"), sf.col(f"n.{measure}")
    kind = both.select(one).schema.fields[0].dataType
    same = one.eqNullSafe(other)
    if isinstance(kind, DoubleType | FloatType):
        near = sf.abs(one - other) <= sf.greatest(sf.abs(one), sf.abs(other)) * _NEAR
        same = same | sf.coalesce(near, sf.lit(False))  # noqa: FBT003 (Spark's)
    return ~same


def is_different(found: Mapping[str, Any]) -> bool:
    """Has a comparison of windows or things found anything?"""
    return any(found.get(each) for each in ("changed", "new", "gone", "added"))


def latest_of_days(scene: Scene, name: str, units: Sequence[str], folder: str, check: Callable[[], None]) -> None:
    """Of each thing the latest of the built events, piece by piece, into a folder of the shadow."""
    table, fresh = entity_table(scene, name), scene.built_rows(units)
    scene.shadow.forget(folder)
    for at, (start, end) in enumerate(chunks(spans_of(scene.touched_days()), scene.rows_of_days(), _LATEST_ROWS)):
        check()
        mine = fresh.where(_between(start, end))
        table.latest(mine).coalesce(1).write.mode("overwrite").parquet(scene.shadow.uri(f"{folder}/{at}"))
        scene.work.progress(at + 1, None, "pieces")


def _between(start: int, end: int) -> Column:
    since, until = (sf.to_date(sf.timestamp_seconds(sf.lit(each))) for each in (start, end))
    return (sf.col(EVENT_DATE) >= since) & (sf.col(EVENT_DATE) < until)


def latest(scene: Scene, name: str, folder: str) -> DataFrame:
    """Of what `latest_of_days` has left, the latest of each thing."""
    read = scene.work.session().read.option("recursiveFileLookup", "true")
    found = read.parquet(scene.shadow.uri(folder))
    return entity_table(scene, name).latest(found.drop("tg_deleted"))


def compare_things(changes: DataFrame, current: DataFrame, keys: Sequence[str]) -> dict[str, Any]:
    """How many things are new, changed or gone, with examples of their keys."""
    theirs = current.select(*keys, sf.lit(True).alias("is_there"))  # noqa: FBT003 (Spark's)
    both = changes.join(theirs, [*keys], "left").persist()
    try:
        is_gone = sf.col("tg_gone")
        is_new = sf.col("is_there").isNull()
        [row] = both.agg(sf.count_if(~is_gone & ~is_new), sf.count_if(is_new), sf.count_if(is_gone)).collect()
        shown = both.select(*keys, "tg_gone").limit(EXAMPLES).collect()
    finally:
        both.unpersist()
    return {
        "changed": row[0],
        "new": row[1],
        "gone": row[2],
        "examples": [{key: str(each[key]) for key in (*keys, "tg_gone")} for each in shown],
    }
