"""How are a rollup and an entity corrected, when the events that they are made of were swapped? Each in one commit.

The commit leaves the cursor where it was: what the table has followed is the same as before. Publishing sees from it which periods
have changed, and brings readers up to date. Done again after a crash, it finds nothing different, or writes the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deltalake import DeltaTable

from pipeline.backfill.compare import (
    compare_windows,
    compute_windows,
    computed_windows,
    cursor_of,
    entity_table,
    is_different,
    latest,
    latest_of_days,
    rollup_table,
)
from pipeline.backfill.scene import INCREMENT
from pipeline.backfill.spans import spans_of
from pipeline.backfill.things import TouchedThings
from pipeline.lake.lineage import with_backfill

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import JsonValue
    from pyspark.sql import DataFrame

    from pipeline.backfill.scene import Scene
    from pipeline.backfill.windows import Touched

_SAYS = "spark.databricks.delta.commitInfo.userMetadata"


def correct_rollup(scene: Scene, name: str, version: int, fresh: Collection[str]) -> dict[str, JsonValue]:
    """Write the windows that are different.

    Args:
        scene: whose.
        name: of the rollup.
        version: of the events, with what was swapped in.
        fresh: days of events that have come and that the windows in the shadow do not count: those are computed again.
    """
    table = rollup_table(scene, name)
    cursor, days, folder = cursor_of(table), scene.touched_days(), windows_in(name)
    if cursor is None or not days:
        return {"windows": 0}
    touched = scene.touched(name, cursor)
    # Asked of the stage, not of the folder: what a try that was killed here has left is not whole.
    was_computed = "windows" in scene.work.result_of(f"rollup:{name}")
    if fresh or not was_computed:
        near = spans_of(fresh) if was_computed else None
        compute_windows(scene, touched, table.path, scene.events_now(version), folder, lambda: None, near)
    computed = computed_windows(scene, folder)
    there = scene.work.session().read.format("delta").load(table.path)
    found = compare_windows(touched, there, computed)
    if not is_different(found):
        return {"windows": 0}
    _write(scene, touched, table.path, there, computed)
    return {"windows": found["changed"] + found["new"] + found["gone"], "version": DeltaTable(table.path).version()}


def _write(scene: Scene, touched: Touched, path: str, there: DataFrame, computed: DataFrame) -> None:
    periods, whole = touched.whole_periods(touched.with_late(computed, there), there)
    after = replace(touched.cursor, periods=tuple(periods), floor=touched.floor(computed))
    (
        whole.coalesce(1)
        .write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"period IN ({', '.join(repr(each) for each in periods)})")
        .option("userMetadata", with_backfill(after.written(), scene.id))
        .save(path)
    )


def correct_entity(scene: Scene, name: str, version: int, *, has_increment: bool) -> dict[str, JsonValue]:
    """Write the things that are different.

    Args:
        scene: whose.
        name: of the entity.
        version: of the events, with what was swapped in.
        has_increment: lake had appended to the replaced days meanwhile.
    """
    table = entity_table(scene, name)
    cursor, folder = cursor_of(table), latest_in(name)
    if cursor is None or not scene.touched_days():
        return {"things": 0}
    session = scene.work.session()
    if has_increment:
        latest_of_days(scene, name, [INCREMENT], f"{folder}/{INCREMENT}", lambda: None)
    things = TouchedThings(table, scene.replaced_days())
    current = session.read.format("delta").load(table.path)
    changes = things.changes(current, latest(scene, name, folder), scene.events_now(version)).persist()
    try:
        rows = changes.count()
        if rows:
            session.conf.set(_SAYS, with_backfill(cursor.written(), scene.id))
            things.write(changes)
    finally:
        session.conf.unset(_SAYS)
        changes.unpersist()
    return {"things": rows, "version": DeltaTable(table.path).version()}


def windows_in(rollup: str) -> str:
    """Folder of the shadow with a rollup's windows."""
    return f"windows_{rollup}"


def latest_in(entity: str) -> str:
    """Folder of the shadow with the latest of the built events of each thing."""
    return f"latest_{entity}"
