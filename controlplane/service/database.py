"""Where do the control plane's durable rows live? In SQLite beside the data, or in a Postgres that the settings name.

One engine a process, shared by operations, access and audit; each of them declares its tables on `metadata`. What was hard: both
databases must give the same answer to "read, decide, write" from several threads. `writing` makes it one after the other: SQLite by
taking its write lock at the beginning (a lock that is asked for halfway can be refused), Postgres by an advisory lock.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, MetaData, TypeDecorator, create_engine, event, make_url, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

metadata = MetaData()
"""Every table of the control plane; a module that declares one is imported before `create_all`."""
_BUSY_MS = 10_000
_WRITES = "tidegate_writes"


class Moment(TypeDecorator[datetime]):
    """An aware datetime, UTC; SQLite itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """See SQLAlchemy."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """See SQLAlchemy."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def engine_of(url: str) -> Engine:
    """The engine of a database URL, such as `sqlite:////data/x.sqlite` or `postgresql://user:password@host/name`.

    Raises:
        ValueError: if it is neither SQLite nor Postgres.
        OSError: if the folder of a SQLite file cannot be made.
    """
    asked = make_url(url)
    if asked.get_backend_name() == "sqlite":
        return _sqlite(url, asked.database)
    if asked.get_backend_name() != "postgresql":
        raise ValueError(f"TIDEGATE_DATABASE: {asked.get_backend_name()} is neither sqlite nor postgresql")
    return create_engine(asked.set(drivername="postgresql+psycopg"), pool_pre_ping=True)


def create_all(engine: Engine) -> None:
    """Make the tables that are not there yet."""
    metadata.create_all(engine)


@contextlib.contextmanager
def writing(engine: Engine, what: str = "operations") -> Iterator[Connection]:
    """A transaction that reads, decides and writes while nobody else does.

    Args:
        engine: of `engine_of`.
        what: which of them exclude one another, on Postgres; SQLite has one writer anyway.
    """
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what})
        yield connection


def _sqlite(url: str, file: str | None) -> Engine:
    if file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _: object) -> None:
        # The driver must not begin transactions by itself: it does so too late.
        connection.isolation_level = None
        cursor = connection.cursor()
        for said in ("journal_mode=WAL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {said}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        options: dict[str, Any] = dict(connection.get_execution_options())
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")

    return engine
