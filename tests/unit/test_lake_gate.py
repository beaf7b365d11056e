"""What lake makes of a verdict: diverted, halted, and what an order or another suite does about it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from controlplane.contract.gates import GateDecided, GateOrdered, Order, Outcome, Policy, Stage
from controlplane.contract.streams import LakeGate
from controlplane.contract.suites import fingerprint
from pipeline.gate import FakeGate, Said
from pipeline.lake.gate import Batch, BatchGate, ClosingError, Decision, FakeOrders, next_order
from pipeline.lake.sample import columns_read, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALTED, DIVERTED, PASSED = Said(Outcome.HALTED, reason="bad"), Said(Outcome.DIVERTED, reason="bad"), Said()


class Suites:
    def __init__(self) -> None:
        self.suite: dict[str, Any] = {"expectations": [{"type": "one"}]}

    def of(self, stage: Stage) -> dict[str, Any]:
        return {Stage.LAKE: self.suite}[stage]

    def fingerprint(self, stage: Stage) -> str:
        return fingerprint(self.of(stage))


class Reports:
    def __init__(self) -> None:
        self.facts: list[GateDecided] = []

    def report(self, *facts: Any) -> None:
        self.facts.extend(facts)


class Lake:
    """A gate with fakes all around, judging on a thread of its own."""

    def __init__(self, *says: Said, policy: Policy = Policy.DIVERT, limit: int = 3) -> None:
        self.gate, self.suites, self.orders, self.reports = FakeGate(list(says)), Suites(), FakeOrders(), Reports()
        self.closing = threading.Event()
        settings: Any = LakeGate(policy=policy, diverted_in_a_row=limit)
        parts: Any = (self.suites, self.orders, self.reports)
        self.lake = BatchGate("shop", settings, self.gate, *parts, self.closing)
        self.threads = ThreadPoolExecutor(1)

    def decide(self, number: int = 1) -> Decision:
        found = self.lake.decide(Batch(number, 10, lambda _: pd.DataFrame({"a": [1, 2]})))
        assert found is not None
        self.lake.done(found, 1.0)
        return found

    def order(self, order: Order, at: datetime | None = None) -> None:
        self.orders.given.append(
            GateOrdered(stream="shop", stage=Stage.LAKE, order=order, at=at or datetime.now(UTC), by="ana")
        )


@pytest.fixture
def began() -> Iterator[list[Lake]]:
    found: list[Lake] = []
    yield found
    for each in found:
        each.closing.set()
        each.threads.shutdown()


def halted(stage: Lake, eventually: Callable[..., Any]) -> Any:
    deciding = stage.threads.submit(stage.decide)
    eventually(lambda: stage.reports.facts, "the halt")
    return deciding


def test_a_batch_that_passes_is_reported_with_the_gates_share_of_time() -> None:
    stage = Lake()
    assert stage.decide().outcome is Outcome.PASSED
    [fact] = stage.reports.facts
    assert (fact.outcome, fact.rows, fact.judged, fact.stage_took_s) == (Outcome.PASSED, 10, 2, 1.0)
    assert fact.took_s is not None
    assert stage.gate.kept == [fact]


def test_a_stage_without_a_suite_has_no_gate() -> None:
    stage = Lake()
    stage.suites.suite = {}
    assert stage.lake.decide(Batch(1, 10, lambda _: pd.DataFrame())) is None


def test_diversions_in_a_row_halt_the_stage(began: list[Lake], eventually: Callable[..., Any]) -> None:
    stage = Lake(DIVERTED, DIVERTED, DIVERTED, limit=2)
    began.append(stage)
    assert [stage.decide().outcome, stage.decide().outcome] == [Outcome.DIVERTED, Outcome.DIVERTED]
    deciding = stage.threads.submit(stage.decide)
    fact = eventually(lambda: stage.reports.facts[2:], "a halt")[0]
    assert (fact.outcome, fact.reason[:36]) == (Outcome.HALTED, "2 micro-batches in a row were divert")
    stage.order(Order.DIVERT)
    assert deciding.result(5).outcome is Outcome.DIVERTED


def test_a_batch_that_passes_in_between_begins_the_count_anew() -> None:
    stage = Lake(DIVERTED, PASSED, DIVERTED, limit=1)
    assert [stage.decide().outcome for _ in range(3)] == [Outcome.DIVERTED, Outcome.PASSED, Outcome.DIVERTED]


@pytest.mark.parametrize(
    ("order", "outcome"),
    [(Order.PASS, Outcome.LET_THROUGH), (Order.DIVERT, Outcome.DIVERTED), (Order.RESUME, Outcome.PASSED)],
    ids=["pass-lets-it-through", "divert-quarantines-it", "resume-judges-it-again"],
)
def test_an_order_ends_a_halt(
    order: Order, outcome: Outcome, began: list[Lake], eventually: Callable[..., Any]
) -> None:
    stage = Lake(HALTED, PASSED)
    began.append(stage)
    deciding = halted(stage, eventually)
    assert "micro-batch 1 is halted: bad" in stage.lake.waits_for
    stage.order(order)
    assert deciding.result(5).outcome is outcome
    assert stage.lake.waits_for == ""
    assert [each.outcome for each in stage.reports.facts] == [Outcome.HALTED, outcome]


def test_an_order_of_before_does_nothing_and_another_suite_is_judged_by(
    began: list[Lake], eventually: Callable[..., Any]
) -> None:
    stage = Lake(Said(Outcome.MISCONFIGURED, reason="wrong column"), PASSED)
    stage.order(Order.PASS, at=datetime.now(UTC) - timedelta(seconds=1))
    began.append(stage)
    deciding = halted(stage, eventually)
    assert len(stage.gate.judged) == 1
    stage.suites.suite = {"expectations": [{"type": "another"}]}
    assert deciding.result(5).outcome is Outcome.PASSED
    assert stage.gate.judged[1][0] == stage.suites.suite


def test_a_resumed_batch_that_fails_again_waits_for_another_order(
    began: list[Lake], eventually: Callable[..., Any]
) -> None:
    stage = Lake(HALTED, HALTED)
    began.append(stage)
    deciding = halted(stage, eventually)
    stage.order(Order.RESUME)
    eventually(lambda: len(stage.reports.facts) == 2, "the second halt")
    assert not deciding.done()
    stage.order(Order.PASS)
    assert deciding.result(5).outcome is Outcome.LET_THROUGH


def test_a_part_that_stops_leaves_a_halted_batch_for_the_next_run(
    began: list[Lake], eventually: Callable[..., Any]
) -> None:
    stage = Lake(HALTED)
    began.append(stage)
    deciding = halted(stage, eventually)
    stage.closing.set()
    with pytest.raises(ClosingError, match="the next run judges it again"):
        deciding.result(5)


def test_a_suite_that_cannot_be_evaluated_stops_no_stage_that_passes_everything() -> None:
    stage = Lake(Said(Outcome.MISCONFIGURED, reason="wrong column"), policy=Policy.PASS)
    assert stage.decide().outcome is Outcome.MISCONFIGURED


def test_the_newest_order_counts_and_a_release_is_for_another_batch() -> None:
    def given(order: Order, second: int) -> GateOrdered:
        return GateOrdered(stream="s", stage=Stage.LAKE, order=order, at=NOW + timedelta(seconds=second))

    orders = [given(Order.PASS, 1), given(Order.DIVERT, 2), given(Order.RELEASE, 3)]
    assert next_order(orders, NOW) == orders[1]
    assert next_order(orders, NOW + timedelta(seconds=2)) is None


def test_a_small_batch_is_looked_at_whole() -> None:
    assert stretches({0: (0, 40), 1: (5, 65)}, 100, "x") is None


def test_a_large_batch_by_the_same_stretch_of_each_partition_every_time() -> None:
    ranges = {0: (0, 1000), 1: (500, 510), 2: (7, 7), 3: (0, 5000)}
    found = stretches(ranges, 300, "checkpoint:17")
    assert found is not None
    assert sorted(found) == [0, 1, 3]
    assert {until - since for each, (since, until) in found.items() if each != 1} == {100}
    assert all(ranges[each][0] <= since and until <= ranges[each][1] for each, (since, until) in found.items())
    assert found == stretches(ranges, 300, "checkpoint:17")
    assert found != stretches(ranges, 300, "checkpoint:18")


COLUMNS = {
    "of-each-expectation": ([{"column": "a", "min_value": 1}, {"column_A": "b", "column_B": "c"}], {"a", "b", "c"}),
    "of-a-list": ([{"column_list": ["a", "b"]}], {"a", "b"}),
    "any-with-a-condition": ([{"column": "a", "row_condition": 'col("b") > 1'}], None),
    "any-for-a-whole-table": ([{"column_set": ["a"]}], None),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_only_columns_that_are_read_are_fetched(case: str) -> None:
    kwargs, wanted = COLUMNS[case]
    suite = {"expectations": [{"type": "expect_x", "kwargs": each} for each in kwargs]}
    assert columns_read(json.loads(json.dumps(suite))) == (None if wanted is None else frozenset(wanted))
