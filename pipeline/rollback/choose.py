"""To which version does each table go, for the events to be as they were at one?

A table that follows says in its commits which version of the events it is made of. It goes to the one that is made of as much
of the events' version as there is, and of nothing else: what followed events that are rolled back is out, and so is what a
backfill has rewritten whose swap is. What is then still missing it follows from there. Where no version will do it is emptied,
and computed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lake.lineage import NOTHING, is_made_of, origin, way_back

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.lake.lineage import Said
    from pipeline.rollback.logs import Log


@dataclass(frozen=True)
class Target:
    """Where a table goes."""

    table: str
    version: int
    """`NOTHING`: it is emptied."""
    now: int
    why: str = ""
    """Why it is emptied."""


def followed_version(table: Log, events: Mapping[int, Said], version: int, definition: str) -> tuple[int, str]:
    """Of a table that follows the events: its version, or `NOTHING` and why.

    Args:
        table: its log.
        events: what the commits of the events say.
        version: of the events.
        definition: fingerprint of what the table is computed by today.
    """
    way = {each: steps for steps, each in enumerate(way_back(events, version))}
    rewrites = {each.backfill for each in table.said.values() if each.backfill is not None}
    swaps = {each for at in way if (each := events[at].backfill) in rewrites and each is not None}
    mine = {at: cursor for at, cursor in table.cursors.items() if cursor.definition == definition}
    if not mine:
        return NOTHING, "none of its versions is of today's definition"
    fitting = {
        at: way[seen]
        for at, cursor in mine.items()
        if (seen := origin(events, cursor.events_version)) in way and _rewritten_by(table, at) == swaps
    }
    if not fitting:
        return NOTHING, "none of its versions is made of these events alone"
    best = min(fitting, key=lambda at: (fitting[at], -at))
    return _with_what_keeps_rows(table, best), ""


def _rewritten_by(table: Log, version: int) -> set[str]:
    """Backfills that have rewritten what a version has."""
    return {each for at in way_back(table.said, version) if (each := table.said[at].backfill) is not None}


def _with_what_keeps_rows(table: Log, version: int) -> int:
    """The last version with the same rows: compacted since, it is in fewer files, and vacuum leaves it alone for longer."""
    at = version
    while (after := table.commits.get(at + 1)) is not None and after.keeps_rows:
        at += 1
    return at


def diverted_version(table: Log, moment: datetime) -> int:
    """Of the table of diverted micro-batches: as it was when the events were as they are to be."""
    found = table.version_at(moment)
    return NOTHING if found is None else found


def is_current(events: Log, version: int) -> bool:
    """Has the newest version the rows of this one?"""
    return _that_brought_rows(events, events.newest) == _that_brought_rows(events, version)


def _that_brought_rows(log: Log, version: int) -> int:
    """The version that brought the rows of one: not what compacted them, nor what rolled back to them."""
    at = version
    while (commit := log.commits.get(at)) is not None and (commit.keeps_rows or log.said[at].rollback is not None):
        rollback = log.said[at].rollback
        at = at - 1 if rollback is None else rollback.to
    return at


def rolled_back(events: Log, version: int) -> list[int]:
    """Versions that are part of the newest one and not of this one, oldest first."""
    kept = set(way_back(events.said, version))
    return sorted(each for each in way_back(events.said, events.newest) if each not in kept)


def is_forward(events: Log, version: int) -> bool:
    """Was the version itself rolled back before? Then going there undoes that."""
    return not is_made_of(events.said, events.newest, version)
