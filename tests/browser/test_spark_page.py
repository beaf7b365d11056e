"""The Spark page in Chromium, over an API in this process: applications, queries, phases, executors, stages, and links to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from controlplane.contract.spark import (
    ExecutorSeen,
    LatencyMeasured,
    QueryPhases,
    QueryProgressed,
    SparkObserved,
    SparkStarted,
    StageSeen,
)
from load_tests.bench.browser import says

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_MIB = 1024 * 1024


def _executor(name: str, **more: Any) -> ExecutorSeen:
    said: dict[str, Any] = {
        "is_active": True,
        "cores": 1,
        "active_tasks": 1,
        "failed_tasks": 0,
        "completed_tasks": 1234,
        "task_s": 100.0,
        "gc_s": 2.0,
        "input_bytes": 300 * _MIB,
        "shuffle_read_bytes": 20 * _MIB,
        "shuffle_write_bytes": 20 * _MIB,
        "memory_used_bytes": 4 * _MIB,
        "memory_bytes": 400 * _MIB,
        "heap_peak_bytes": 210 * _MIB,
        "added_at": datetime.now(UTC) - timedelta(minutes=9),
        **more,
    }
    return ExecutorSeen(executor=name, **said)


def _stage(number: int, **more: Any) -> StageSeen:
    said: dict[str, Any] = {
        "attempt": 0,
        "query": "lake shop",
        "batch_id": number // 3,
        "name": "MERGE into entity_customer: findTouchedFiles",
        "state": "complete",
        "tasks": 4,
        "active_tasks": 0,
        "completed_tasks": 4,
        "failed_tasks": 0,
        "run_s": 4.0,
        "cpu_s": 3.0,
        "gc_s": 0.1,
        "input_bytes": 30 * _MIB,
        "input_rows": 90_000,
        "output_bytes": 0,
        "output_rows": 0,
        "shuffle_read_bytes": 0,
        "shuffle_write_bytes": 3 * _MIB,
        "spilled_memory_bytes": 0,
        "spilled_disk_bytes": 0,
        "task_s": (1.0, 1.1, 1.2),
        "task_rows": (22_000.0, 23_000.0, 24_000.0),
        **more,
    }
    return StageSeen(stage=number, **said)


def _batches(query: str, mode: str, count: int, took_s: float, **more: Any) -> list[QueryProgressed]:
    at, stream = datetime.now(UTC), query.split(" ")[1]
    return [
        QueryProgressed(
            at=at - timedelta(seconds=10 * (count - number)),
            query=query,
            stream=stream,
            mode=mode,
            batch_id=number,
            rows=4000 + 100 * (number % 7),
            rows_per_s=980.5,
            input_rows_per_s=412.0,
            took_s=took_s + 0.1 * (number % 5),
            run_id="run-1",
            **more,
        )
        for number in range(count)
    ]


def _facts() -> list[Any]:
    at = datetime.now(UTC)
    phases = QueryPhases(offsets_s=0.1, planning_s=0.6, log_s=0.2, work_s=11.0)
    began = at - timedelta(hours=2)
    stages = [_stage(number) for number in range(1, 18)]
    stages += [
        _stage(18, task_s=(0.4, 0.5, 9.2), task_rows=(900.0, 1000.0, 90_000.0), run_s=10.4),
        _stage(19, state="failed", failed_tasks=1, failure="<b>Job aborted</b>", task_s=None),
        _stage(20, state="active", completed_tasks=1, active_tasks=2, task_s=None, spilled_disk_bytes=9 * _MIB),
    ]
    lake = {"at": at, "part": "lake", "app_id": "app-20261126-1"}
    executors = (
        _executor("0"),
        _executor("1", gc_s=31.0, failed_tasks=3),
        _executor("driver", cores=0, active_tasks=0, completed_tasks=0, task_s=0.0, gc_s=0.0),
        _executor("2", is_active=False, removed_at=at, removed_why="Command exited with code 137"),
    )
    return [
        SparkStarted(**lake, ui="http://127.0.0.1:4040", master="spark://127.0.0.1:7077", slots=2, began_at=began),
        SparkObserved(**lake, executors=executors, stages=tuple(stages), took_s=0.05),
        SparkStarted(at=at, part="route", app_id="local-1", master="local[8]", slots=8, began_at=began),
        SparkObserved(
            at=at, part="route", app_id="local-1", reason="its UI at 127.0.0.1:4041 does not answer: refused"
        ),
        *_batches("lake shop", "microbatch", 40, 11.9, trigger_s=10.0, phases=phases, behind_events=5200),
        *_batches("lake flights", "microbatch", 40, 2.1, trigger_s=10.0),
        *_batches("route shop", "realtime", 3, 300.0, trigger_s=300.0),
        LatencyMeasured(
            at=at, query="route shop", stream="shop", latency_ms=(9.2, 21.0, 48.0), samples=120, newest_at=at
        ),
    ]


def test_the_spark_page_says_where_the_time_of_a_batch_goes(opened: Any, looked_at: Any) -> None:
    with opened(lambda *_, **__: []) as console:
        page = console.page
        console.press("p", "/spark")
        _says(page, '[data-spark-reason="lake"]', "lake has not said yet that its Spark runs")
        _says(page, '[data-spark-executors="lake"]', "unknown: ")
        looked_at(page, "spark-empty")
        console.report(*_facts())
        queries(page)
        tables(page)
        console.report(*_facts())
        links(page, console.address)
        assert console.complaints == []


def queries(page: Any) -> None:
    _says(
        page, '[data-spark-facts="lake"]', "spark://127.0.0.1:7077", "slots 2", "executors 2", "app-20261126-1", "up "
    )
    shop = '[data-spark-query="lake shop"]'
    _says(
        page, shop, "rows 4,400", "in 412/s", "out 981/s", "left 5,200", "took 12", "of 10", "planning 0.6", "work 11"
    )
    assert page.get_attribute(f"{shop} .took", "title") == "longer than there is between two batches"
    phases = page.eval_on_selector_all(f"{shop} .took-line i", "all => all.map(each => each.dataset.phase)")
    assert phases == ["offsets", "planning", "work", "log", "other"]
    _says(page, '[data-spark-query="route shop"]', "p50 9 ms", "p99 21 ms", "longest 48 ms", "the newest 120 records")
    _says(page, '[data-spark-reason="route"]', "its UI at 127.0.0.1:4041 does not answer: refused")
    page.wait_for_function(
        "document.querySelectorAll('[data-spark-chart=\"lake shop\"] :is(.scatterlayer, .barlayer) .trace').length === 2",
        timeout=_WITHIN_MS,
    )


def tables(page: Any) -> None:
    executors = '[data-spark-executors="lake"]'
    _says(
        page,
        f'{executors} [data-executor="1"]',
        "1,234",
        "31",
        "20 MiB / 20 MiB".replace(" ", "\u00a0").replace("\u00a0/\u00a0", " / "),
    )
    assert page.locator(f'{executors} [data-executor="1"] .is-bad').count() == 2, "failed tasks and garbage collection"
    _says(page, f'{executors} [data-executor="2"].is-gone', "gone: Command exited with code 137")
    stages = '[data-spark-stages="lake"]'
    _says(page, f'{stages} [data-stage="20"]', "lake shop 6", "active", "1 of 4, 2 run")
    _says(page, f'{stages} [data-stage="18"]', "0.4", "9.2", "3.5\u00d7")
    assert page.get_attribute(f'{stages} [data-stage="19"] td:nth-child(4)', "title") == "<b>Job aborted</b>"
    assert (
        page.get_attribute(f'{stages} [data-stage="18"] a', "href")
        == "http://127.0.0.1:4040/stages/stage/?id=18&attempt=0"
    )
    assert page.locator(f"{stages} [data-stage]").count() == 12
    page.click('[data-spark-stages-said="lake"] button')
    _says(page, '[data-spark-stages-said="lake"]', "show fewer")
    assert page.locator(f"{stages} [data-stage]").count() == 20


def links(page: Any, address: str) -> None:
    page.goto(f"{address}/spark/lake%20shop?range=15m")
    _says(page, '[data-spark-query="lake shop"]', "rows 4,400")
    assert page.locator("[data-spark]").count() == 1
    page.goto(f"{address}/spark?stage=2")
    page.wait_for_selector('[data-spark-stages="lake"] tr.is-here[data-stage="2"]', timeout=_WITHIN_MS)
    page.goto(f"{address}/spark/nobody")
    _says(page, ".page", "'nobody' is no part and no query of one")
