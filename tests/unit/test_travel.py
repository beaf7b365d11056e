"""`tidegate lake` on a table that deltalake itself has written: no Spark, no platform."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from pipeline.travel import app

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Version 0 has ann, 1 has bob too, 2 says that ann is gone."""
    table = str(tmp_path / "lake" / "shop" / "entity_customer")
    for customers, gone, mode in (
        [["ann"], [False], "append"],
        [["bob"], [False], "append"],
        [["ann", "bob"], [True, False], "overwrite"],
    ):
        rows = {"customer": customers, "tg_deleted": gone, "at": [AT] * len(customers)}
        before = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == before:  # each commit in a millisecond of its own
            pass
        write_deltalake(table, pa.table(rows), mode=mode)
    return tmp_path


def ask(data: Path, *arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--data", str(data), "-o", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refused(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    assert done.exit_code == 2
    return done.output


def customers(rows: list[dict[str, Any]]) -> dict[str, bool]:
    return {row["customer"]: row["tg_deleted"] for row in rows}


def test_a_table_is_read_as_it_is_and_as_it_was_at_a_version(data: Path) -> None:
    read = ("read", "shop", "entity_customer")
    assert customers(ask(data, *read)) == {"ann": True, "bob": False}
    assert customers(ask(data, *read, "--version", "0")) == {"ann": False}
    assert ask(data, *read, "--version", "0")[0]["at"] == "2026-03-01T00:00:00+00:00"


def test_a_table_is_read_as_it_was_at_a_time(data: Path) -> None:
    commits = ask(data, "history", "shop", "entity_customer")
    assert [each["version"] for each in commits] == [2, 1, 0]
    for each, known in zip(commits, (2, 2, 1), strict=True):
        assert len(ask(data, "read", "shop", "entity_customer", "--at", each["at"])) == known
    just_before = datetime.fromisoformat(commits[0]["at"]) - timedelta(milliseconds=1)
    found = ask(data, "read", "shop", "entity_customer", "--at", just_before.replace(tzinfo=None).isoformat())
    assert customers(found) == {"ann": False, "bob": False}


def test_rows_are_chosen_by_a_condition_and_a_limit(data: Path) -> None:
    read = ("read", "shop", "entity_customer")
    assert customers(ask(data, *read, "--where", "tg_deleted")) == {"ann": True}
    assert len(ask(data, *read, "--limit", "1")) == 1


def test_the_tables_of_a_stream_are_listed_with_their_newest_commit(data: Path) -> None:
    (found,) = ask(data, "history", "shop")
    newest = DeltaTable(data / "lake" / "shop" / "entity_customer").history(1)[0]
    assert (found["table"], found["version"], found["operation"]) == ("entity_customer", 2, newest["operation"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("read", "shop", "events"), "shop has: entity_customer"),
        (("read", "nobody", "events"), "has no tables"),
        (("read", "shop", "entity_customer", "--version", "7"), "version"),
        (("read", "shop", "entity_customer", "--at", "2020-01-01"), "its log begins at"),
        (("read", "shop", "entity_customer", "--at", "yesterday"), "yesterday"),
        (("read", "shop", "entity_customer", "--at", "2020-01-01", "--version", "1"), "not both"),
        (("read", "shop", "entity_customer", "--where", "no_such_column = 1"), "no_such_column"),
    ],
)
def test_what_cannot_be_read_is_said_by_name(data: Path, asked: tuple[str, ...], said: str) -> None:
    assert said in refused(data, *asked)


def test_people_see_a_table(data: Path) -> None:
    done = CliRunner().invoke(app, ["history", "shop", "--data", str(data)])
    assert "entity_customer" in done.output


def test_history_says_what_a_commit_did_to_rows(data: Path) -> None:
    shown = CliRunner().invoke(app, ["history", "shop", "entity_customer", "--data", str(data)]).stdout
    assert [line.split()[-2:] for line in shown.splitlines()[1:]] == [
        ["2", "written"],
        ["1", "written"],
        ["1", "written"],
    ]


def test_two_versions_are_compared(tmp_path: Path) -> None:
    table = str(tmp_path / "lake" / "shop" / "entity_visitor")
    for seen in (1, 2):
        write_deltalake(table, pa.table({"user_id": ["ann", "bob"], "seen": [1, seen]}), mode="overwrite")
    between = ("diff", "shop", "entity_visitor", "--from", "0", "--to", "1")
    assert ask(tmp_path, *between)["rows"] == {"added": 0, "removed": 0, "changed": 1, "same": 1}
    shown = CliRunner().invoke(app, [*between, "--data", str(tmp_path)]).stdout
    assert "0 added, 0 removed, 1 changed" in shown
    assert "{'user_id': 'bob'}: {'seen': [1, 2]}" in shown
    assert "no version 9" in refused(tmp_path, *between[:-1], "9")
