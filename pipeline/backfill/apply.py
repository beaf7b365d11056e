"""How do the days and all that follows from them change at once, as far as followers can tell?

Under one hold: lake neither appends to the stream nor follows it. First the tables follow to the newest version, so that none of
them later hears of an event as it was before. Then the events are swapped in one commit, and what today's rules turn away is
set aside; then each rollup and entity is corrected, in a commit that leaves its cursor where it was. Each can be done again
after a crash, with the same end; the hold outlives the process, so nobody sees what is half done. Live and route go on all
the time, and appends wait: so of the windows only those near events that have come meanwhile are computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable
from pyspark.sql import functions as sf

from controlplane.contract.names import CHANGE_COLUMNS, CHANGE_TYPE, COMMIT_VERSION, DIVERTED, EVENT_DATE
from pipeline.backfill.build import REFUSED, ROWS, Unit, batch_of, built
from pipeline.backfill.correct import correct_entity, correct_rollup
from pipeline.backfill.look import events_at
from pipeline.backfill.scene import INCREMENT
from pipeline.backfill.swap import Swap, swap, swapped_at
from pipeline.lake.append import write_events
from pipeline.lake.commits import history_of
from pipeline.lake.diverted import last_batch, write_diverted
from pipeline.lake.holds import HeldByOtherError, HoldKind, NotHeldError, holds_of
from pipeline.lake.lineage import followed, says, with_backfill
from pipeline.operate.kind import PausedError, RefusedError
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pydantic import JsonValue
    from pyspark.sql import DataFrame, SparkSession

    from pipeline.backfill.look import EventsAt
    from pipeline.backfill.scene import Scene
    from pipeline.operate.kind import Work

_BRING_ROWS = ("WRITE", "STREAMING UPDATE")
"""What Delta calls an append, and a release."""
_HELD_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Increment:
    """What lake has appended since a version."""

    rows: int
    """Of the days that are replaced."""
    near: tuple[str, ...]
    """Days of those that the windows in the shadow may have to count."""


def hold(scene: Scene) -> None:
    """Let lake rest; waits for its micro-batch to end.

    Raises:
        RefusedError: if another operation holds the stream, or lake does not answer.
    """
    holds = holds_of(scene.work.settings, scene.stream.name, scene.work.session())
    scene.work.progress(0, None, note="waits for lake to let go of the tables")
    try:
        holds.wait(holds.place(scene.id, HoldKind.APPENDS), _HELD_WITHIN, scene.work.check)
    except PausedError:
        if (
            swapped_at(scene.events_folder, scene.id) is None
        ):  # nothing is half done: lake need not wait for an operator
            holds.release(scene.id)
        raise
    except (HeldByOtherError, NotHeldError) as error:
        raise RefusedError(str(error)) from error
    scene.work.log("lake rests")


def release(scene: Scene, session: SparkSession | None = None) -> None:
    """Let lake go on; again changes nothing."""
    if holds_of(scene.work.settings, scene.asked.stream, session).release(scene.id):
        scene.work.log("lake goes on")


def apply(scene: Scene) -> dict[str, JsonValue]:
    """Swap the events and correct what follows from them, once or again after a crash."""
    work = scene.work
    found: Any = work.result_of("compare").get("days") or ()
    days = sorted(map(str, found))
    catch_up(scene)
    version = _swap(scene, days)
    newest = DeltaTable(scene.events_folder).version()
    increment = _increment_of(scene)
    aside = _set_aside(scene)
    tables: dict[str, JsonValue] = {}
    for name in scene.stream.rollups:
        work.progress(0, None, note=f"rollup {name}")
        tables[f"rollup {name}"] = correct_rollup(scene, name, newest, increment.near)
    for name in scene.stream.entities:
        work.progress(0, None, note=f"entity {name}")
        tables[f"entity {name}"] = correct_entity(scene, name, newest, has_increment=bool(increment.rows))
    return {"version": version, "days": [*days], "increment": increment.rows, "set_aside": aside, "tables": tables}


def catch_up(scene: Scene) -> None:
    """Let every table follow to the newest version, as lake would have."""
    session = scene.work.session().newSession()
    for fact in Following(session, scene.stream, scene.work.settings.lake_root).beat():
        scene.work.report(fact)


def _swap(scene: Scene, days: Sequence[str]) -> int | None:
    """The version that it has made, now or before a crash; None when nothing is different."""
    if not days:
        return None
    if (version := swapped_at(scene.events_folder, scene.id)) is not None:
        return version
    _widen(scene)
    says_ = with_backfill(None, scene.id, days=list(days), source=scene.asked.source.value)

    def wanted(now: EventsAt) -> Swap:
        _take_increment(scene, now, days)
        added = [
            file for unit in scene.all_units() for file in scene.shadow.files(f"{unit}/{ROWS}") if file.day in days
        ]
        return Swap(added, now.of_days(days) if scene.is_history else (), says_)

    return swap(scene.events_folder, scene.shadow, scene.stream, scene.id, wanted)


def _widen(scene: Scene) -> None:
    """Give the events table the columns of today's rows that it does not have yet."""
    session = scene.work.session()
    rows = scene.built_rows(())
    there = {each.name for each in DeltaTable(scene.events_folder).schema().fields}
    if set(rows.columns) <= there:
        return
    say = with_backfill(None, scene.id)
    write_events(rows, scene.stream, scene.events_folder, files=1, mergeSchema="true", userMetadata=say)
    session.catalog.clearCache()


def _take_increment(scene: Scene, now: EventsAt, days: Collection[str]) -> None:
    """Build what lake has appended since the plan; what an earlier try has built is built again."""
    scene.shadow.forget(INCREMENT)
    if not scene.is_history:
        return
    found = _appended(scene, now)
    if found is None:
        return
    mine = found.where(sf.col(EVENT_DATE).cast("string").isin(*days)).persist()
    try:
        rows = mine.count()
        if rows:
            again = scene.again
            unit = Unit(INCREMENT, rows, [lambda _: again.of_events(mine)])
            built(_Unhurried(scene.work), scene.shadow, again, unit)
    finally:
        mine.unpersist()


def _appended(scene: Scene, now: EventsAt) -> DataFrame | None:
    """Rows that came after the plan's version, as they are in the table; None when there are none."""
    since = scene.events.version
    if now.version == since:
        return None
    history = {
        int(each["version"]): each for each in history_of(DeltaTable(scene.events_folder), now.version - since + 1)
    }
    versions = followed(says(history.values()), since, now.version)
    if versions is None:
        raise RefusedError(
            f"{scene.events_folder}: rolled back behind version {since} since it was planned; plan it again"
        )
    brought = [each for each in versions if history[each].get("operation") in _BRING_ROWS]
    if not brought:
        return None
    reader = scene.work.session().read.format("delta").option("readChangeFeed", "true")
    changes = (
        reader.option("startingVersion", min(brought)).option("endingVersion", max(brought)).load(scene.events_folder)
    )
    is_mine = sf.col(COMMIT_VERSION).isin(*brought) & (sf.col(CHANGE_TYPE) == "insert")
    return changes.where(is_mine).drop(*CHANGE_COLUMNS)


def _increment_of(scene: Scene) -> Increment:
    """What has come since the plan: of the swapped days, and near them."""
    mine = scene.shadow.files(f"{INCREMENT}/{ROWS}")
    placed = {each.target for unit in scene.all_units() for each in scene.shadow.files(f"{unit}/{ROWS}")}
    known = placed.union(each.path for each in scene.events.files)
    near = _near(scene.touched_days(), _margin(scene))
    fresh = {each.day for each in events_at(scene.events_folder).files if each.path not in known and each.day in near}
    return Increment(sum(each.rows for each in mine), tuple(sorted(fresh.union(each.day for each in mine))))


def _margin(scene: Scene) -> int:
    """In days: so far away from the touched ones an event may count in a window with one of them."""
    longest = max((each.window.length for each in scene.stream.rollups.values()), default=timedelta())
    return longest.days + 1


def _near(days: Collection[str], by: int) -> set[str]:
    around = range(-by, by + 1)
    return {(date.fromisoformat(day) + timedelta(days=off)).isoformat() for day in days for off in around}


def _set_aside(scene: Scene) -> int:
    """What today's rules turn away goes to the table of diverted records, in one commit, once."""
    path, name = f"{scene.folder}/{DIVERTED}", batch_of(scene.id)
    folders = [f"{unit}/{REFUSED}" for unit in scene.all_units()]
    files = [each for folder in folders for each in scene.shadow.files(folder)]
    rows = sum(each.rows for each in files)
    if not rows or last_batch(path, name) >= 0:
        return rows
    uris = [scene.shadow.uri(folder) for folder in folders if scene.shadow.files(folder)]
    found = scene.work.session().read.option("recursiveFileLookup", "true").parquet(*uris)
    say = with_backfill(None, scene.id)
    write_diverted(found, scene.stream, path, txnAppId=name, txnVersion="0", userMetadata=say)
    return rows


class _Unhurried:
    """A `Work` that nobody pauses: lake is held, so it has to end soon."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def check(self) -> None:
        """Go on."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a `Work` has)
        return getattr(self._work, name)
