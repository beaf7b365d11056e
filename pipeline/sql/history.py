"""What has each user asked lately? Kept in a file, so that it is there tomorrow; the newest 500 of each."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.queries import HISTORY_KEPT, QueryRan

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = (
    "CREATE TABLE IF NOT EXISTS queries (id INTEGER PRIMARY KEY, who TEXT NOT NULL, at REAL NOT NULL, engine TEXT NOT NULL, "
    "sql TEXT NOT NULL, as_of TEXT NOT NULL, reason TEXT, rows INTEGER, elapsed_s REAL); "
    "CREATE INDEX IF NOT EXISTS queries_who ON queries (who, id)"
)
_INSERT = "INSERT INTO queries (who, at, engine, sql, as_of, reason, rows, elapsed_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_LAST = "SELECT id, engine, sql, as_of FROM queries WHERE who = ? ORDER BY id DESC LIMIT 1"
_NEWEST = "SELECT at, engine, sql, as_of, reason, rows, elapsed_s FROM queries WHERE who = ? ORDER BY id DESC LIMIT ?"
_FORGET = "DELETE FROM queries WHERE who = ? AND id <= (SELECT id FROM queries WHERE who = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
_log = logging.getLogger(__name__)


class History:
    """Queries by user; every method may be called from any thread. One that can't be kept is not: it is no reason to fail."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = threading.Lock()

    def add(self, who: str, ran: QueryRan) -> None:
        """Keep a query; the same one again takes the place of the one before, as in a shell."""
        row = (who, ran.at.timestamp(), ran.engine, ran.sql, json.dumps(ran.as_of), ran.reason, ran.rows, ran.elapsed_s)
        try:
            with self._turn, closing(self._opened()) as database, database:
                last = database.execute(_LAST, (who,)).fetchone()
                if last is not None and last[1:] == row[2:5]:
                    database.execute("DELETE FROM queries WHERE id = ?", last[:1])
                database.execute(_INSERT, row)
                database.execute(_FORGET, (who, who, HISTORY_KEPT))
        except (sqlite3.Error, OSError) as error:
            _log.warning("%s: a query was not kept: %s", self._file, error)

    def of(self, who: str, limit: int = HISTORY_KEPT) -> list[QueryRan]:
        """A user's queries, the newest first."""
        try:
            with self._turn, closing(self._opened()) as database:
                found = database.execute(_NEWEST, (who, limit)).fetchall()
        except (sqlite3.Error, OSError) as error:
            _log.warning("%s cannot be read: %s", self._file, error)
            return []
        return [
            QueryRan(
                at=datetime.fromtimestamp(at, UTC),
                engine=engine,
                sql=sql,
                as_of=json.loads(as_of),
                reason=reason,
                rows=rows,
                elapsed_s=elapsed_s,
            )
            for at, engine, sql, as_of, reason, rows, elapsed_s in found
        ]

    def _opened(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._file)
        try:
            database.executescript(_TABLES)
        except sqlite3.Error:
            database.close()
            raise
        return database
