"""From what the control plane says to what is known of a query: what is old or missing is named, never taken for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controlplane.contract.facts import FACTS, EntitiesUpserted, Fact, PartChanged, PartState
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import GateDecided, Outcome, Stage
from controlplane.contract.lag import Cause, ConsumerKind, LagExplained, LagJudged
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.spark import (
    QueryProgressed,
    SparkFrame,
    SparkObserved,
    SparkPart,
    SparkStarted,
    StageSeen,
)
from lag_monitor.why.explain import explained
from lag_monitor.why.observe import Answers, observe
from lag_monitor.why.past import Past
from lag_monitor.why.watch import Said, ask
from pipeline.tables.cursor import Cursor
from pipeline.tables.entities import Upserts
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from lag_monitor.why.observed import Observed

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
SHOP = load_stream(SHIPPED_STREAMS / "shop")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def lag(age_s: float, consumer: str = "lake shop", **more: Any) -> LagJudged:
    fields: dict[str, Any] = {"consumer_kind": ConsumerKind.QUERY, "topic": "shop.valid", "lag_events": 1, **more}
    return LagJudged(at=ago(age_s), consumer=consumer, **fields)


def ended(number: int, age_s: float, took_s: float = 10.0, run: str = "run") -> QueryProgressed:
    return QueryProgressed(
        at=ago(age_s),
        query="lake shop",
        stream="shop",
        mode="microbatch",
        batch_id=number,
        took_s=took_s,
        trigger_s=10.0,
        run_id=run,
    )


def stage(
    number: int, batch: int | None, began: float, ended: float | None, query: str | None = "lake shop"
) -> StageSeen:
    return StageSeen(
        stage=number, attempt=0, query=query, batch_id=batch, name="save", state="active" if ended is None else "complete",
        submitted_at=ago(began), completed_at=None if ended is None else ago(ended), tasks=1, active_tasks=0, completed_tasks=1,
        failed_tasks=0, run_s=1, cpu_s=1, gc_s=0, input_bytes=0, input_rows=0, output_bytes=0, output_rows=0,
        shuffle_read_bytes=0, shuffle_write_bytes=0, spilled_memory_bytes=0, spilled_disk_bytes=0,
    )  # fmt: skip


def spark(*stages: StageSeen, batches: tuple[QueryProgressed, ...] = (), reason: str | None = None) -> SparkFrame:
    started = SparkStarted(at=NOW, part="lake", app_id="app", master="local[2]", slots=2, began_at=ago(600))
    seen = None if reason else SparkObserved(at=NOW, part="lake", app_id="app", stages=stages)
    part = SparkPart(
        part="lake", started=started, observed=seen, queries=(), batches={"lake shop": batches}, reason=reason
    )
    return SparkFrame(at=NOW, parts=(part,))


def of_lake(past: Past, *facts: Fact, frame: SparkFrame | None = None) -> Observed:
    past.fold(facts)
    return {each.query.name: each for each in observe(Answers(NOW, facts, frame), past, [SHOP], Settings())}[
        "lake shop"
    ]


def test_every_query_of_every_stream_is_asked_about() -> None:
    found = [each.query.name for each in observe(Answers(NOW, ()), Past(), [SHOP], Settings())]
    assert found == ["route shop", "lake shop", "live shop"]


def test_nobody_has_said_anything() -> None:
    assert of_lake(Past()).unknown == (
        "nothing known of its lag: nobody has measured it yet",
        "nothing known of the process of lake: no supervisor has reported it",
        "nothing known of stages: lake has said nothing of its Spark application",
    )


def test_what_was_said_long_ago_is_unknown_now() -> None:
    old = PartChanged(at=ago(40), part="lake", state=PartState.RUNNING)
    found = of_lake(Past(), lag(40), old, frame=spark(reason="nobody has asked its REST API for 40 s"))
    assert found.lag is None
    assert found.lags == ()
    assert found.part is None
    assert found.unknown == (
        "nothing known of its lag: not measured for 40 s",
        "nothing known of the process of lake: the supervisor is silent for 40 s",
        "nothing known of stages: nobody has asked its REST API for 40 s",
    )


def test_lags_of_ten_minutes_are_remembered_once_each() -> None:
    past = Past()
    for age in (700, 4, 4, 2):
        past.fold([lag(age), lag(age, consumer="anybody", consumer_kind=ConsumerKind.GROUP)])
    past.fold([lag(4)])
    found = of_lake(past, lag(0))
    assert [(NOW - each.at).total_seconds() for each in found.lags] == [4, 2, 0]
    assert found.lag == found.lags[-1]


def test_a_halt_holds_however_long_ago_it_was_said() -> None:
    decided = GateDecided(
        at=ago(4000), stream="shop", stage=Stage.LAKE, subject="micro-batch 3", suite="f", outcome=Outcome.HALTED,
        rows=1, judged=1,
    )  # fmt: skip
    assert of_lake(Past(), decided).gates == (decided,)


def test_stages_are_of_the_batch_that_has_their_number_and_their_time() -> None:
    """A query that was started again has counted from 0 before."""
    stages = (
        stage(1, 3, 500, 490),  # of the run before
        stage(5, 3, 60, 55),
        stage(6, 4, 30, 25),
        stage(7, None, 28, 27, query=None),
        stage(8, 4, 28, 27, query="lake flights"),
    )
    found = of_lake(Past(), frame=spark(*stages, batches=(ended(2, 90), ended(3, 50), ended(4, 21))))
    assert [(batch.number, [each.stage for each in batch.stages]) for batch in found.batches] == [(3, [5]), (4, [6])]
    assert [each.stage for each in found.beside] == [7, 8]
    assert found.slots == 2
    assert found.trigger_s == 10.0


def test_the_first_batch_of_a_run_is_left_out_once_there_is_another() -> None:
    """It loads classes and compiles."""
    one, two = ended(7, 40, run="a"), ended(8, 30, run="a")
    other = ended(9, 20, run="b")

    def numbers(*batches: QueryProgressed) -> list[int]:
        return [batch.number for batch in of_lake(Past(), frame=spark(batches=batches)).batches]

    assert numbers(one) == [7]
    assert numbers(one, two) == [8]
    assert numbers(one, two, other) == [8, 9]
    assert numbers(one, two, other, ended(10, 10, run="b")) == [8, 10]


def test_a_batch_is_open_from_its_first_stage_on() -> None:
    stages = (stage(6, 1, 30, 25), stage(7, 2, 15, 10), stage(8, 2, 9, None))
    found = of_lake(Past(), frame=spark(*stages, batches=(ended(1, 21),)))
    assert [(batch.number, batch.took_s, batch.told is None) for batch in found.batches] == [
        (1, 10, False),
        (2, 15, True),
    ]
    assert [each.stage for each in found.running] == [8]


def test_the_same_is_said_again_after_five_seconds_and_another_thing_at_once() -> None:
    said = Said()

    def explained(age_s: float, *, is_slow: bool) -> list[LagExplained]:
        fact = LagExplained(at=ago(age_s), consumer="lake shop", stream="shop", is_slow=is_slow)
        return said.news([fact])

    assert explained(20, is_slow=False)
    assert not explained(18, is_slow=False)
    assert explained(17, is_slow=True)
    assert not explained(14, is_slow=True)
    assert explained(12, is_slow=True)


def test_a_real_time_batch_that_never_ended_yet_is_known_to_be_one() -> None:
    found = {
        each.query.name: each for each in observe(Answers(NOW, ()), Past(), [SHOP], Settings(route_mode="realtime"))
    }
    assert found["route shop"].is_realtime
    assert not found["lake shop"].is_realtime
    found = {
        each.query.name: each for each in observe(Answers(NOW, ()), Past(), [SHOP], Settings(route_mode="microbatch"))
    }
    assert not found["route shop"].is_realtime


def test_a_round_asks_for_the_facts_and_for_spark() -> None:
    judged = lag(0)

    def answer(request: httpx.Request) -> httpx.Response:
        frame = spark(batches=(ended(1, 5),))
        content = {"/api/v1/facts": FACTS.dump_json([judged]), "/api/v1/spark": frame.model_dump_json().encode()}
        return httpx.Response(200, content=content[request.url.path])

    answers = ask(httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer)))
    assert answers.facts == (judged,)
    assert answers.spark is not None
    assert [each.batch_id for each in answers.spark.parts[0].batches["lake shop"]] == [1]


def test_a_control_plane_that_does_not_answer_fails_the_round() -> None:
    away = httpx.MockTransport(lambda _: httpx.Response(503))
    with pytest.raises(httpx.HTTPError):
        ask(httpx.Client(base_url="http://api", transport=away))


RECORDED = {
    "numTargetRowsUpdated": 300, "numTargetRowsInserted": 0, "numTargetFilesAdded": 2, "numTargetFilesRemoved": 150,
    "numTargetBytesAdded": 6630, "numTargetBytesRemoved": 370_499, "numTargetDeletionVectorsAdded": 0, "scanTimeMs": 1602,
    "rewriteTimeMs": 837, "executionTimeMs": 2560,
}  # fmt: skip
"""What Delta 4.4.0 wrote into its log of a MERGE into 150 files of two rows each."""


def test_what_delta_says_of_a_merge_into_many_files_is_understood() -> None:
    no_session: Any = None
    following = Following(no_session, SHOP, "/lake")
    merged = following._fact("entity_visitor", Upserts(2, Cursor("d", 1), 300, RECORDED, 4.0))
    assert isinstance(merged, EntitiesUpserted)
    assert merged.files_read == 150
    marked = Upserts(
        2, Cursor("d", 1), 300, {**RECORDED, "numTargetFilesRemoved": 3, "numTargetDeletionVectorsAdded": 20}, 4.0
    )
    assert following._fact("entity_visitor", marked).files_read == 23
    began = Upserts(0, Cursor("d", 0), 300, {"numFiles": 1, "numOutputRows": 300, "numOutputBytes": 4073}, 4.0)
    assert following._fact("entity_visitor", began).files_read is None
    past = Past()
    past.fold([merged.model_copy(update={"at": NOW})])
    settings = Settings(tables_trigger=timedelta(seconds=1))
    found = explained(
        next(each for each in observe(Answers(NOW, ()), past, [SHOP], settings) if each.query.part == "lake")
    )
    assert found.is_slow
    assert [each.cause for each in found.suspects] == [Cause.SMALL_FILES]
    assert found.suspects[0].evidence.startswith(
        "a MERGE into entity_visitor opened 150 files and wrote 0.0 MiB for 300 rows"
    )
