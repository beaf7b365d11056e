"""What a gate could not decide by is named before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.settings import SHIPPED_STREAMS
from quality.suite_check import refused_expectations

SUM = {"type": "expect_column_sum_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}


@pytest.mark.parametrize(
    ("stage", "expectation", "said"),
    [
        (Stage.LAKE, SUM, "cannot be told from a sample"),
        (Stage.LAKE, {**SUM, "severity": "warning"}, None),
        (Stage.ROLLUP, SUM, "cannot be told from a sample"),
        (Stage.LAKE, {"type": "expect_rows_to_be_nice"}, "does not take it"),
    ],
    ids=["critical-of-a-sample", "a-warning-stops-nothing", "of-many-windows-too", "no-such-expectation"],
)
def test_an_expectation_that_cannot_decide_is_a_mistake(
    stage: Stage, expectation: dict[str, Any], said: str | None
) -> None:
    shop = load_stream(SHIPPED_STREAMS / "shop")
    found = refused_expectations(shop.model_copy(update={"suites": {stage: {"expectations": [expectation]}}}))
    assert [said in str(each) for each in found] == ([] if said is None else [True])
