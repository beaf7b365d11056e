"""A stream that is added while the platform runs: `tidegate status` says who does not know it, `tidegate restart` is asked once."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from controlplane.cli import app
from controlplane.contract.facts import PartChanged, PartState
from controlplane.contract.restarts import RESTARTS
from controlplane.contract.settings import SHIPPED_STREAMS

if TYPE_CHECKING:
    from pathlib import Path


def platform(data: Path, ages_s: dict[str, float]) -> None:
    """A supervisor has started parts so long ago, and has the streams of `mine` besides the shipped ones."""
    now = datetime.now(UTC)
    facts = [
        PartChanged(at=now, part=part, state=PartState.RUNNING, pid=1, started_at=now - timedelta(seconds=age))
        for part, age in ages_s.items()
    ]
    environment = {"TIDEGATE_STREAMS": str(data / "mine")}
    environment |= {f"TIDEGATE_{name}": "http://127.0.0.1:1" for name in ("CONSOLE", "COLLECTOR", "CLICKHOUSE")}
    written = {
        "pid": os.getpid(),
        "environment": environment,
        "parts": [each.model_dump(mode="json") for each in facts],
    }
    (data / "up.json").write_text(json.dumps(written))
    (data / RESTARTS).mkdir()


def said(*words: str, data: Path) -> str:
    answer = CliRunner().invoke(app, [*words, "--data", str(data)])
    return " ".join(answer.output.split())


@pytest.fixture
def added(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED_STREAMS / "shop", tmp_path / "mine" / "orders")


def test_status_names_the_parts_that_have_started_before_a_folder_was_added(tmp_path: Path, added: Path) -> None:
    platform(tmp_path, {"kafka": 60, "route": 60, "collector": 60, "lake": -60})
    told = said("status", data=tmp_path)
    assert f"streams: {added} is newer than these parts" in told
    assert f"`tidegate streams validate {added}`, then `tidegate restart collector route`" in told, "lake knows it"


def test_once_all_have_started_since_nothing_is_said(tmp_path: Path, added: Path) -> None:
    platform(tmp_path, {"kafka": 60, "route": -60, "collector": -60})
    assert added.exists()
    assert "streams:" not in said("status", data=tmp_path)


def test_a_suite_is_followed_and_needs_no_restart(tmp_path: Path, added: Path) -> None:
    now = datetime.now(UTC).timestamp()
    changed = max((added / name).stat().st_ctime for name in ("stream.yaml", "schema.avsc"))
    platform(tmp_path, {"route": now - changed - 0.001})
    (added / "suite.json").write_text("{}")
    assert "streams:" not in said("status", data=tmp_path)


def test_several_parts_are_asked_for_at_once_or_none_is(tmp_path: Path) -> None:
    platform(tmp_path, {"route": 60, "lake": 60})
    assert "there is no part 'lakes'; there are: lake, route" in said("restart", "route", "lakes", data=tmp_path)
    assert list((tmp_path / RESTARTS).iterdir()) == []
    assert "`tidegate status` shows route, lake" in said("restart", "route", "lake", data=tmp_path)
    assert {file.name for file in (tmp_path / RESTARTS).iterdir()} == {"route", "lake"}
