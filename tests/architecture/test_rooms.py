"""The rooms' walls, and what every room promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.contract.metrics.table import METRICS, PROCESSES
from controlplane.contract.settings import Settings

ROOT = Path(__file__).parents[2]
ROOMS = ("alerts", "controlplane", "pipeline", "quality", "lag_monitor", "dash_app", "load_tests")
SOURCES = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]


def test_the_import_contracts_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert Settings.model_fields[name].description
    written = "NOTIFY_SOCKET" if name == "notify_socket" else f"TIDEGATE_{name.upper()}"
    assert written in (ROOT / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_documented_with_its_labels(name: str) -> None:
    metric = METRICS[name]
    assert metric.described
    rows = [line.split("|") for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines() if f"| `{name}` |" in line]
    [(_, _, process, kind, labels, described, _)] = [[cell.strip() for cell in row] for row in rows]
    assert (kind, labels, described) == (metric.kind, ", ".join(metric.labels), metric.described)
    out = process.removeprefix("all but ")
    named = out.split(", ")
    assert set(metric.of) == (set(PROCESSES) - set(named) if out != process else set(named))


def test_no_other_metric_is_documented() -> None:
    assert set(re.findall(r"^\| `(tidegate_\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)) == set(
        METRICS
    )


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_prints_and_no_moment_is_naive(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print", f"{file}:{node.lineno}"
            assert called not in ("datetime.utcnow", "datetime.utcfromtimestamp"), f"{file}:{node.lineno}"
            assert called != "datetime.now" or node.args, f"{file}:{node.lineno}"


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_ours(room: str) -> None:
    found = [Path(entry) / room for entry in sys.path if (Path(entry or ".") / room / "__init__.py").exists()]
    assert {path.resolve() for path in found} <= {ROOT / room}
