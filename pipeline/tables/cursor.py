"""How far has a table followed the events? Its own newest commit says so, so the two cannot disagree.

A position is kept nowhere else: no checkpoint can be lost, be older than its table, or belong to another one. What a crash
leaves behind is either all of a commit or nothing of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from pipeline.lake.commits import history_of
from pipeline.tables.watermark import Newest

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMITS = 50


@dataclass(frozen=True)
class Cursor:
    """Which events a table is made of."""

    definition: str
    """Fingerprint of what the table is computed by; another one begins it anew."""
    events_version: int
    """Version of the events table that it has followed; -1 before the first."""
    seen: Mapping[int, Newest] = field(default_factory=dict)
    """Source partition -> its newest event."""
    horizon: int | None = None
    """Rollups: end of the last closed window, epoch seconds; None while none has closed."""
    floor: int | None = None
    """Rollups: first second (epoch) that windows still open at the horizon are made of."""
    periods: tuple[str, ...] = ()
    """Rollups: the partitions that this commit has changed."""

    def written(self) -> str:
        """For a commit's `userMetadata`."""
        return json.dumps({"follows": asdict(self)})


def read(text: str | None) -> Cursor | None:
    """A cursor in a commit's `userMetadata`; None where there is none."""
    try:
        found = json.loads(text or "")["follows"]
    except (ValueError, KeyError, TypeError):
        return None
    seen = {int(partition): Newest(**newest) for partition, newest in found.pop("seen").items()}
    return Cursor(**{**found, "seen": seen, "periods": tuple(found["periods"])})


@dataclass(frozen=True)
class Commits:
    """A table's commits that have a cursor."""

    version: int
    """Of the newest commit with a cursor."""
    cursor: Cursor
    by_version: Mapping[int, Cursor]
    """The last ones."""
    is_whole: bool
    """These are all there ever were."""

    def periods_since(self, version: int) -> frozenset[str] | None:
        """Partitions changed after a version; None when that is not known: then all may have."""
        if version < 0 or (not self.is_whole and version < min(self.by_version)):
            return None
        later = [cursor for at, cursor in self.by_version.items() if at > version]
        return frozenset(period for cursor in later for period in cursor.periods)


def commits_of(path: str) -> Commits | None:
    """What a table's log says; None when there is no table, or none of its commits has a cursor."""
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return None
    for limit in (_COMMITS, None):
        history = history_of(table, limit)
        found = {int(entry["version"]): read(entry.get("userMetadata")) for entry in history}
        known = {version: cursor for version, cursor in found.items() if cursor is not None}
        if known:
            newest = max(known)
            return Commits(newest, known[newest], known, is_whole=0 in found)
    return None
