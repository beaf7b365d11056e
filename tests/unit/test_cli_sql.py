"""`tidegate sql` hands a query on, and writes what was found as people and programs read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import asking

if TYPE_CHECKING:
    from click.testing import Result

ANSWER = {
    "columns": [{"name": "tail", "type": "string"}, {"name": "late", "type": "list"}],
    "rows": [["[bold]a", None], ["b, c", [1, 2]]],
    "elapsed_s": 0.1,
    "rows_read": 1234,
    "truncated": "only the first 2 rows were asked for",
    "versions": {"flights.events": 12},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the control plane is asked."""
    heard: list[dict[str, Any]] = []

    def request(method: str, url: str, **given: Any) -> httpx.Response:
        heard.append(given["json"])
        if "DROP" in given["json"]["sql"]:
            return httpx.Response(422, json={"detail": "DROP is refused"})
        return httpx.Response(200, json=ANSWER)

    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://control", {}))
    monkeypatch.setattr(httpx, "request", request)
    return heard


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, ["sql", *arguments], input=typed)


def test_a_query_goes_with_its_engine_versions_and_limit(asked: list[dict[str, Any]]) -> None:
    run(
        "SELECT 1",
        "--engine",
        "lake",
        "--as-of",
        "flights.events=12",
        "--as-of",
        "shop.events=2026-01-01",
        "--limit",
        "5",
    )
    run("-", typed="SELECT 2")
    assert asked == [
        {
            "engine": "lake",
            "sql": "SELECT 1",
            "as_of": {"flights.events": 12, "shop.events": "2026-01-01"},
            "limit": 5,
        },
        {"engine": "clickhouse", "sql": "SELECT 2", "as_of": {}, "limit": 1000},
    ]


def test_rows_are_a_table_with_what_they_cost_beside_it(asked: list[dict[str, Any]]) -> None:
    found = run("SELECT 1")
    assert [line.split(maxsplit=1)[0] for line in found.stdout.splitlines()] == ["tail", "[bold]a", "b,"]
    assert "null" in found.stdout
    assert found.stderr.strip() == (
        "2 rows, 0.10 s, 1,234 rows read, flights.events at version 12; only the first 2 rows were asked for"
    )


def test_rows_are_csv_or_json_and_nothing_else_on_stdout(asked: list[dict[str, Any]]) -> None:
    assert run("SELECT 1", "-o", "csv").stdout.splitlines() == ["tail,late", "[bold]a,", '"b, c","[1, 2]"']
    assert json.loads(run("SELECT 1", "-o", "json").stdout)["rows"] == ANSWER["rows"]


def test_what_is_refused_ends_with_the_reason(asked: list[dict[str, Any]]) -> None:
    refused = run("DROP TABLE a")
    assert (refused.exit_code, refused.stderr) == (1, "tidegate: DROP is refused\n")
    assert run("SELECT 1", "--as-of", "flights.events").exit_code == 2
