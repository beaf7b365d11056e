"""Spark as known: the newest batches and stages whatever the order, bounded; what is old is unknown and says so."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.spark import QueryProgressed, SparkObserved, SparkStarted, StageSeen
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.observed import BATCHES, STAGES, Observed
from controlplane.service.service import Service
from controlplane.service.spark import spark_frame
from controlplane.service.state import Known

if TYPE_CHECKING:
    from controlplane.contract.facts import Fact
    from controlplane.contract.spark import SparkPart
    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
COUNTS = (
    "tasks active_tasks completed_tasks failed_tasks run_s cpu_s gc_s input_bytes input_rows output_bytes output_rows "
    "shuffle_read_bytes shuffle_write_bytes spilled_memory_bytes spilled_disk_bytes"
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def stage(number: int, state: str = "complete") -> StageSeen:
    counts: dict[str, Any] = dict.fromkeys(COUNTS.split(), 0)
    return StageSeen(stage=number, attempt=0, query="lake shop", name="start", state=state, **counts)


def batch(number: int, ago_s: float = 0, **more: Any) -> QueryProgressed:
    said = {"id": f"b{number}-{ago_s}", "query": "lake shop", "stream": "shop", "mode": "microbatch", **more}
    return QueryProgressed(at=ago(ago_s), batch_id=number, **said)


def started(ago_s: float = 0, app_id: str = "app-1") -> SparkStarted:
    return SparkStarted(at=ago(ago_s), part="lake", app_id=app_id, master="local[2]", slots=2, began_at=ago(600))


def looked(*stages: StageSeen, ago_s: float = 0, app_id: str = "app-1", reason: str | None = None) -> SparkObserved:
    return SparkObserved(at=ago(ago_s), part="lake", app_id=app_id, stages=stages, reason=reason)


def part_of(*facts: Fact, part: str = "lake") -> SparkPart:
    known, observed = Known(), Observed()
    known.fold(facts)
    observed.fold(facts)
    return next(each for each in spark_frame(known, observed, NOW).parts if each.part == part)


def test_stages_of_earlier_looks_are_kept_beside_those_of_the_last() -> None:
    facts = [looked(stage(1), stage(2, "active"), ago_s=9), looked(stage(2), stage(3, "active"), ago_s=3)]
    for order in (facts, facts[::-1], [*facts, *facts]):
        shown = part_of(started(), *order).observed
        assert shown is not None
        assert [(each.stage, each.state) for each in shown.stages] == [(3, "active"), (2, "complete"), (1, "complete")]


def test_stages_of_an_application_that_has_ended_are_not_those_of_the_next() -> None:
    shown = part_of(looked(stage(7), ago_s=20, app_id="app-0"), looked(stage(1))).observed
    assert shown is not None
    assert [each.stage for each in shown.stages] == [1]


def test_stages_and_batches_are_bounded_and_the_newest_stay() -> None:
    observed = Observed()
    batches = [batch(number, ago_s=1000 - number) for number in range(BATCHES + 20)]
    stages = [looked(stage(number), ago_s=200 - number) for number in range(STAGES + 20)]
    random.Random(5).shuffle(batches)  # noqa: S311
    random.Random(6).shuffle(stages)  # noqa: S311
    observed.fold([*batches, *stages])
    assert [each.batch_id for each in observed.batches("lake shop")] == list(range(20, BATCHES + 20))
    assert [each.stage for each in observed.stages("lake", "app-1", NOW)] == list(range(STAGES + 19, 19, -1))


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 50)), max_size=200), st.randoms())
def test_the_order_of_batches_does_not_matter(said: list[tuple[int, int]], shuffler: random.Random) -> None:
    facts = [batch(number, ago_s) for number, ago_s in dict(said).items()]
    shuffled = [*facts, *facts]
    shuffler.shuffle(shuffled)
    one, other = Observed(), Observed()
    one.fold(facts)
    other.fold(shuffled)
    assert one.batches("lake shop") == other.batches("lake shop")


def test_a_batch_that_was_told_twice_is_one_and_the_newer_word_holds() -> None:
    open_, closed = batch(4, ago_s=10, rows=10), batch(4, ago_s=5, rows=90)
    shown = part_of(started(), closed, open_)
    assert [each.rows for each in shown.batches["lake shop"]] == [90]
    again = batch(4, ago_s=1, rows=5, run_id="another start")
    assert [each.rows for each in part_of(closed, again).batches["lake shop"]] == [90, 5]


def test_a_part_that_has_said_nothing_is_there_and_unknown() -> None:
    known = Known()
    parts = spark_frame(known, Observed(), NOW).parts
    assert [(each.part, each.started, each.observed) for each in parts] == [("route", None, None), ("lake", None, None)]
    assert parts[0].reason is not None
    assert "route has not said yet that its Spark runs" in parts[0].reason


def test_what_is_old_is_not_shown_as_of_now_and_says_for_how_long() -> None:
    shown = part_of(started(ago_s=60), looked(stage(1), ago_s=33))
    assert (shown.started, shown.observed) == (None, None)
    assert shown.reason is not None
    assert "lake has not said for 60 s" in shown.reason
    assert "for 33 s" in shown.reason


def test_a_ui_that_does_not_answer_says_why() -> None:
    shown = part_of(started(), looked(reason="127.0.0.1:4040 does not answer: refused"))
    assert shown.reason == "127.0.0.1:4040 does not answer: refused"


def test_queries_belong_to_the_part_that_their_name_begins_with() -> None:
    route = batch(1, query="route shop", mode="realtime")
    assert [each.query for each in part_of(route, batch(2), part="route").queries] == ["route shop"]
    assert [each.query for each in part_of(route, batch(2)).queries] == ["lake shop"]


def test_the_api_answers_what_the_page_is_pushed(shop: StreamDefinition) -> None:
    service = Service([shop], lambda *_, **__: [], "http://127.0.0.1:1", 0.1)
    now = datetime.now(UTC)
    service.fold([started().model_copy(update={"at": now}), batch(3).model_copy(update={"at": now})])
    said = TestClient(create_api(service, access=AnyoneIs())).get("/api/v1/spark").json()
    lake = next(each for each in said["parts"] if each["part"] == "lake")
    assert lake["started"]["master"] == "local[2]"
    assert [each["batch_id"] for each in lake["batches"]["lake shop"]] == [3]
