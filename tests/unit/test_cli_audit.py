"""`tidegate audit` shows the record, carries it elsewhere, and says by its exit code whether it is as it was written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import asking
from controlplane.service.audit.answers import add_audit
from controlplane.service.audit.kept import kept_in
from controlplane.service.database import create_all, engine_of

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database of a control plane that has three entries, and that commands ask."""
    engine = engine_of(f"sqlite:///{tmp_path / 'control.sqlite'}")
    create_all(engine)
    kept = kept_in(engine, None)
    kept.log.record("ann", "session", "operation.confirm", "op-1", stream="shop")
    kept.log.record("bob", "token", "operation.cancel", "op-1", outcome="refused", reason="bob is no operator")
    kept.log.record("ann", "local", "query.run", "lake", details={"asked": {"sql": "SELECT 1"}})
    api = FastAPI()
    add_audit(api, kept)
    asks = TestClient(api)

    def request(method: str, url: str, **given: Any) -> httpx.Response:
        answer = asks.request(method, url.removeprefix("http://control"))
        return httpx.Response(answer.status_code, content=answer.content)

    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://control", {}))
    monkeypatch.setattr(httpx, "request", request)
    return tmp_path / "control.sqlite"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["audit", *arguments])


def test_entries_are_listed_the_newest_first_and_filtered(file: Path) -> None:
    listed = run("ls", "--action", "operation.*").output
    assert [line.split()[0] for line in listed.splitlines() if line.split()[0].isdigit()] == ["2", "1"]
    found = json.loads(run("ls", "--actor", "bob", "-o", "json").output)
    assert [(each["seq"], each["reason"]) for each in found] == [(2, "bob is no operator")]


def test_an_entry_is_shown_whole_with_both_hashes(file: Path) -> None:
    first, second = (json.loads(run("show", str(seq), "-o", "json").output) for seq in (1, 2))
    assert second["before"] == first["hash"]
    shown = run("show", "3").output
    assert "SELECT 1" in shown
    refused = run("show", "9")
    assert (refused.exit_code, "there is no entry 9" in refused.output) == (1, True)


def test_a_record_that_is_as_it_was_written_is_said_to_be_with_code_0(file: Path) -> None:
    verified = run("verify")
    assert verified.exit_code == 0
    assert verified.output.startswith("The chain holds: 3 entries")


def test_an_export_is_every_entry_and_verifies_by_itself(file: Path, tmp_path: Path) -> None:
    exported = tmp_path / "audit.jsonl"
    assert run("export", "--file", str(exported)).exit_code == 0
    assert [json.loads(line)["seq"] for line in exported.read_text().splitlines()] == [1, 2, 3]
    assert run("verify", "--file", str(exported)).exit_code == 0
    exported.write_text(exported.read_text().replace('"bob"', '"eve"'))
    forged = run("verify", "--file", str(exported), "-o", "json")
    assert forged.exit_code == 1
    assert json.loads(forged.output)["verdict"]["wrong_seq"] == 2
    exported.write_text("no entry\n")
    assert run("verify", "--file", str(exported)).exit_code == 2


def test_a_record_that_was_changed_ends_with_code_1_and_the_first_wrong_entry(file: Path) -> None:
    import sqlite3

    with sqlite3.connect(file) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET actor = 'eve' WHERE seq = 2")
    verified = run("verify")
    assert verified.exit_code == 1
    assert "entry 2 was changed" in verified.output
