"""Dashboards as code: the JSON is what the generator writes, Grafana's own types take it, and it names what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.contract.metrics.table import METRICS

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "docker" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FILES}
PANELS = [(name, panel) for name, each in DASHBOARDS.items() for panel in each["panels"]]
RECORDED = {
    rule["record"]
    for group in yaml.safe_load((ROOT / "docker" / "prometheus" / "recording.yml").read_text())["groups"]
    for rule in group["rules"]
}
OTHERS = {"up", "process_cpu_seconds_total"}
PAGES = {
    "",
    "/",
    "/lag",
    "/latency",
    "/spark",
    "/scaling",
    "/alerts",
    "/ledger",
    "/lake",
    "/quality",
    "/quarantine",
    "/live",
    "/live/shop",
}


def test_the_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, GRAFANA / "generate.py", tmp_path], check=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        file.name: file.read_text() for file in FILES
    }


def test_there_are_the_dashboards_that_operators_need() -> None:
    assert DASHBOARDS.keys() == {"overview", "lag", "spark", "quality", "serving", "live"}
    assert {each["uid"] for each in DASHBOARDS.values()} == {f"tidegate-{name}" for name in DASHBOARDS}


@pytest.fixture(scope="module")
def grafana_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Grafana's schema and a compiler, of the versions in the lock file."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no node with npm: install Node 20 to check the dashboards against Grafana's types")
    folder = tmp_path_factory.mktemp("typed")
    for file in ("package.json", "package-lock.json", "tsconfig.json", "dashboard.ts"):
        shutil.copy(GRAFANA / "typed" / file, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm can't fetch Grafana's types: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return folder


def typed(folder: Path, dashboards: dict[str, Any]) -> str:
    """What the compiler says of the dashboards; empty when it has nothing to say."""
    for old in folder.glob("_*.ts"):
        old.unlink()
    for name, each in dashboards.items():
        text = f"import type {{ Ours }} from './dashboard.js';\nexport const it: Ours = {json.dumps(each, indent=1)};\n"
        (folder / f"_{name}.ts").write_text(text)
    done = subprocess.run(
        [folder / "node_modules" / ".bin" / "tsc", "--project", folder], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_grafanas_own_types_take_every_dashboard_and_refuse_a_mistake(grafana_types: Path) -> None:
    assert typed(grafana_types, DASHBOARDS) == ""
    first = DASHBOARDS["overview"]["panels"][0]
    wrong = {
        "field": {"panels": [{**first, "gridPosition": {}}]},
        "value": {"panels": [{**first, "options": {**first["options"], "colorMode": "rainbow"}}]},
        "kind": {"refresh": 10},
    }
    said = typed(grafana_types, {name: {**DASHBOARDS["overview"], **change} for name, change in wrong.items()})
    assert {name for name in wrong if f"_{name}.ts" in said} == wrong.keys(), said


def test_a_dashboard_names_no_data_source() -> None:
    uids = {target["datasource"]["uid"] for _, panel in PANELS for target in panel["targets"]}
    assert uids == {"${prometheus}", "${clickhouse}", "grafana"}
    for each in DASHBOARDS.values():
        named = {variable["name"]: variable["type"] for variable in each["templating"]["list"]}
        assert named == {
            "prometheus": "datasource",
            "clickhouse": "datasource",
            "stream": "query",
            "console": "textbox",
        }


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {panel['title']}" for name, panel in PANELS])
def test_a_panel_names_metrics_that_there_are_says_what_it_is_and_tells_unknown(
    name: str, panel: dict[str, Any]
) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["noValue"] == "unknown"
    assert all(link["url"].removeprefix("${console}") in PAGES for link in panel["links"])
    for target in panel["targets"]:
        named = set(
            re.findall(r"(?<![\w:])(?:[a-z_]+:)?(?:tidegate|process)_\w+(?::\w+)?|\bup\b", target.get("expr", ""))
        )
        known = {re.sub(r"(?<=_seconds)_bucket$", "", each) for each in named}
        assert known <= {*METRICS, *RECORDED, *OTHERS}, target["expr"]


def test_a_single_number_has_its_age_beside_it() -> None:
    stats = [panel for _, panel in PANELS if panel["type"] == "stat"]
    assert stats
    for panel in stats:
        assert panel["targets"][1]["legendFormat"] == "age"
        assert panel["targets"][1]["expr"].startswith("time() - max(timestamp(")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
