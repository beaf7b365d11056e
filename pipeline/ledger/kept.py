"""What of the account outlives the process? Everything that was counted, with the position that it was counted up to.

One SQLite file a stream. Positions and counts are written in one transaction, so that a restart neither counts a record
twice nor leaves one out; only what has changed since the last time is written.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlplane.contract.names import BLOCK, Hop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pipeline.ledger.log import Place

FileCounts = dict[int, dict[int, int]]
"""Partition -> block -> events."""
_VERSION = BLOCK
"""Of the file: counts by blocks of another size are of no use."""
_TABLES = """
CREATE TABLE IF NOT EXISTS tape (
    hop TEXT, partition INTEGER, since INTEGER, until INTEGER, newest_source INTEGER, newest_ms INTEGER,
    PRIMARY KEY (hop, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS block (
    hop TEXT, partition INTEGER, block INTEGER, events INTEGER, first_offset INTEGER, first_ms INTEGER,
    PRIMARY KEY (hop, partition, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS astray (
    hop TEXT, partition INTEGER, offset INTEGER, source INTEGER, PRIMARY KEY (hop, partition, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lake_file (path TEXT PRIMARY KEY, counts TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (partition INTEGER PRIMARY KEY, until INTEGER);
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Astray:
    """An output record that is not where route writes it: its source offset is not above the one before it."""

    hop: Hop
    partition: int
    offset: int
    """Its own, in the output topic."""
    source: int
    """Of the raw record that it was made from; -1 when it does not say, so that route cannot have written it."""


@dataclass
class Tape:
    """What has been read of one partition of a topic: offsets `[since, until)`."""

    since: int
    until: int
    newest_source: int = -1
    """Highest raw offset that a record here was made from."""
    newest_ms: int = 0
    """When the topic took the newest record."""
    events: dict[int, int] = field(default_factory=dict)
    """Block -> events."""
    first: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Block -> offset here of its first record, and when the topic took it (milliseconds)."""
    astray: list[Astray] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    """Blocks that were counted on since they were last written down."""
    written_until: int = -1
    """The `until` that was last written down."""


class Kept:
    """A stream's file; to be used by one thread.

    Raises:
        sqlite3.OperationalError: if it cannot be had now: another process has it, or the disk is full.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = _opened(file)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            _log.warning("%s cannot be read (%s): counting anew", file, error)
            _remove(file)
            self._file = _opened(file)

    def tapes(self) -> dict[Place, Tape]:
        """All that was counted."""
        tapes = {
            (Hop(hop), partition): Tape(since, until, source, at_ms, written_until=until)
            for hop, partition, since, until, source, at_ms in self._file.execute(
                "SELECT hop, partition, since, until, newest_source, newest_ms FROM tape"
            )
        }
        for hop, partition, block, events, *first in self._file.execute("SELECT * FROM block"):
            tapes[Hop(hop), partition].events[block] = events
            tapes[Hop(hop), partition].first[block] = (first[0], first[1])
        for hop, partition, offset, source in self._file.execute("SELECT * FROM astray"):
            tapes[Hop(hop), partition].astray.append(Astray(Hop(hop), partition, offset, source))
        return tapes

    def keep(self, tapes: Mapping[Place, Tape]) -> None:
        """Write down positions and the blocks that have changed, all or nothing."""
        moved = {place: each for place, each in tapes.items() if each.until != each.written_until}
        if not moved:
            return
        with self._file:
            self._file.executemany(
                "INSERT OR REPLACE INTO tape VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (hop, partition, each.since, each.until, each.newest_source, each.newest_ms)
                    for (hop, partition), each in moved.items()
                ],
            )
            self._file.executemany(
                "INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (hop, partition, block, each.events[block], *each.first[block])
                    for (hop, partition), each in moved.items()
                    for block in each.changed
                ],
            )
            self._file.executemany(
                "INSERT OR IGNORE INTO astray VALUES (?, ?, ?, ?)",
                [
                    (found.hop, found.partition, found.offset, found.source)
                    for each in moved.values()
                    for found in each.astray
                ],
            )
        for each in moved.values():
            each.changed.clear()
            each.written_until = each.until

    def forget(self, place: Place) -> None:
        """Drop what was counted of one partition of a topic."""
        hop, partition = place
        with self._file:
            for table in ("tape", "block", "astray"):
                self._file.execute(f"DELETE FROM {table} WHERE hop = ? AND partition = ?", (hop, partition))  # noqa: S608

    def clear(self, found: Astray) -> None:
        """Drop a record that was examined and is in order."""
        with self._file:
            self._file.execute(
                "DELETE FROM astray WHERE hop = ? AND partition = ? AND offset = ?",
                (found.hop, found.partition, found.offset),
            )

    def lake_files(self) -> dict[str, FileCounts]:
        """Delta file -> its counts."""
        return {
            path: {
                int(partition): {int(block): events for block, events in blocks.items()}
                for partition, blocks in json.loads(counts).items()
            }
            for path, counts in self._file.execute("SELECT path, counts FROM lake_file")
        }

    def keep_lake_files(self, added: Mapping[str, FileCounts], gone: Iterable[str]) -> None:
        """Write down what new files hold, and forget those that are no longer the table's."""
        with self._file:
            self._file.executemany(
                "INSERT OR REPLACE INTO lake_file VALUES (?, ?)",
                [(path, json.dumps(counts)) for path, counts in added.items()],
            )
            self._file.executemany("DELETE FROM lake_file WHERE path = ?", [(path,) for path in gone])

    def settled(self) -> dict[int, int]:
        """Partition -> raw offset up to which it is settled."""
        return dict(self._file.execute("SELECT partition, until FROM settled").fetchall())

    def keep_settled(self, until: Mapping[int, int]) -> None:
        """Write down up to where each partition is settled."""
        with self._file:
            self._file.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?)", list(until.items()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _opened(file: Path) -> sqlite3.Connection:
    made = sqlite3.connect(file)
    try:
        _refuse_other(made.execute("PRAGMA user_version").fetchone()[0])
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA synchronous = NORMAL")
        made.executescript(_TABLES)
        made.execute(f"PRAGMA user_version = {_VERSION}")
    except sqlite3.DatabaseError:
        made.close()
        raise
    return made


def _refuse_other(version: int) -> None:
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError(f"its blocks are of {version} offsets")


def _remove(file: Path) -> None:
    for each in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        each.unlink(missing_ok=True)
