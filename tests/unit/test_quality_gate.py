"""What follows from verdicts: one table of cases; and what is kept of each for Data Docs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from controlplane.contract.gates import GateDecided, Outcome, Policy, RuleVerdict, Severity, Stage
from quality.gate import ExpectationsGate, decide, of_table
from quality.results import KEPT, Results, write

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rule(kept: bool | None, severity: Severity = Severity.CRITICAL) -> RuleVerdict:
    return RuleVerdict(
        rule="r", expectation="expect_x", severity=severity, kept=kept, judged=10, unexpected=2, reason="no such column"
    )


CASES = {
    "all-kept-passes": ([rule(True)], Policy.HALT, Outcome.PASSED),
    "no-rules-pass": ([], Policy.HALT, Outcome.PASSED),
    "critical-broken-diverts": ([rule(True), rule(False)], Policy.DIVERT, Outcome.DIVERTED),
    "critical-broken-halts": ([rule(False)], Policy.HALT, Outcome.HALTED),
    "critical-broken-is-let-through": ([rule(False)], Policy.PASS, Outcome.LET_THROUGH),
    "a-warning-never-stops": ([rule(False, Severity.WARNING)], Policy.HALT, Outcome.WARNED),
    "info-is-not-even-a-warning": ([rule(False, Severity.INFO)], Policy.HALT, Outcome.PASSED),
    "an-unknown-critical-rule-is-no-verdict-of-the-data": ([rule(None)], Policy.DIVERT, Outcome.MISCONFIGURED),
    "unknown-comes-before-broken": ([rule(False), rule(None)], Policy.DIVERT, Outcome.MISCONFIGURED),
    "unknown-is-said-with-policy-pass-too": ([rule(None)], Policy.PASS, Outcome.MISCONFIGURED),
    "an-unknown-warning-warns": ([rule(None, Severity.WARNING)], Policy.DIVERT, Outcome.WARNED),
    "an-unknown-info-says-nothing": ([rule(None, Severity.INFO)], Policy.DIVERT, Outcome.PASSED),
}


@pytest.mark.parametrize("case", CASES)
def test_the_outcome_follows_from_severity_and_policy(case: str) -> None:
    rules, policy, outcome = CASES[case]
    assert decide(rules, policy)[0] is outcome


def test_the_reason_names_the_rule_and_how_many_rows() -> None:
    assert decide([rule(False)], Policy.HALT)[1] == "r is broken by 2 of 10 rows"
    assert decide([rule(None)], Policy.HALT)[1] == "configuration error: r could not be evaluated: no such column"


def test_a_rule_of_one_table_is_held_against_that_table_only() -> None:
    suite = {"expectations": [{"type": "a"}, {"type": "b", "meta": {"table": "sales"}}]}
    assert [each["type"] for each in of_table(suite, "traffic")["expectations"]] == ["a"]
    assert [each["type"] for each in of_table(suite, "sales")["expectations"]] == ["a", "b"]


def decided(at: datetime = NOW) -> GateDecided:
    return GateDecided(
        at=at,
        stream="shop",
        stage=Stage.ROLLUP,
        table="sales",
        subject="windows",
        suite="0" * 12,
        outcome=Outcome.PASSED,
        rows=1,
        judged=1,
    )


def test_what_was_found_is_kept_with_suite_and_decision(tmp_path: Path) -> None:
    results = Results(tmp_path)
    suite = {"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}]}
    gate = ExpectationsGate(results)
    found = gate.judge(suite, Policy.HALT, pd.DataFrame({"a": [1]}), rows=1)
    gate.keep(decided(), suite, found)
    results.close()
    [file] = (tmp_path / "shop" / "rollup-sales").glob("*.json")
    written = json.loads(file.read_text())
    assert (written["suite"], written["fingerprint"], written["decided"]["table"]) == (suite, "0" * 12, "sales")
    assert written["result"]["success"] is True


def test_the_oldest_results_go(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        write(tmp_path, decided(NOW + timedelta(seconds=number)), {}, {"number": number})
    files = sorted((tmp_path / "shop" / "rollup-sales").iterdir())
    assert len(files) == KEPT
    assert json.loads(files[0].read_text())["result"]["number"] == 3
