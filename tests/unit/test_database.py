"""Both databases give the same answer to who reads, decides and writes at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select

from controlplane.service.database import Moment, engine_of, writing

if TYPE_CHECKING:
    from sqlalchemy import Engine

_TABLES = MetaData()
_NUMBERED = Table("numbered", _TABLES, Column("number", Integer, primary_key=True), Column("at", Moment))


def _add_next(engine: Engine) -> None:
    with writing(engine) as connection:
        last = connection.execute(select(func.max(_NUMBERED.c.number))).scalar() or 0
        connection.execute(insert(_NUMBERED).values(number=last + 1))


def test_who_reads_and_then_writes_is_alone_meanwhile(database: Engine) -> None:
    _TABLES.create_all(database)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_add_next, [database] * 24))
    with database.connect() as connection:
        assert list(connection.execute(select(_NUMBERED.c.number).order_by("number")).scalars()) == list(range(1, 25))


def test_a_failed_transaction_leaves_nothing(database: Engine) -> None:
    _TABLES.create_all(database)
    with pytest.raises(RuntimeError, match="halfway"), writing(database) as connection:
        connection.execute(insert(_NUMBERED).values(number=1))
        raise RuntimeError("halfway")
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(_NUMBERED)).scalar() == 0


def test_a_moment_comes_back_as_it_was_and_sorts_by_time(database: Engine) -> None:
    _TABLES.create_all(database)
    noon = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
    tokyo = (noon - timedelta(hours=1)).astimezone(timezone(timedelta(hours=9)))
    with writing(database) as connection:
        connection.execute(insert(_NUMBERED), [{"number": 1, "at": noon}, {"number": 2, "at": tokyo}])
    with database.connect() as connection:
        rows = connection.execute(select(_NUMBERED.c.number, _NUMBERED.c.at).order_by(_NUMBERED.c.at)).all()
    assert [tuple(row) for row in rows] == [(2, tokyo), (1, noon)]


def test_another_database_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="mysql is neither sqlite nor postgresql"):
        engine_of("mysql://somewhere/x")
