"""Where do incidents outlive this process? In one SQLite file, with what is still to be sent.

A change of an incident, its entry in the timeline and the event that tells of it are one transaction: a SIGKILL leaves all
or none of them, so no page and no resolve is ever lost or invented. Every call is a transaction of its own; calls block for
a millisecond and may come from any thread.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from alerts.incidents import Incident, Moment, Quiet
from alerts.policy.decide import Decision, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from alerts.sender import Event

KEPT = timedelta(days=90)
"""Resolved incidents; changes and delivered events are kept as long."""
_BUSY_S = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)
_TABLES = """
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, opened_at REAL NOT NULL, resolved_at REAL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS open_incidents ON incidents (resolved_at, opened_at);
CREATE TABLE IF NOT EXISTS pending (rule TEXT, subject TEXT, since TEXT NOT NULL, PRIMARY KEY (rule, subject));
CREATE TABLE IF NOT EXISTS moments (number INTEGER PRIMARY KEY, incident TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS moments_of ON moments (incident);
CREATE TABLE IF NOT EXISTS quiets (id TEXT PRIMARY KEY, until REAL NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, incident TEXT, body TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL, made_at REAL NOT NULL, ended_at REAL,
    said TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS outbox_states ON outbox (state, number);
CREATE TABLE IF NOT EXISTS counted (
    rule TEXT, subject TEXT, start REAL, bad REAL NOT NULL, total REAL NOT NULL, PRIMARY KEY (rule, subject, start));
CREATE TABLE IF NOT EXISTS changes (key TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL);
INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM version);
"""


class Store:
    """The file; `transaction` is for those that write several things at once.

    Raises:
        sqlite3.Error: from every call, when the file cannot be used.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._database = _opened(file)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; one inside another is the same one."""
        with self._lock:
            if self._depth:
                yield self._database
                return
            self._database.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            else:
                self._database.execute("COMMIT")
            finally:
                self._depth -= 1

    def standing(self) -> Standing:
        """What stands now."""
        with self.transaction() as database:
            found = database.execute("SELECT body FROM incidents WHERE resolved_at IS NULL").fetchall()
            pending = database.execute("SELECT rule, subject, since FROM pending").fetchall()
        incidents = (Incident.model_validate_json(body) for (body,) in found)
        return Standing(
            {each.key: each for each in incidents},
            {(rule, subject): datetime.fromisoformat(since) for rule, subject, since in pending},
        )

    def keep(self, before: Standing, decision: Decision) -> None:
        """Write what has changed; says nothing to the disk when nothing has."""
        after = decision.standing
        changed = [each for key, each in after.incidents.items() if before.incidents.get(key) != each]
        if not (changed or decision.resolved or decision.moments or before.pending != after.pending):
            return
        with self.transaction() as database:
            for incident in (*changed, *decision.resolved):
                self.put(incident)
            self.tell(*decision.moments)
            if before.pending != after.pending:
                database.execute("DELETE FROM pending")
                rows = [(*key, since.isoformat()) for key, since in after.pending.items()]
                database.executemany("INSERT INTO pending VALUES (?, ?, ?)", rows)

    def put(self, incident: Incident) -> None:
        """Write an incident as it is now."""
        resolved = None if incident.resolved_at is None else incident.resolved_at.timestamp()
        row = (incident.id, incident.opened_at.timestamp(), resolved, incident.model_dump_json())
        with self.transaction() as database:
            database.execute("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?)", row)
            self._touch(database)

    def tell(self, *moments: Moment) -> None:
        """Add to timelines."""
        if moments:
            with self.transaction() as database:
                rows = [(each.incident, each.model_dump_json()) for each in moments]
                database.executemany("INSERT INTO moments (incident, body) VALUES (?, ?)", rows)
                self._touch(database)

    def incident(self, wanted: str) -> Incident | None:
        """One incident, open or past."""
        with self.transaction() as database:
            found = database.execute("SELECT body FROM incidents WHERE id = ?", (wanted,)).fetchone()
        return None if found is None else Incident.model_validate_json(found[0])

    def incidents(self, *, is_open: bool, limit: int = 200) -> list[Incident]:
        """Open or past ones, the newest first."""
        where = "resolved_at IS NULL" if is_open else "resolved_at IS NOT NULL"
        order = "opened_at" if is_open else "resolved_at"
        with self.transaction() as database:
            wanted = f"SELECT body FROM incidents WHERE {where} ORDER BY {order} DESC LIMIT ?"  # noqa: S608 (two literals)
            found = database.execute(wanted, (limit,)).fetchall()
        return [Incident.model_validate_json(body) for (body,) in found]

    def timeline(self, incident: str) -> list[Moment]:
        """What happened to an incident, oldest first."""
        with self.transaction() as database:
            found = database.execute("SELECT body FROM moments WHERE incident = ? ORDER BY number", (incident,))
            return [Moment.model_validate_json(body) for (body,) in found.fetchall()]

    def quiets(self, now: datetime) -> list[Quiet]:
        """Silences and windows that have not ended, the first to end first."""
        with self.transaction() as database:
            found = database.execute("SELECT body FROM quiets WHERE until > ? ORDER BY until", (now.timestamp(),))
            return [Quiet.model_validate_json(body) for (body,) in found.fetchall()]

    def put_quiet(self, quiet: Quiet) -> None:
        """Keep a silence or a window."""
        with self.transaction() as database:
            row = (quiet.id, quiet.end.timestamp(), quiet.model_dump_json())
            database.execute("INSERT OR REPLACE INTO quiets VALUES (?, ?, ?)", row)
            self._touch(database)

    def end_quiet(self, wanted: str) -> bool:
        """End one now; False if there is none of this id."""
        with self.transaction() as database:
            self._touch(database)
            return database.execute("DELETE FROM quiets WHERE id = ?", (wanted,)).rowcount > 0

    def queue(self, event: Event, now: datetime, incident: str | None = None) -> None:
        """Put an event into the outbox."""
        row = (event.key, incident, event.model_dump_json(), "waiting", now.timestamp(), now.timestamp())
        with self.transaction() as database:
            database.execute(
                "INSERT INTO outbox (key, incident, body, state, next_at, made_at) VALUES (?, ?, ?, ?, ?, ?)", row
            )
            self._touch(database)

    def is_new_change(self, key: str, now: datetime) -> bool:
        """Has this change not been told yet? It counts as told from now on."""
        with self.transaction() as database:
            row = (key, now.timestamp())
            return database.execute("INSERT OR IGNORE INTO changes VALUES (?, ?)", row).rowcount > 0

    def keep_counted(self, rows: Iterable[tuple[str, str, float, float, float]], until: datetime) -> None:
        """Keep what was counted of the service levels, and forget what is older than `until`."""
        with self.transaction() as database:
            database.executemany("INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?, ?)", list(rows))
            database.execute("DELETE FROM counted WHERE start < ?", (until.timestamp(),))

    def counted(self) -> list[tuple[str, str, float, float, float]]:
        """What was counted of the service levels."""
        with self.transaction() as database:
            return database.execute("SELECT rule, subject, start, bad, total FROM counted").fetchall()

    def forget(self, now: datetime) -> None:
        """Forget what is too old."""
        until = ((now - KEPT).timestamp(),)
        with self.transaction() as database:
            database.execute(
                "DELETE FROM moments WHERE incident IN (SELECT id FROM incidents WHERE resolved_at < ?)", until
            )
            for forgotten in (
                "DELETE FROM incidents WHERE resolved_at < ?",
                "DELETE FROM outbox WHERE state IN ('sent', 'refused') AND made_at < ?",
                "DELETE FROM changes WHERE at < ?",
                "DELETE FROM quiets WHERE until < ?",
            ):
                database.execute(forgotten, until)

    def version(self) -> int:
        """Grows with each change that somebody can see."""
        with self.transaction() as database:
            return int(database.execute("SELECT number FROM version").fetchone()[0])

    def _touch(self, database: sqlite3.Connection) -> None:
        database.execute("UPDATE version SET number = number + 1")


def _opened(file: Path) -> sqlite3.Connection:
    """The file; a damaged one is set aside: what is wrong is found again, and somebody woken twice rather than never."""
    try:
        return _connected(file)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in _DAMAGED:
            raise
        _log.warning("%s is damaged (%s): it is set aside as *.damaged, incidents begin anew", file, error)
        for each in (file, *(file.with_name(f"{file.name}-{part}") for part in ("wal", "shm"))):
            if each.exists():
                each.replace(each.with_name(f"{each.name}.damaged"))
        return _connected(file)


def _connected(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_TABLES)
    except sqlite3.Error:
        database.close()
        raise
    return database


def since_epoch(seconds: float | None) -> datetime | None:
    """A moment from a column."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
