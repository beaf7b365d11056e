from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from controlplane.up.borrowed import acting_on_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_acts_on_the_platform_that_runs_in_the_folder(tmp_path: Path) -> None:
    written = {"pid": os.getpid(), "environment": {"TIDEGATE_API": "http://127.0.0.1:1"}, "parts": []}
    (tmp_path / "up.json").write_text(json.dumps(written))
    environment, left = acting_on_folder({"HOME": "/x"}, ["plan", "--data", str(tmp_path), "-o", "json"])
    assert left == ["plan", "-o", "json"]
    jars = environment.pop("TIDEGATE_SPARK_JARS")
    assert "delta" in jars
    assert environment == {"HOME": "/x", "TIDEGATE_API": "http://127.0.0.1:1", "TIDEGATE_DATA": str(tmp_path)}


def test_when_none_runs_nobody_listens_and_the_callers_own_settings_hold(tmp_path: Path) -> None:
    environment, _ = acting_on_folder({"TIDEGATE_KAFKA": "broker:9092"}, [f"--data={tmp_path}", "plan"])
    assert (environment["TIDEGATE_API"], environment["TIDEGATE_KAFKA"]) == ("", "broker:9092")
    assert environment["TIDEGATE_SPARK_JARS"]
