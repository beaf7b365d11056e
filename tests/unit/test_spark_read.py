"""What do Spark's REST answers become? As Spark 4.1.1 gave them, of a lake and a route that ran in one session."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.contract.spark import SparkObserved, SparkStarted
from lag_monitor.spark import read
from lag_monitor.spark.ask import STAGES_AT_MOST, SUMMARIES_AT_MOST, Application

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
FOLDER = Path(__file__).parent / "recorded"


def recorded(name: str) -> Any:
    return json.loads((FOLDER / f"{name}-spark-4.1.1.json").read_text())


STAGES, SUMMARY, EXECUTORS = (recorded(name) for name in ("stages", "stage-summary", "executors"))


def started(ui: str | None = "http://127.0.0.1:4040") -> SparkStarted:
    return SparkStarted(at=NOW, part="lake", app_id="app", ui=ui, master="local[2]", slots=2, began_at=NOW)


class Spark:
    """A REST API that answers what it is told to."""

    def __init__(self, stages: list[dict[str, Any]], status: int = 200) -> None:
        self.stages, self.status = stages, status
        self.completed_tasks = 0
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        path = request.url.path.removeprefix("/api/v1/applications/app")
        if self.status != 200:
            return httpx.Response(self.status, headers={"location": "http://elsewhere.example/"})
        if path == "/allexecutors":
            return httpx.Response(200, json=[{**EXECUTORS[0], "completedTasks": self.completed_tasks}])
        if path == "/stages":
            return httpx.Response(200, json=self.stages)
        number = int(path.split("/")[2])
        return httpx.Response(200, json={**SUMMARY, "stageId": number})

    def look(
        self, application: Application | None = None, ui: str = "http://127.0.0.1:4040", *hosts: str
    ) -> SparkObserved:
        application = application or self.application()
        return application.look(started(ui), hosts, lambda: NOW)

    def application(self) -> Application:
        return Application("app", httpx.Client(transport=httpx.MockTransport(self)))


def stage(number: int, **more: Any) -> dict[str, Any]:
    return {**SUMMARY, "stageId": number, "executorRunTime": 500, "taskMetricsDistributions": None, **more}


def test_a_stage_belongs_to_the_query_and_the_batch_that_its_description_names() -> None:
    found = {each.stage: (each.query, each.batch_id, each.state) for each in read.stages(STAGES)}
    assert found[57] == ("route shop", 2, "active")
    assert found[53] == ("lake shop", 10, "complete")


def test_delta_s_own_stages_belong_to_the_batch_that_they_are_of_and_say_what_they_do() -> None:
    found = next(each for each in read.stages(STAGES) if each.stage == 79)
    assert (found.query, found.batch_id, found.name) == ("lake shop", 16, "Compute snapshot for version: 15")


def test_a_stage_that_is_of_no_batch_belongs_to_no_query() -> None:
    found = next(each for each in read.stages(STAGES) if each.stage == 80)
    assert (found.query, found.batch_id, found.state) == (None, None, "pending")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("start at NativeMethodAccessorImpl.java:0", "start"),
        ("call at /opt/lib/python3.11/site-packages/py4j/clientserver.py:644", "call at clientserver.py:644"),
        (
            "$anonfun$withThreadLocalCaptured$3 at CompletableFuture.java:1768",
            "$anonfun$withThreadLocalCaptured$3 at CompletableFuture.java:1768",
        ),
        ("collect", "collect"),
    ],
)
def test_a_stage_is_called_by_what_was_called_and_not_by_where_python_is(said: str, name: str) -> None:
    assert read.stage(stage(1, name=said)).name == name


def test_a_stage_tells_its_time_its_rows_and_when_it_ran() -> None:
    found = next(each for each in read.stages(STAGES) if each.stage == 18)
    assert (found.run_s, found.cpu_s, found.gc_s, found.input_rows) == (47.92, 0.361156347, 2.208, 80000)
    assert found.submitted_at == datetime(2026, 11, 26, 3, 11, 49, 623000, tzinfo=UTC)
    assert found.task_s is None


def test_a_stage_that_was_skipped_is_none() -> None:
    assert read.stages([stage(1, status="SKIPPED")]) == []


def test_a_stage_of_the_probes_is_nobodys() -> None:
    described = "route tidegate_probe\nid = a\nrunId = b\nbatch = 3"
    assert read.stages([stage(1, description=described)]) == []


def test_tasks_are_told_by_median_95th_percentile_and_longest() -> None:
    found = read.stage(SUMMARY)
    assert found.task_s == (0.026, 0.026, 0.026)
    assert found.task_rows == (9.0, 9.0, 9.0)


def test_an_executor_tells_what_it_did_since_its_start() -> None:
    (found,) = read.executors(EXECUTORS)
    assert (found.executor, found.cores, found.task_s, found.gc_s) == ("driver", 11, 46.078, 1.932)
    assert found.heap_peak_bytes == 308831712


def test_a_stage_that_has_ended_is_told_of_once_and_one_that_runs_each_time() -> None:
    spark = Spark([stage(2, status="ACTIVE"), stage(1)])
    application = spark.application()
    assert [each.stage for each in spark.look(application).stages] == [2, 1]
    assert [each.stage for each in spark.look(application).stages] == [2]


def test_only_what_has_ended_since_with_several_tasks_is_asked_for_quantiles() -> None:
    spark = Spark([stage(3, status="ACTIVE"), stage(2, numTasks=1), stage(1)])
    found = {each.stage: each.task_s is not None for each in spark.look().stages}
    assert found == {3: False, 2: False, 1: True}


def test_a_stage_that_took_no_time_is_not_asked_for_quantiles() -> None:
    spark = Spark([stage(1, executorRunTime=99)])
    assert [each.task_s for each in spark.look().stages] == [None]
    assert not [path for path in spark.asked if path.endswith("/stages/1/0")]


def test_while_no_task_begins_or_ends_stages_are_not_asked_for_again() -> None:
    spark = Spark([stage(1, status="ACTIVE")])
    application = spark.application()
    found = [[each.stage for each in spark.look(application).stages] for _ in range(5)]
    assert found == [[1]] * 5
    assert sum(path.endswith("/stages") for path in spark.asked) == 2
    spark.completed_tasks, spark.stages = 1, [stage(1), stage(2, status="ACTIVE")]
    assert [each.stage for each in spark.look(application).stages] == [2, 1]


def test_a_stage_that_ends_a_moment_after_its_last_task_is_not_missed() -> None:
    spark = Spark([stage(1, status="ACTIVE")])
    application = spark.application()
    for _ in range(5):
        spark.look(application)
    spark.completed_tasks = 1
    assert [each.state for each in spark.look(application).stages] == ["active"]
    spark.stages = [stage(1)]
    assert [each.state for each in spark.look(application).stages] == ["complete"]
    assert spark.look(application).stages == ()


def test_what_is_told_and_asked_in_one_look_is_bounded() -> None:
    spark = Spark([stage(number) for number in range(500)])
    assert len(spark.look().stages) == STAGES_AT_MOST
    assert len(spark.asked) == 2 + SUMMARIES_AT_MOST


@pytest.mark.parametrize("status", [500, 302, 404], ids=["it-fails", "it-leads-elsewhere", "it-is-another-application"])
def test_an_api_that_does_not_answer_gives_a_reason_and_no_old_numbers(status: int) -> None:
    spark = Spark([stage(1)])
    application = spark.application()
    assert spark.look(application).reason is None
    spark.status = status
    found = spark.look(application)
    assert found.reason is not None
    assert str(status) in found.reason
    assert (found.executors, found.stages, found.took_s) == ((), (), None)


@pytest.mark.parametrize("ui", ["http://10.0.0.5:4040", "http://127.0.0.1.evil.example", "file:///etc/passwd"])
def test_only_this_machine_is_asked_unless_the_settings_name_another(ui: str) -> None:
    spark = Spark([])
    found = spark.look(None, ui)
    assert "TIDEGATE_SPARK_UI_HOSTS" in (found.reason or "")
    assert spark.asked == []


def test_a_host_that_the_settings_name_is_asked() -> None:
    assert Spark([]).look(None, "http://10.0.0.5:4040", "10.0.0.5").reason is None


def test_an_application_without_a_ui_says_so() -> None:
    found = Spark([]).application().look(started(None), (), lambda: NOW)
    assert "spark.ui.enabled" in (found.reason or "")


def test_an_answer_of_another_shape_is_a_reason() -> None:
    assert "KeyError" in (Spark([{"status": "COMPLETE"}]).look().reason or "")
