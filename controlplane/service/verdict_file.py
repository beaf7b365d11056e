"""Where do verdicts outlive the control plane?

In one SQLite file, for thirty days. As with the ledgers' history a file that cannot be used is complained of once, and the
control plane goes on without. Calls block: they belong on a thread.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.verdicts import SuiteSeen, VerdictPoint
from controlplane.service.history import KEPT
from controlplane.service.sqlite import opened
from controlplane.service.verdicts import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from controlplane.service.verdicts import Saved

ROWS_AT_MOST = 200_000
"""Some 100 MB: a gate that fails every ten seconds for a month gives more, then the oldest go."""
WHOLE_FOR = timedelta(days=1)
"""What passed longer ago is thinned to one in ten minutes: a strip of a week has a cell an hour."""
_TEN = 10
_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (
    minute INTEGER NOT NULL, stream TEXT NOT NULL, stage TEXT NOT NULL, relation TEXT NOT NULL, id TEXT NOT NULL,
    point TEXT NOT NULL, PRIMARY KEY (minute, stream, stage, relation, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suites (
    stream TEXT NOT NULL, stage TEXT NOT NULL, suite TEXT NOT NULL, until REAL NOT NULL, seen TEXT NOT NULL,
    PRIMARY KEY (stream, stage, suite)
) WITHOUT ROWID;
"""
_KEEP = "INSERT OR REPLACE INTO verdicts (minute, stream, stage, relation, id, point) VALUES (?, ?, ?, ?, ?, ?)"
_KEEP_SUITE = "INSERT OR REPLACE INTO suites (stream, stage, suite, until, seen) VALUES (?, ?, ?, ?, ?)"
_FORGET = """
DELETE FROM verdicts WHERE minute < (SELECT minute FROM verdicts ORDER BY minute DESC LIMIT 1 OFFSET ?)
"""
_THIN = f"""
DELETE FROM verdicts WHERE minute >= ? AND minute < ? AND id = '' AND EXISTS (
    SELECT 1 FROM verdicts AS earlier WHERE earlier.minute >= verdicts.minute - verdicts.minute % {_TEN}
    AND earlier.minute < verdicts.minute AND earlier.stream = verdicts.stream AND earlier.stage = verdicts.stage
    AND earlier.relation = verdicts.relation AND earlier.id = ''
)
"""  # noqa: S608 (our own text)
_log = logging.getLogger(__name__)


class VerdictFile:
    """Verdicts and suites of thirty days."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._complained = False
        self._thinned_until = 0

    def save(self, kept: Iterable[Saved], now: datetime) -> bool:
        """Keep what is given and forget the oldest; False, and logged once, if that cannot be."""
        verdicts, suites = [], []
        for stream, each in kept:
            if isinstance(each, VerdictPoint):
                verdicts.append(_row(stream, each))
            else:
                suites.append(_suite_row(stream, each))
        try:
            with closing(opened(self._file, _TABLES)) as database, database:
                database.executemany(_KEEP, verdicts)
                database.executemany(_KEEP_SUITE, suites)
                database.execute("DELETE FROM verdicts WHERE minute < ?", (_minute(now - KEPT),))
                database.execute("DELETE FROM suites WHERE until < ?", ((now - KEPT).timestamp(),))
                database.execute(_FORGET, (ROWS_AT_MOST,))
                edge = _minute(now - WHOLE_FOR)
                database.execute(_THIN, (self._thinned_until - 2 * _TEN, edge))
        except (sqlite3.Error, OSError) as error:
            self._complain(error)
            return False
        self._complained, self._thinned_until = False, edge
        return True

    def load(self, since: datetime, stream: str | None = None) -> list[Saved]:
        """Verdicts from a moment on, oldest first, and every suite; none, and logged once, if they cannot be read."""
        mine = "(? IS NULL OR stream = ?)"
        try:
            with closing(opened(self._file, _TABLES)) as database:
                found = database.execute(
                    f"SELECT stream, point FROM verdicts WHERE minute >= ? AND {mine} ORDER BY minute",  # noqa: S608 (our own text)
                    (_minute(since), stream, stream),
                ).fetchall()
                suites = database.execute(f"SELECT stream, seen FROM suites WHERE {mine}", (stream, stream)).fetchall()  # noqa: S608 (our own text)
            points = [(name, VerdictPoint.model_validate_json(text)) for name, text in found]
            seen = [(name, SuiteSeen.model_validate_json(text)) for name, text in suites]
        except (sqlite3.Error, OSError, ValueError) as error:
            self._complain(error)
            return []
        return [*sorted((each for each in points if each[1].at >= since), key=lambda each: each[1].at), *seen]

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            _log.warning("the gates' history cannot be kept in %s: %s; going on without", self._file, error)
        self._complained = True


def _row(stream: str, point: VerdictPoint) -> tuple[int, str, str, str, str, str]:
    minute, place = place_of(point)
    return minute, stream, point.stage, point.table or "", place, point.model_dump_json()


def _suite_row(stream: str, seen: SuiteSeen) -> tuple[str, str, str, float, str]:
    return stream, seen.stage, seen.suite, seen.until.timestamp(), seen.model_dump_json()


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)
