"""How is a SQLite file opened that may be new, away, or damaged?

Every call opens the file anew, so that a folder that comes back is used again; that is a millisecond, a few times a minute.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_S = 2.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)


def opened(file: Path, tables: str) -> sqlite3.Connection:
    """A connection to the file, its tables made; one that is damaged is set aside first.

    Raises:
        sqlite3.Error: if it cannot be used.
        OSError: if its folder cannot be made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connected(file, tables)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
            raise
        aside = file.with_suffix(".damaged")
        _log.warning("%s is damaged (%s): it is set aside as %s, history begins anew", file, error, aside.name)
        file.replace(aside)
        return _connected(file, tables)


def _connected(file: Path, tables: str) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_BUSY_S)
    try:
        database.executescript(tables)
    except sqlite3.Error:
        database.close()
        raise
    return database
