"""What does Spark's own progress become? Lines as Spark 4.1.1 wrote them: two of route in real-time mode, two of lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.listener import Listener
from pipeline.progress import progressed

RECORDED = (Path(__file__).parent / "recorded" / "progress-spark-4.1.1.jsonl").read_text().splitlines()
ROUTE = progressed(RECORDED, "route", "realtime", timedelta(seconds=12))
LAKE = progressed(RECORDED, "lake", "microbatch", timedelta(seconds=2))


class Event:
    """As Java hands it over."""

    def __init__(self, said: str | Exception) -> None:
        self._said = said

    def json(self) -> str:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


def test_each_part_reads_of_its_own_queries_only() -> None:
    assert [(fact.query, fact.stream, fact.batch_id) for fact in ROUTE] == [
        ("route shop", "shop", 0),
        ("route shop", "shop", 1),
    ]
    assert [fact.batch_id for fact in LAKE] == [0, 3]


def test_a_batch_tells_what_it_took_and_where_its_time_went() -> None:
    batch = LAKE[1]
    assert (batch.rows, batch.took_s, batch.rows_per_s, batch.input_rows_per_s) == (9998, 1.971, 5072.6, 4633.0)
    assert batch.at == datetime(2026, 11, 26, 3, 11, 49, 736000, tzinfo=UTC)
    assert batch.phases is not None
    assert batch.phases.model_dump() == {"offsets_s": 0.017, "planning_s": 0.016, "log_s": 0.109, "work_s": 1.829}
    assert batch.offsets[0] == (7616, 10101)
    assert batch.trigger_s == 2.0
    assert batch.mode == "microbatch"


def test_a_backlog_is_what_was_there_and_was_left() -> None:
    assert LAKE[1].behind_events == sum((20046 - 10101, 19822 - 9904, 20012 - 9898, 20120 - 10088))


def test_what_came_during_a_real_time_batch_is_no_backlog() -> None:
    assert [fact.behind_events for fact in ROUTE] == [0, 0]


def test_what_spark_does_not_know_is_not_0() -> None:
    first = LAKE[0]
    assert first.input_rows_per_s is None
    assert first.offsets == {}
    assert first.watermark is None
    assert first.state_rows is None


def test_a_watermark_and_state_are_told_and_one_before_any_event_is_not() -> None:
    said = json.loads(RECORDED[3])
    said["progress"]["eventTime"] = {"watermark": "2026-11-26T03:00:00.000Z"}
    said["progress"]["stateOperators"] = [{"numRowsTotal": 3, "memoryUsedBytes": 100}] * 2
    fact = progressed([json.dumps(said)], "lake", "microbatch", timedelta())[0]
    assert fact.watermark == datetime(2026, 11, 26, 3, tzinfo=UTC)
    assert (fact.state_rows, fact.state_bytes) == (6, 200)
    said["progress"]["eventTime"] = {"watermark": "1970-01-01T00:00:00.000Z"}
    assert progressed([json.dumps(said)], "lake", "microbatch", timedelta())[0].watermark is None


def test_a_batch_that_is_told_twice_is_one_fact() -> None:
    again = progressed(RECORDED, "lake", "microbatch", timedelta(seconds=2))
    assert [fact.id for fact in again] == [fact.id for fact in LAKE]


def test_a_number_that_is_not_finite_is_left_out_by_spark_and_unknown_here() -> None:
    said = json.loads(RECORDED[3])
    del said["progress"]["processedRowsPerSecond"]
    assert progressed([json.dumps(said)], "lake", "microbatch", timedelta())[0].rows_per_s is None


def test_a_listener_takes_the_text_as_it_is() -> None:
    listener, said = Listener(), "not even JSON"
    listener.onQueryProgress(Event(said))
    assert [each is said for each in listener.take()] == [True]
    assert list(listener.take()) == []


def test_a_listener_never_raises_and_counts_what_it_could_not_take() -> None:
    listener = Listener()
    listener.onQueryProgress(Event(RuntimeError("Java is gone")))
    assert listener.lost == 1
    assert list(listener.take()) == []


def test_a_listener_that_nobody_reads_keeps_the_newest_and_counts_the_rest() -> None:
    listener = Listener()
    for number in range(1500):
        listener.onQueryProgress(Event(str(number)))
    assert listener.lost == 500
    assert list(listener.take())[:2] == ["500", "501"]
