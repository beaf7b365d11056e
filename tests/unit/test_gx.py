"""What Great Expectations says becomes a verdict a rule: kept, broken, or not known with the reason. The real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from controlplane.contract.gates import Severity
from quality.gx import judge

if TYPE_CHECKING:
    from controlplane.contract.gates import RuleVerdict

ROWS = pd.DataFrame({"kind": ["a", "b", None, "b"], "amount": [1.0, 2.0, 3.0, -4.0]})


def expect(kind: str, *, meta: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": given, "meta": meta or {}}


def verdict(expectation: dict[str, Any], rows: int | None = None) -> RuleVerdict:
    [found] = judge({"name": "s", "expectations": [expectation]}, ROWS, rows=rows).rules
    return found


KEPT = {
    "a-kept-rule": (expect("column_values_to_be_between", column="amount", max_value=3), True),
    "a-broken-rule": (expect("column_values_to_be_between", column="amount", min_value=0), False),
    "most-of-them-is-enough": (expect("column_values_to_be_between", column="amount", min_value=0, mostly=0.7), True),
    "a-wrong-column-is-not-broken": (expect("column_values_to_be_between", column="none", min_value=0), None),
    "a-wrong-type-is-not-broken": (expect("column_mean_to_be_between", column="kind", min_value=0), None),
    "an-unknown-expectation-is-not-broken": (expect("rows_to_be_nice"), None),
    "a-missing-argument-is-not-broken": (expect("column_values_to_not_be_null"), None),
    "a-severity-that-is-none-is-not-broken": (
        expect("column_values_to_not_be_null", column="amount", meta={"severity": "awful"}),
        None,
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_rule_is_kept_broken_or_not_known(case: str) -> None:
    expectation, kept = KEPT[case]
    found = verdict(expectation)
    assert found.kept is kept
    assert (found.reason is not None) == (kept is None)


def test_a_broken_rule_says_how_many_of_how_many_and_which() -> None:
    given = expect("column_values_to_be_in_set", column="kind", value_set=["a"], meta={"name": "known"})
    found = verdict({**given, "severity": "warning"})
    assert (found.rule, found.severity, found.judged, found.unexpected) == ("known", Severity.WARNING, 3, 2)
    assert found.examples == ("b",)


def test_a_wrong_column_is_named() -> None:
    assert '"none"' in (verdict(expect("column_values_to_not_be_null", column="none")).reason or "")


def test_one_wrong_rule_leaves_the_others_as_they_are() -> None:
    suite = [
        expect("rows_to_be_nice"),
        expect("column_values_to_not_be_null", column="kind"),
        expect("column_values_to_not_be_null", column="none"),
        expect("column_values_to_not_be_null", column="amount"),
    ]
    judged = judge({"name": "s", "expectations": suite}, ROWS)
    assert [each.kept for each in judged.rules] == [None, False, None, True]
    assert judged.result["statistics"]["successful_expectations"] == 1


def test_rows_are_counted_whole_when_only_some_are_looked_at() -> None:
    least = expect("table_row_count_to_be_between", min_value=1000)
    assert verdict(least).kept is False
    assert verdict(least, rows=1000).kept is True
    assert verdict(expect("table_row_count_to_be_between", max_value=10), rows=1000).observed == "1000"


def test_what_was_observed_is_read_by_people() -> None:
    mean = expect("column_mean_to_be_between", column="amount", max_value=0)
    thirds = pd.DataFrame({"amount": [1.0, 1.0, 2.0]})
    assert judge({"name": "s", "expectations": [mean]}, thirds).rules[0].observed == "1.33333"


def test_what_a_sample_cannot_say_is_not_said() -> None:
    total = expect("column_sum_to_be_between", column="amount", min_value=0)
    assert verdict(total).kept is True
    found = verdict(total, rows=1000)
    assert found.kept is None
    assert "a sample of 4 of 1,000 rows" in (found.reason or "")


def test_no_rows_are_no_mistake() -> None:
    rules = [expect("column_values_to_not_be_null", column="kind"), expect("table_row_count_to_equal", value=0)]
    assert [each.kept for each in judge({"expectations": rules}, ROWS[:0]).rules] == [True, True]
