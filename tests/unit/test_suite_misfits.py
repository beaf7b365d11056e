"""`streams validate` names every mistake in the suites of all stages, at once, with file and field."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.suite_misfits import suite_problems
from pipeline.__main__ import app
from quality.suite_check import refused_expectations

if TYPE_CHECKING:
    from pathlib import Path

NOT_NULL = "expect_column_values_to_not_be_null"


def expectation(kind: str = NOT_NULL, meta: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": {"column": "late"}, "meta": {"name": "it", **(meta or {})}, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED_STREAMS / "shop", tmp_path / "shop")
    return tmp_path / "shop"


def written(folder: Path, stage: str, *expectations: Any) -> Path:
    suites = json.loads((folder / "suite.json").read_text())
    suites[stage] = {"name": "s", "expectations": list(expectations)}
    (folder / "suite.json").write_text(json.dumps(suites))
    return folder


@pytest.mark.parametrize("name", ["shop", "flights"])
def test_the_shipped_suites_fit_their_stages(name: str) -> None:
    stream = load_stream(SHIPPED_STREAMS / name)
    assert [*suite_problems(stream), *refused_expectations(stream)] == []


MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a-column-that-the-lake-lacks": ("lake", expectation(), "there is no column 'late' at lake"),
    "a-column-of-some-rollups": (
        "rollup",
        expectation(kwargs={"column": "revenue"}),
        "there is no column 'revenue' at rollup of traffic; name one rollup in meta.table",
    ),
    "a-column-that-only-clickhouse-has": ("rollup", expectation(kwargs={"column": "layer"}), "no column 'layer'"),
    "one-of-a-list": (
        "lake",
        expectation("expect_compound_columns_to_be_unique", kwargs={"column_list": ["tg_offset", "nope"]}),
        "no column 'nope'",
    ),
    "no-such-rollup": ("serving", expectation(meta={"table": "sale"}), "there is no rollup 'sale' here"),
    "a-table-where-there-is-one": ("lake", expectation(meta={"table": "sales"}), "lake has one table"),
    "no-severity": ("rollup", expectation(severity="fatal"), "rollup.expectations[0].severity: 'fatal'"),
    "a-part-that-is-none": ("rollup", expectation(kwarg={}), "rollup.expectations[0].kwarg"),
    "no-object": ("rollup", "expect_it", "rollup.expectations: not a list of objects"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_place(case: str, folder: Path) -> None:
    stage, given, said = MISTAKES[case]
    [problem] = suite_problems(load_stream(written(folder, stage, given)))
    assert said in str(problem)
    assert str(problem).startswith("suite.json: ")


def test_two_rules_of_one_name_are_named_unless_each_is_another_rollups(folder: Path) -> None:
    one, other = (expectation(meta={"table": each}) for each in ("sales", "traffic"))
    assert not list(suite_problems(load_stream(written(folder, "rollup", one, other))))
    [problem] = suite_problems(load_stream(written(folder, "rollup", one, one)))
    assert "a second rule is named 'it', as rollup.expectations[0] is" in str(problem)


def test_validate_says_all_of_it_and_ends_with_code_1(folder: Path) -> None:
    written(folder, "serving", expectation(kwargs={"column": "nope"}))
    written(folder, "lake", {"type": "expect_the_best", "kwargs": {}}, expectation(kwargs={"column": 7}))
    found = CliRunner().invoke(app, ["streams", "validate", str(folder), str(SHIPPED_STREAMS / "flights")])
    assert found.exit_code == 1
    assert "no column 'nope' at serving" in found.output
    assert "lake.expectations[0]: Great Expectations does not take it: expect_the_best" in found.output
    assert "lake.expectations[1]: Great Expectations does not take it" in found.output
    assert "flights: valid; 21 fields, rules: 11 ingest, 6 lake, 8 rollup, 4 serving" in found.output
