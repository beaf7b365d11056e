"""What an executor does is measured from what Spark tells, however often and out of step it tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.lag import ConsumerKind, LagJudged, PartitionLag
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import ExecutorSeen, QueryPhases, QueryProgressed, SparkObserved
from controlplane.service.scaling.work import Work

if TYPE_CHECKING:
    from controlplane.contract.facts import Fact

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def _batch(number: int, seconds: float, rows: int = 10_000, took_s: float = 4.0, **more: object) -> QueryProgressed:
    return QueryProgressed.model_validate(
        {
            "at": _at(seconds),
            "query": "lake shop",
            "stream": "shop",
            "mode": "microbatch",
            "batch_id": number,
            "rows": rows,
            "took_s": took_s,
            "run_id": "run",
            "trigger_s": 10.0,
            **more,
        }
    )


def _looked(seconds: float, *task_s: float, cores: int = 1, active: int = 0, app: str = "app-1") -> SparkObserved:
    executors = ("driver", 0.0), *((str(number), spent) for number, spent in enumerate(task_s))
    return SparkObserved(
        at=_at(seconds),
        part="lake",
        app_id=app,
        executors=tuple(
            ExecutorSeen(
                executor=name, is_active=True, cores=0 if name == "driver" else cores,
                active_tasks=0 if name == "driver" else active, failed_tasks=0, completed_tasks=0, task_s=spent, gc_s=0.0,
                input_bytes=0, shuffle_read_bytes=0, shuffle_write_bytes=0, memory_used_bytes=0, memory_bytes=0,
            )
            for name, spent in executors
        ),
    )  # fmt: skip


def _has(have: int) -> ExecutorsChanged:
    return ExecutorsChanged(
        at=BEGAN, target="lake", have=have, want=have, cores=1, least=1, most=9, port="spark standalone"
    )


def test_rows_over_task_time_whatever_the_batches_took() -> None:
    work = Work("lake")
    work.fold([_looked(0, 100.0, 100.0)])
    for number in range(1, 6):
        work.fold([_batch(number, 10 * number), _looked(10 * number + 1, 100.0 + 4 * number, 100.0 + 6 * number)])
    found = work.capacity("shop")
    assert found.about == pytest.approx(1000)
    assert found.at_least == found.about


def test_an_executor_of_two_cores_does_two_tasks_at_once() -> None:
    work = Work("lake")
    work.fold([_looked(0, 0.0, cores=2)])
    for number in range(1, 6):
        work.fold([_batch(number, 10 * number), _looked(10 * number + 1, 10.0 * number, cores=2)])
    assert work.capacity("shop").about == pytest.approx(2000)


def test_what_is_told_twice_counts_once() -> None:
    once, twice = Work("lake"), Work("lake")
    for number in range(6):
        facts: list[Fact] = [_batch(number, 10 * number), _looked(10 * number + 1, 10.0 * number)]
        once.fold(facts)
        twice.fold([*facts, *facts, _batch(number, 10 * number + 2)])
    assert once.capacity("shop") == twice.capacity("shop")
    assert once.capacity("shop").about is not None


def test_one_batch_that_was_held_up_changes_little() -> None:
    work = Work("lake")
    work.fold([_looked(0, 0.0)])
    spent = 0.0
    for number in range(1, 21):
        spent += 500.0 if number == 7 else 10.0
        work.fold([_batch(number, 10 * number), _looked(10 * number + 1, spent)])
    assert work.capacity("shop").about == pytest.approx(1000)


def test_the_first_slow_batch_of_a_start_is_left_out() -> None:
    work = Work("lake")
    work.fold([_looked(0, 0.0)])
    for number in range(1, 6):
        work.fold([_batch(number, 10 * number), _looked(10 * number + 1, 90.0 + 10 * number)])
    assert work.capacity("shop").about == pytest.approx(1000)


def test_a_new_application_begins_at_nothing() -> None:
    work = Work("lake")
    work.fold([_looked(0, 500.0)])
    for number in range(1, 6):
        work.fold([_batch(number, 10 * number), _looked(10 * number + 1, 10.0 * number, app="app-2")])
    assert work.capacity("shop").about == pytest.approx(1000)


def test_without_task_time_a_batch_says_at_least_how_much() -> None:
    work = Work("lake")
    assert work.capacity("shop").how == "not measured yet"
    work.fold([_has(2), _batch(1, 10, phases=QueryPhases(work_s=2.5)), _batch(2, 20), _batch(3, 30)])
    found = work.capacity("shop")
    assert (found.about, found.at_least) == (None, 2000)
    assert work.capacity("flights").at_least is None


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ([], None),
        ([_batch(1, 10, took_s=4)], 14),
        ([_batch(1, 10, took_s=40)], 20),
        ([_batch(1, 10, took_s=4, trigger_s=None)], 8),
    ],
    ids=["nothing-known", "trigger-and-batch", "a-healthy-batch-is-no-longer-than-its-trigger", "no-trigger"],
)
def test_what_ordinarily_waits_follows_from_the_batches(facts: list[QueryProgressed], seconds: float | None) -> None:
    work = Work("lake")
    work.fold(facts)
    assert work.ordinary_s("shop") == seconds


def _judged(seconds: float, *ends: int | None) -> LagJudged:
    partitions = tuple(PartitionLag(partition=number, end=end) for number, end in enumerate(ends))
    return LagJudged(
        at=_at(seconds),
        consumer="lake shop",
        consumer_kind=ConsumerKind.QUERY,
        topic="shop.valid",
        partitions=partitions,
    )


def test_what_arrives_is_what_came_in_the_last_seconds() -> None:
    work = Work("lake")
    work.fold([_judged(each, 50 * each, 50 * each) for each in range(0, 600, 2)])
    assert work.arriving_per_s("shop") == pytest.approx(100)
    work.fold([_judged(600 + each, 30_000 + 200 * each, 30_000 + 200 * each) for each in range(0, 24, 2)])
    assert work.arriving_per_s("shop") == pytest.approx(400, rel=0.1)
    work.fold([_judged(626, 40_000, None)])
    assert work.arriving_per_s("shop") is None
    work.fold([_judged(628, 1, 1), _judged(630, 1, 1)])
    assert work.arriving_per_s("shop") is None, "not over two seconds"
    work.fold([_judged(640, 9_000, 9_000), _judged(650, 0, 0), _judged(659, 45, 45)])
    assert work.arriving_per_s("shop") is None, "a topic that was made anew"
    work.fold([_judged(669, 95, 95)])
    assert work.arriving_per_s("shop") == pytest.approx(10)


def test_at_work_is_the_share_of_cores_with_a_task_in_the_last_minute() -> None:
    work = Work("lake")
    work.fold([_looked(each, 0.0, 0.0, active=int(each >= 40)) for each in range(0, 80, 5)])
    assert work.at_work(_at(75)) == pytest.approx(8 / 13)
    assert work.at_work(_at(300)) is None


def test_queries_of_another_part_are_passed_over() -> None:
    work = Work("lake")
    work.fold([_looked(0, 0.0), *(_batch(each, each, query="route shop") for each in range(9)), _looked(20, 50.0)])
    assert work.capacity("shop").at_least is None
