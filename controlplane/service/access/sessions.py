"""Whose cookie is this? A session ends when it is not used for a while, after a fixed time at the latest, or when it is ended.

The cookie is random and means nothing; what is kept is its hash, so that who reads the database can open no session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update

from controlplane.service.access import tables
from controlplane.service.access.hashes import hash_of, new_secret
from controlplane.service.access.users import WRITES
from controlplane.service.database import writing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

_NOTED_EVERY = timedelta(minutes=1)
"""A use is written down as often as this at most."""


@dataclass(frozen=True)
class Session:
    """One that holds."""

    cookie: str
    user: str
    ends_at: datetime


class Sessions:
    """Those that hold.

    Args:
        engine: where they are kept.
        idle: one that is not used for so long ends.
        lasts: none is older.
    """

    def __init__(self, engine: Engine, idle: timedelta, lasts: timedelta) -> None:
        self._engine, self._idle, self._lasts = engine, idle, lasts

    def begin(self, user: str, address: str, now: datetime) -> Session:
        """A new one; those that have ended are forgotten."""
        made = Session(new_secret(), user, now + self._lasts)
        row = {"hash": hash_of(made.cookie), "user": user, "made_at": now, "seen_at": now, "ends_at": made.ends_at}
        columns = tables.sessions.c
        with writing(self._engine, WRITES) as connection:
            over = or_(columns.ends_at <= now, columns.seen_at <= now - self._idle)
            connection.execute(delete(tables.sessions).where(over))
            connection.execute(insert(tables.sessions).values(**row, address=address[:80]))
        return made

    def find(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie, which counts as a use; None when there is none, or it has ended."""
        return next(iter(self.among([cookie], now)), None)

    def among(self, cookies: Collection[str], now: datetime) -> Sequence[Session]:
        """Those of many cookies that hold, which counts as a use of each."""
        by_hash = {hash_of(cookie): cookie for cookie in cookies}
        hashes = tables.sessions.c.hash
        with self._engine.connect() as connection:
            rows = connection.execute(select(tables.sessions).where(hashes.in_(by_hash))).all()
        held = [row for row in rows if now < row.ends_at and now - row.seen_at < self._idle]
        if unnoted := [row.hash for row in held if now - row.seen_at >= _NOTED_EVERY]:
            with writing(self._engine, WRITES) as connection:
                connection.execute(update(tables.sessions).where(hashes.in_(unnoted)).values(seen_at=now))
        return [Session(by_hash[row.hash], row.user, row.ends_at) for row in held]

    def end(self, cookie: str) -> None:
        """End one."""
        self._end(tables.sessions.c.hash == hash_of(cookie))

    def end_of(self, user: str) -> None:
        """End all of a user."""
        self._end(tables.sessions.c.user == user)

    def _end(self, which: object) -> None:
        with writing(self._engine, WRITES) as connection:
            connection.execute(delete(tables.sessions).where(which))  # type: ignore[arg-type]
