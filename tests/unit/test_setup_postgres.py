"""A Postgres to test with is taken from where it is, unpacked where there is none, and done without where none can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controlplane.setup import postgres
from controlplane.setup.postgres import programs_below, system_home, unpack, unpacked_home

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres.shutil, "which", lambda _: None)
    monkeypatch.setattr(postgres, "INSTALLED", tmp_path / "installed")


def put(root: Path, version: str) -> Path:
    folder = root / version / "bin"
    folder.mkdir(parents=True)
    (folder / "postgres").touch()
    return folder


def test_the_newest_of_the_system_is_taken(tmp_path: Path) -> None:
    assert system_home() is None
    put(tmp_path / "installed", "9")
    newest = put(tmp_path / "installed", "15")
    assert system_home() == newest


def test_what_was_unpacked_is_found_and_not_downloaded_again(tmp_path: Path) -> None:
    assert unpacked_home(tmp_path) is None
    folder = put(tmp_path / "postgres" / "usr" / "lib" / "postgresql", "15")
    assert unpacked_home(tmp_path) == tmp_path / "postgres"
    assert programs_below(tmp_path / "postgres") == folder
    told: list[str] = []
    unpack(tmp_path, told.append)
    assert told == []


def test_where_there_is_no_debian_tests_do_without(tmp_path: Path) -> None:
    told: list[str] = []
    unpack(tmp_path, told.append)
    assert ["run on SQLite only" in each for each in told] == [True]


def test_the_newest_that_apt_knows_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[tuple[str, ...]] = []

    def run(*command: str, folder: str | None = None) -> str | None:
        ran.append(command)
        return "postgresql-9 - old\npostgresql-15 - new\npostgresql-common - no\n" if "search" in command else None

    monkeypatch.setattr(postgres.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(postgres, "system_home", lambda: None)
    monkeypatch.setattr(postgres, "_run", run)
    told: list[str] = []
    unpack(tmp_path, told.append)
    assert ran[1] == ("apt-get", "download", "-qq", "postgresql-15", "libpq5")
    assert "failed" in told[-1]
