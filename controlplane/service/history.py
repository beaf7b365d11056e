"""Where do the ledgers' points outlive the control plane?

In one SQLite file. History is worth less than the present: a full disk or a damaged file is logged once and the control
plane goes on without. Every call opens the file anew, so that a folder that comes back is used again; that is a
millisecond, a few times a minute. Calls block: they belong on a thread.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.push import LedgerPoint
from controlplane.service.ledger import place_of
from controlplane.service.sqlite import opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

KEPT = timedelta(days=30)
_TABLE = """
CREATE TABLE IF NOT EXISTS points (
    minute INTEGER NOT NULL, stream TEXT NOT NULL, verdict TEXT NOT NULL, point TEXT NOT NULL,
    PRIMARY KEY (minute, stream, verdict)
) WITHOUT ROWID
"""
_log = logging.getLogger(__name__)


class HistoryFile:
    """Points of thirty days; one row for each minute, stream and verdict."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._complained = False

    def save(self, points: Iterable[tuple[str, LedgerPoint]], now: datetime) -> bool:
        """Keep points and forget the oldest; False, and logged once, if that cannot be."""
        rows = [(*_row(point), stream, point.model_dump_json()) for stream, point in points]
        try:
            with closing(self._opened()) as database, database:
                database.executemany(
                    "INSERT OR IGNORE INTO points (minute, verdict, stream, point) VALUES (?, ?, ?, ?)", rows
                )
                database.execute("DELETE FROM points WHERE minute < ?", (_minute(now - KEPT),))
        except (sqlite3.Error, OSError) as error:
            self._complain(error)
            return False
        self._complained = False
        return True

    def load(self, since: datetime, stream: str | None = None) -> list[tuple[str, LedgerPoint]]:
        """Points from a moment on, oldest first; none, and logged once, if they cannot be read."""
        wanted = "SELECT stream, point FROM points WHERE minute >= ? AND (? IS NULL OR stream = ?) ORDER BY minute"
        try:
            with closing(self._opened()) as database:
                found = database.execute(wanted, (_minute(since), stream, stream)).fetchall()
            points = [(name, LedgerPoint.model_validate_json(text)) for name, text in found]
        except (sqlite3.Error, OSError, ValueError) as error:
            self._complain(error)
            return []
        return sorted((each for each in points if each[1].at >= since), key=lambda each: each[1].at)

    def _opened(self) -> sqlite3.Connection:
        return opened(self._file, _TABLE)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            _log.warning("the ledgers' history cannot be kept in %s: %s; going on without", self._file, error)
        self._complained = True


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


def _row(point: LedgerPoint) -> tuple[int, str]:
    minute, verdict = place_of(point)
    return minute, str(verdict)
