"""SQL over the platform's ClickHouse and lake, by the way that the console and commands take: judged, limited, on the record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands.credentials import local
from controlplane.contract.queries import Engine, QueryAsked
from pipeline.sql import clickhouse as clickhouse_module
from pipeline.sql.clickhouse import ClickHouse
from pipeline.sql.judge import Judged
from pipeline.sql.refused import AwayError, QueryRefusedError, TooMuchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from controlplane.up import Platform


_ENDLESS = "SELECT sum(cityHash64(a.number, b.number)) FROM numbers(1000000) AS a, numbers(1000000) AS b"
"""It reads little, and computes for hours."""


@pytest.fixture(scope="module")
def filled(beating: Callable[..., AbstractContextManager[Platform]]) -> Iterator[Platform]:
    """A ClickHouse with a table of 1,000 rows, the worker that asks it, and the control plane that everybody asks."""
    with beating("clickhouse", "control", "operations") as one:
        for sql in (
            "CREATE TABLE asked (n UInt64, at DateTime64(3, 'UTC'), said Nullable(String)) ENGINE = MergeTree ORDER BY n",
            "INSERT INTO asked SELECT number + 9007199254740992, toDateTime64('2026-01-01', 3, 'UTC'), NULL FROM numbers(1000)",
        ):
            httpx.post(one.settings.clickhouse, content=sql, timeout=20).raise_for_status()
        yield one


def ask(platform: Platform, sql: str, engine: str = "clickhouse", **more: Any) -> httpx.Response:
    """At the control plane."""
    asked = {"engine": engine, "sql": sql, **more}
    url = f"{platform.settings.api}/api/v1/sql"
    return httpx.post(url, json=asked, headers=local(platform.data), timeout=30)


def get(platform: Platform, path: str) -> Any:
    return (
        httpx.get(f"{platform.settings.api}{path}", headers=local(platform.data), timeout=20).raise_for_status().json()
    )


def test_clickhouse_answers_with_columns_types_and_what_it_cost(filled: Platform) -> None:
    answer = ask(filled, "SELECT n, at, said FROM asked ORDER BY n", limit=2).json()
    assert [(each["name"], each["type"]) for each in answer["columns"]] == [
        ("n", "UInt64"),
        ("at", "DateTime64(3, 'UTC')"),
        ("said", "Nullable(String)"),
    ]
    first = ["9007199254740992", "2026-01-01T00:00:00.000Z", None]
    assert (answer["rows"][0], len(answer["rows"])) == (first, 2)
    assert answer["truncated"] == "only the first 2 rows were asked for"
    assert ask(filled, "SELECT count() AS c FROM asked WHERE n % 2 = 0").json()["rows"] == [[500]]
    assert answer["rows_read"] >= 1000


@pytest.mark.parametrize(
    "sql",
    ["SHOW TABLES", "DESCRIBE TABLE asked", "EXPLAIN SELECT * FROM asked", "SELECT name FROM system.tables LIMIT 1"],
)
def test_clickhouse_shows_describes_and_explains(filled: Platform, sql: str) -> None:
    assert ask(filled, sql).json()["rows"]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("INSERT INTO asked VALUES (1, now(), NULL)", "only reads"),
        ("SELECT * FROM file('/etc/passwd')", "reads files"),
        ("SELECT * FROM system.settings", "system.settings is refused"),
        ("SELECT nothing FROM asked", "ClickHouse says: Code: 47."),
    ],
)
def test_a_refusal_reaches_who_asked_with_the_reason(filled: Platform, sql: str, reason: str) -> None:
    answer = ask(filled, sql)
    assert (answer.status_code, reason in answer.json()["detail"]) == (422, True), answer.text


def run(platform: Platform, sql: str, url: str = "") -> Any:
    """Past the judge, as if it had been deceived."""

    async def running() -> Any:
        client = ClickHouse(url or platform.settings.clickhouse, "bi")
        try:
            return await client.run(QueryAsked(engine=Engine.CLICKHOUSE, sql=sql), Judged(sql, "SELECT", 0, ()))
        finally:
            await client.close()

    return asyncio.run(running())


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO asked VALUES (1, now(), NULL)",
        "DROP TABLE asked",
        "CREATE TABLE b (x Int8) ENGINE = Memory",
        "ALTER TABLE asked DELETE WHERE 1",
        "SELECT * FROM file('/etc/passwd')",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV)",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_clickhouse_itself_refuses_its_reader(filled: Platform, sql: str) -> None:
    with pytest.raises(QueryRefusedError, match="ClickHouse says"):
        run(filled, sql)
    assert run(filled, "SELECT count() FROM asked").rows == ((1000,),)


def test_a_query_that_takes_too_long_is_stopped_and_one_that_nobody_answers_is_said_to_be(
    filled: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AwayError, match="does not answer"):
        run(filled, "SELECT 1", "http://127.0.0.1:1")
    monkeypatch.setattr(clickhouse_module, "WITHIN_S", 1.0)
    with pytest.raises(TooMuchError, match="took longer than"):
        run(filled, _ENDLESS)


def test_a_query_that_reads_too_much_is_stopped(filled: Platform) -> None:
    answer = ask(filled, "SELECT sum(number) FROM numbers(1000000000000)")
    assert (answer.status_code, "reads more than a query may" in answer.json()["detail"]) == (413, True)


def failed(platform: Platform) -> int:
    text = httpx.get(f"{platform.settings.clickhouse}/metrics", timeout=10).text
    name = 'tidegate_clickhouse_requests_total{result="failed",verb="select"}'
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(name))


def test_a_query_that_nobody_waits_for_is_stopped_in_clickhouse(
    filled: Platform, eventually: Callable[..., Any]
) -> None:
    before = failed(filled)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{filled.settings.api}/api/v1/sql",
            json={"engine": "clickhouse", "sql": _ENDLESS},
            headers=local(filled.data),
            timeout=1.0,
        )
    eventually(lambda: failed(filled) > before, "it has ended", 15)


def test_the_lake_answers_and_what_there_is_to_ask_is_listed_with_the_limits(filled: Platform) -> None:
    answer = ask(filled, "SELECT value FROM range(3)", "lake").json()
    assert (answer["rows"], answer["versions"]) == ([[0], [1], [2]], {})
    found = get(filled, "/api/v1/sql/tables")
    [asked] = [each for each in found["engines"]["clickhouse"] if each["name"] == "asked"]
    assert asked["columns"][0] == {"name": "n", "type": "UInt64"}
    assert found["limits"]["clickhouse"]["seconds"] == "20"


def test_a_command_asks_the_platform_of_its_folder(filled: Platform) -> None:
    found = CliRunner().invoke(
        cli.app, ["sql", "SELECT max(n) AS m FROM asked", "-o", "csv", "--data", str(filled.data)]
    )
    assert (found.exit_code, found.stdout.splitlines()) == (0, ["m", "9007199254741991"])


def test_every_query_is_on_the_record_and_in_the_history_of_who_asked(filled: Platform) -> None:
    ask(filled, "SELECT 'on the record'")
    ask(filled, "DROP TABLE asked")
    refused, done = get(filled, "/api/v1/audit?action=query.run&limit=2")["items"]
    assert (refused["outcome"], "only reads" in refused["reason"]) == ("refused", True)
    assert (done["outcome"], done["subject"], done["details"]["asked"]["sql"]) == (
        "ok",
        "clickhouse",
        "SELECT 'on the record'",
    )
    assert [each["sql"] for each in get(filled, "/api/v1/sql/history?limit=2")] == [
        "DROP TABLE asked",
        "SELECT 'on the record'",
    ]
