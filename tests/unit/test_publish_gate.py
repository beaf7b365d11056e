"""A rollup's gates: what holds windows back, and what lets them go; whether ClickHouse has what the lake has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from controlplane.contract.gates import GateDecided, GateOrdered, Order, Outcome, Policy, Stage
from controlplane.contract.suites import fingerprint
from pipeline.gate import FakeGate, Said
from pipeline.lake.gate import FakeOrders
from pipeline.publish.agree import Totals, in_lake, verdict
from pipeline.publish.gate import Windows, WindowsGate

HALTED = Said(Outcome.HALTED, reason="bad")


class Suites:
    def __init__(self) -> None:
        self.suite: dict[str, Any] = {"expectations": [{"type": "one"}]}

    def of(self, stage: Stage) -> dict[str, Any]:
        return {Stage.ROLLUP: self.suite}[stage]

    def fingerprint(self, stage: Stage) -> str:
        return fingerprint(self.of(stage))


class Reports:
    def __init__(self) -> None:
        self.facts: list[GateDecided] = []

    def report(self, *facts: Any) -> None:
        self.facts.extend(facts)


class Rollup:
    """One rollup's gate, with fakes around."""

    def __init__(self, *says: Said, policy: Policy = Policy.HALT) -> None:
        self.gate, self.suites, self.orders, self.reports = FakeGate(list(says)), Suites(), FakeOrders(), Reports()
        parts: Any = (self.gate, self.suites, self.orders, self.reports)
        self.windows = WindowsGate("shop", "sales", Stage.ROLLUP, policy, *parts)

    def beat(self, version: int) -> Outcome | None:
        """What publish does; None when it does not even look."""
        if not self.windows.is_open(version):
            return None
        found = self.windows.judge(Windows("windows", version, 5, lambda: pd.DataFrame({"a": [1]})))
        if self.windows.lets(found):
            self.windows.done(found, 1.0)
        return found.fact.outcome

    def order(self, order: Order, at: datetime | None = None) -> None:
        self.orders.given.append(
            GateOrdered(stream="shop", stage=Stage.ROLLUP, order=order, at=at or datetime.now(UTC), by="ana")
        )


def test_a_halt_stands_until_the_lake_has_something_new() -> None:
    rollup = Rollup(HALTED, HALTED)
    assert [rollup.beat(1), rollup.beat(1), rollup.beat(2), rollup.beat(2)] == [
        Outcome.HALTED,
        None,
        Outcome.HALTED,
        None,
    ]
    assert rollup.beat(3) is Outcome.PASSED
    assert [each.outcome for each in rollup.reports.facts] == [Outcome.HALTED, Outcome.HALTED, Outcome.PASSED]


def test_another_suite_judges_what_is_held() -> None:
    rollup = Rollup(HALTED)
    rollup.beat(1)
    rollup.suites.suite = {"expectations": []}
    assert rollup.beat(1) is Outcome.PASSED


@pytest.mark.parametrize(
    ("order", "outcome"),
    [(Order.PASS, Outcome.LET_THROUGH), (Order.RESUME, Outcome.HALTED)],
    ids=["pass-lets-it-through", "resume-judges-again"],
)
def test_an_order_is_for_what_is_held(order: Order, outcome: Outcome) -> None:
    rollup = Rollup(HALTED, HALTED, HALTED)
    rollup.order(order, at=datetime.now(UTC) - timedelta(seconds=1))
    assert [rollup.beat(1), rollup.beat(1)] == [Outcome.HALTED, None]
    rollup.order(order)
    assert [rollup.beat(2), rollup.beat(3)] == [outcome, Outcome.HALTED]


def test_a_suite_that_cannot_be_evaluated_holds_nothing_back_where_the_policy_is_to_pass() -> None:
    rollup = Rollup(Said(Outcome.MISCONFIGURED), policy=Policy.PASS)
    assert rollup.beat(1) is Outcome.MISCONFIGURED
    assert rollup.windows.held is None


def test_a_fact_has_the_rollups_name_and_the_gates_share() -> None:
    rollup = Rollup()
    rollup.beat(1)
    [fact] = rollup.reports.facts
    assert (fact.table, fact.rows, fact.judged, fact.stage_took_s) == ("sales", 5, 1, 1.0)


LAKE = {"20260301": Totals(3, {"orders": 7.0, "revenue": 0.1 + 0.2})}
AGREE = {
    "the-same-agrees": (Totals(3, {"orders": 7.0, "revenue": 0.3}), None),
    "a-row-is-missing": (
        Totals(2, {"orders": 7.0, "revenue": 0.3}),
        "period 20260301 has 2 rows for the lake's 3",
    ),
    "a-sum-differs": (
        Totals(3, {"orders": 8.0, "revenue": 0.3}),
        "orders of period 20260301 sums up to 8.0 for the lake's 7.0",
    ),
}


@pytest.mark.parametrize("case", AGREE)
def test_clickhouse_agrees_with_the_lake_or_it_is_said_where_not(case: str) -> None:
    found, observed = AGREE[case]
    rule = verdict(LAKE, {"20260301": found})
    assert (rule.kept, rule.observed) == (observed is None, observed)


def test_no_rows_sum_up_to_nothing() -> None:
    empty = pa.table({"orders": pa.array([], pa.int64())})
    assert in_lake(empty, ["orders"]) == Totals(0, {"orders": 0.0})
