"""How are days of few events made again? Several in one job, since a job takes a second however little it does.

Each day is a stage of its own all the same: the first of its neighbours that is asked for builds all that are not done yet, and
each has its own files, its own figures and its own end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from controlplane.contract.names import EVENT_DATE
from pipeline.backfill.build import PIECE_ROWS, REFUSED, ROWS, Piece, Unit, built, pieces_of, read_piece
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pydantic import JsonValue
    from pyspark.sql import DataFrame, SparkSession

    from pipeline.backfill.scene import Scene

    Found = dict[str, JsonValue]

MOST_DAYS = 31
"""So that a pause comes within seconds, and the days' calendar moves."""


def neighbours(days: Iterable[str], rows: Mapping[str, int], most: int = PIECE_ROWS) -> Iterator[tuple[str, ...]]:
    """Days in their order as those that are built together: of at most so many rows, or one day alone."""
    few: list[str] = []
    for day in days:
        if few and (len(few) == MOST_DAYS or sum(rows[each] for each in few) + rows[day] > most):
            yield tuple(few)
            few = []
        few.append(day)
    if few:
        yield tuple(few)


def day_made(scene: Scene, day: str) -> Found:
    """Build a day, or take what was built with a neighbour; what it reads is the version that was planned.

    Raises:
        RefusedError, PausedError, CancelledError: as `build.built`.
    """
    rows = scene.rows_of_days()
    group = next(each for each in neighbours(scene.units(), rows) if day in each)
    lock: threading.Lock = scene.once.get(f"lock of {group[0]}", threading.Lock)
    made: dict[str, Found] = scene.once.get("days", dict)
    scene.work.progress(0, rows[day], "rows")
    with lock:
        if day not in made:
            # A day that an earlier process has told as done is left as it is.
            left = [each for each in group if each == day or not scene.work.result_of(f"build:{each}")]
            made.update(_built(scene, [each for each in left if each not in made]))
    scene.work.progress(rows[day], rows[day], "rows")
    return made[day]


def _built(scene: Scene, days: Sequence[str]) -> dict[str, Found]:
    if len(days) == 1:
        return {days[0]: built(scene.work, scene.shadow, scene.again, _unit(scene, days))}
    unit = _unit(scene, days)
    built(scene.work, scene.shadow, scene.again, unit)
    found = {day: _parted(scene, unit, day) for day in days}
    left = [each.day for folder in (ROWS, REFUSED) for each in scene.shadow.files(f"{unit.name}/{folder}")]
    if left:
        raise RefusedError(f"events of {days[0]} to {days[-1]} have become events of {left[0]}; nothing was changed")
    scene.shadow.forget(unit.name)
    return found


def _unit(scene: Scene, days: Sequence[str]) -> Unit:
    files = [file for day in days for file in scene.events.by_day[day]]

    def made(piece: Piece) -> Callable[[SparkSession], DataFrame]:
        return lambda session: scene.again.of_events(read_piece(session, scene.events, piece))

    rows, pieces = sum(each.rows for each in files), [made(each) for each in pieces_of(files)]
    if len(days) == 1:
        return Unit(days[0], rows, pieces, days[0])
    return Unit(f"{days[0]}_and_{len(days) - 1}_more", rows, pieces, is_parted=True)


def _parted(scene: Scene, unit: Unit, day: str) -> Found:
    """A day's own files, out of those of its neighbours."""
    shadow, counts = scene.shadow, dict.fromkeys((ROWS, REFUSED), 0)
    size = 0
    for folder in (ROWS, REFUSED):
        shadow.forget(f"{day}/{folder}")
        for file in [each for each in shadow.files(f"{unit.name}/{folder}") if each.day == day]:
            below = f"0/{EVENT_DATE}={day}" if folder == ROWS else "0"
            shadow.move(file, f"{day}/{folder}/{below}")
            counts[folder] += file.rows
            size += file.bytes if folder == ROWS else 0
    rows = sum(each.rows for each in scene.events.by_day[day])
    if sum(counts.values()) != rows:
        raise RefusedError(
            f"{day}: {rows:,} rows went in, {counts[ROWS]:,} came out and {counts[REFUSED]:,} were turned away; nothing was changed"
        )
    return {"rows": rows, "kept": counts[ROWS], "refused": counts[REFUSED], "bytes": size}
