"""What keeps the platform from starting is one message and one exit code, and nothing is left running."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import psutil
import pytest
from typer.testing import CliRunner

from controlplane.cli import app
from controlplane.up import checks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def _refused(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["up", "--demo", "none", *arguments])
    return done.exit_code, done.output


def _java_on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = _refused("--data", str(tmp_path / "data"))
    assert code == checks.EXIT_JAVA
    assert "no Java is on the path" in said
    assert "make setup" in said


def test_an_old_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java_on_the_path(tmp_path, monkeypatch, 'openjdk version "11.0.2" 2019-01-15')
    code, said = _refused("--data", str(tmp_path / "data"))
    assert code == checks.EXIT_JAVA
    assert "version 11" in said


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    code, said = _refused("--data", str(tmp_path / "data"))
    assert code == checks.EXIT_FOLDER
    assert "--data" in said


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = checks.check_memory
    monkeypatch.setattr(checks, "check_memory", lambda: check(2**60))
    code, said = _refused("--data", str(tmp_path))
    assert code == checks.EXIT_MEMORY
    assert "GiB" in said


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = _refused("--data", str(tmp_path), "--console-port", str(port))
    assert code == checks.EXIT_PORT
    assert f"port {port}" in said


def test_a_feed_that_does_not_exist(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["up", "--demo", "shoop", "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert "shoop" in done.output
