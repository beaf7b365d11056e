"""SQL over Delta tables in a process of its own: versions, rights, limits, and what DataFusion itself can't be made to do."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from fastapi import FastAPI

from controlplane.contract.access import STREAMS_HEADER, USER_HEADER
from controlplane.contract.queries import Engine, QueryAsked, QueryRan
from controlplane.contract.settings import Settings
from pipeline.sql import history as history_module
from pipeline.sql import lake as lake_module
from pipeline.sql.history import History
from pipeline.sql.judge import Judged
from pipeline.sql.lake import Lake
from pipeline.sql.refused import QueryRefusedError, TooMuchError
from pipeline.sql.serve import router
from pipeline.sql.values import plain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake in which `flights events` has versions 0 to 4, version 0 vacuumed, and `shop` has entities."""
    data = tmp_path_factory.mktemp("data")
    events = str(data / "lake" / "flights" / "events")
    write_deltalake(events, pa.table({"tail": ["a", "b"], "late": [1, 2**60]}))
    write_deltalake(events, pa.table({"tail": ["c"], "late": [3]}), mode="overwrite")
    DeltaTable(events).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    write_deltalake(
        events,
        pa.table({"tail": ["d"], "late": [None]}, pa.schema({"tail": pa.string(), "late": pa.int64()})),
        mode="append",
    )
    write_deltalake(str(data / "lake" / "shop" / "events"), pa.table({"tail": ["c"], "price": [1.5]}))
    return Settings(data=data, clickhouse="http://127.0.0.1:1")


def ask(settings: Settings, sql: str, streams: str = "*", who: str = "ann", **more: Any) -> httpx.Response:
    """As the control plane asks the worker."""
    api = FastAPI()
    api.include_router(router(settings))

    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            headers = {USER_HEADER: who, STREAMS_HEADER: streams}
            return await client.post("/api/v1/sql", json={"engine": "lake", "sql": sql, **more}, headers=headers)

    return asyncio.run(asking())


def test_tables_are_named_by_stream_and_joined_and_the_versions_that_were_read_are_said(settings: Settings) -> None:
    sql = "SELECT events.tail, price FROM flights.events JOIN shop.events AS s ON s.tail = events.tail -- which"
    answer = ask(settings, sql).json()
    assert answer["rows"] == [["c", 1.5]]
    assert [each["name"] for each in answer["columns"]] == ["tail", "price"]
    assert answer["versions"] == {"flights.events": 4, "shop.events": 0}
    assert answer["truncated"] is None


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("WITH a AS (SELECT tail FROM Flights.Events) SELECT * FROM a ORDER BY tail DESC", [["d"], ["c"]]),
        ("DESCRIBE flights.events", [["tail", "Utf8View", "YES"], ["late", "Int64", "YES"]]),
        (
            "SELECT 9007199254740993 AS big, X.late FROM flights.events X WHERE late IS NULL",
            [["9007199254740993", None]],
        ),
    ],
)
def test_a_query_finds(settings: Settings, sql: str, rows: list[Any]) -> None:
    assert ask(settings, sql).json()["rows"] == rows


def test_a_query_is_explained(settings: Settings) -> None:
    rows = ask(settings, "EXPLAIN SELECT * FROM flights.events").json()["rows"]
    assert rows[0][0] == "logical_plan"


def test_the_tables_are_listed(settings: Settings) -> None:
    assert ask(settings, "SHOW TABLES").json()["rows"] == [["flights.events", 2], ["shop.events", 2]]


def test_a_version_is_read_as_it_was(settings: Settings) -> None:
    answer = ask(settings, "SELECT tail FROM flights.events", as_of={"flights.events": 1}).json()
    assert (answer["rows"], answer["versions"]) == ([["c"]], {"flights.events": 1})
    now = {"flights.events": datetime.now(UTC).isoformat()}
    assert ask(settings, "SELECT tail FROM flights.events", as_of=now).json()["versions"] == {"flights.events": 4}


@pytest.mark.parametrize(
    ("sql", "as_of", "status", "reason"),
    [
        ("SELECT * FROM flights.events", {"flights.events": 0}, 410, "vacuumed; what can be read: 1 to 4"),
        ("SELECT * FROM flights.events", {"flights.events": 9}, 422, "no version 9; the newest is 4"),
        ("SELECT * FROM flights.events", {"flights.events": "2001-01-01"}, 422, "its log begins at"),
        ("SELECT * FROM flights.events", {"shop.events": 0}, 422, "as_of names shop.events"),
        ("SELECT * FROM flights.nothing", {}, 422, "there is no table 'flights.nothing'"),
        ("SELECT * FROM events", {}, 422, "name it stream.table"),
        ("SELECT * FROM flights.rollup_departures", {}, 422, "no table"),
        ("SELECT nothing FROM flights.events", {}, 422, "DataFusion says: Schema error: No field named nothing"),
        ("COPY (SELECT 1) TO '/tmp/x'", {}, 422, "here a statement only reads"),
        ("SELECT 1; DROP TABLE flights.events", {}, 422, "one statement at a time"),
        ("SELECT array_agg(repeat('x', 100000)) FROM range(20000)", {}, 413, "needs more memory than 768 MiB"),
    ],
)
def test_what_can_not_be_asked_is_refused_with_the_reason(
    settings: Settings, sql: str, as_of: dict[str, Any], status: int, reason: str
) -> None:
    answer = ask(settings, sql, as_of=as_of)
    assert (answer.status_code, reason in answer.json()["detail"]) == (status, True), answer.text


def test_who_may_read_some_streams_reads_no_other_and_does_not_see_them(settings: Settings) -> None:
    assert ask(settings, "SELECT tail FROM shop.events", streams="shop").status_code == 200
    refused = ask(
        settings, "SELECT tail FROM shop.events WHERE tail IN (SELECT tail FROM flights.events)", streams="shop"
    )
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "flights.events: you may not read the stream 'flights'",
    )
    assert ask(settings, "SHOW TABLES", streams="shop").json()["rows"] == [["shop.events", 2]]
    for sql in ("SELECT * FROM flights_events", "SELECT * FROM system.tables", "SHOW TABLES"):
        assert ask(settings, sql, streams="shop", engine="clickhouse").status_code == 403
    assert ask(settings, "SELECT * FROM shop_events", streams="shop", engine="clickhouse").status_code == 503


def test_no_more_rows_are_sent_than_were_asked_for_and_that_is_said(settings: Settings) -> None:
    answer = ask(settings, "SELECT value FROM range(50)", limit=10).json()
    assert len(answer["rows"]) == 10
    assert answer["truncated"] == "only the first 10 rows were asked for"
    many = ask(settings, "SELECT repeat('x', 10000) FROM range(5000)", limit=5000).json()
    assert "8 MiB" in many["truncated"]
    assert 700 < len(many["rows"]) < 5000


async def _run(settings: Settings, sql: str) -> object:
    """Past the judge, as if it had been deceived."""
    asked = QueryAsked(engine=Engine.LAKE, sql=sql)
    return await Lake(settings).run(asked, Judged(sql, "SELECT", 0, ()), lambda _: True)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{}/stolen.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT 1) TO '{}/stolen.csv'; COPY (SELECT 1",
        "CREATE TABLE x AS SELECT 1",
        "SET datafusion.execution.batch_size = 1",
    ],
)
def test_even_a_statement_that_was_not_judged_writes_nothing(settings: Settings, tmp_path: Path, sql: str) -> None:
    with pytest.raises(QueryRefusedError):
        asyncio.run(_run(settings, sql.format(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_no_file_can_be_written_by_the_process_of_a_query(settings: Settings, tmp_path: Path) -> None:
    asked = QueryAsked(engine=Engine.LAKE, sql="-")
    copied = Judged(f"COPY (SELECT 1) TO '{tmp_path}/stolen.csv'", "EXPLAIN", 0, ())
    with pytest.raises(QueryRefusedError):
        asyncio.run(Lake(settings).run(asked, copied, lambda _: True))
    assert not any(file.stat().st_size for file in tmp_path.iterdir())


_ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b"


def test_a_query_that_takes_too_long_is_stopped(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_module, "WITHIN_S", 1.0)
    with pytest.raises(TooMuchError, match="took longer than"):
        asyncio.run(_run(settings, _ENDLESS))


def test_a_query_that_nobody_waits_for_is_stopped(settings: Settings) -> None:
    import psutil

    before = set(psutil.Process().children())

    async def gives_up() -> float:
        began = time.monotonic()
        asking = asyncio.create_task(_run(settings, _ENDLESS))
        while set(psutil.Process().children()) <= before:  # noqa: ASYNC110 (a process has no event)
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait((asking,))
        return time.monotonic() - began

    assert asyncio.run(gives_up()) < lake_module.WITHIN_S
    assert set(psutil.Process().children()) <= before


def test_what_each_user_asked_is_kept_the_newest_first_and_the_same_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "HISTORY_KEPT", 5)
    history = History(tmp_path / "sql" / "history.sqlite")
    at = datetime(2026, 11, 26, tzinfo=UTC)

    def add(who: str, sql: str, **more: Any) -> None:
        history.add(who, QueryRan(at=at, engine=Engine.LAKE, sql=sql, **more))

    add("ann", "SELECT 1", rows=1, elapsed_s=0.5)
    add("bob", "SELECT 2", reason="no", as_of={"shop.events": 3, "flights.events": "2026-01-01"})
    add("ann", "SELECT 3")
    add("ann", "SELECT 3", rows=2)
    assert [(each.sql, each.rows) for each in history.of("ann")] == [("SELECT 3", 2), ("SELECT 1", 1)]
    assert history.of("bob") == [
        QueryRan(
            at=at,
            engine=Engine.LAKE,
            sql="SELECT 2",
            reason="no",
            as_of={"shop.events": 3, "flights.events": "2026-01-01"},
        )
    ]
    for number in range(8):
        add("ann", f"SELECT {number}")
    kept = history.of("ann")
    assert (len(kept), kept[0].sql, kept[-1].sql) == (5, "SELECT 7", "SELECT 3")
    assert len(history.of("bob")) == 1


def test_a_history_that_is_damaged_is_no_reason_not_to_answer(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_text("not a database, and longer than its header would be" * 9)
    history = History(tmp_path / "history.sqlite")
    history.add("ann", QueryRan(at=datetime.now(UTC), engine=Engine.LAKE, sql="SELECT 1"))
    assert history.of("ann") == []


def test_the_answers_and_the_refusals_are_in_the_history_of_who_asked(settings: Settings) -> None:
    ask(settings, "SELECT 1 AS a", who="eve")
    ask(settings, "DROP TABLE a", who="eve")
    newest, before = History(settings.data / "sql" / "history.sqlite").of("eve")
    assert (newest.sql, newest.rows, "only reads" in (newest.reason or "")) == ("DROP TABLE a", None, True)
    assert (before.sql, before.rows, before.reason) == ("SELECT 1 AS a", 1, None)


@pytest.mark.parametrize(
    ("value", "written"),
    [(2**53 - 1, 2**53 - 1), (2**53, "9007199254740992"), (float("nan"), "nan"), (b"\0", "AA=="), (True, True)],
)
def test_values_are_written_so_that_nothing_is_lost(value: object, written: object) -> None:
    assert plain(value) == written
