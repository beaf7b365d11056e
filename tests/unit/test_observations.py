"""What is kept of what was observed: which rows, how often, and what happens to them while ClickHouse is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from fastapi import FastAPI
from fastapi.testclient import TestClient

from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict
from controlplane.contract.latency import LatencyHop, LatencyKept, PromiseCounted, Since
from controlplane.contract.names import Hop
from controlplane.contract.scaling import ExecutorsChanged, ScalingDecided
from controlplane.contract.spark import ExecutorSeen, QueryPhases, QueryProgressed, SparkObserved, StageSeen
from controlplane.contract.spread import gathered
from controlplane.service.observations.answers import add_observations
from controlplane.service.observations.asked import Past
from controlplane.service.observations.keeper import Keeper
from controlplane.service.observations.tables import BATCHES, EXECUTORS, LAG, SCALING, STAGES, TABLES, rows_of
from controlplane.service.observations.waiting import Waiting

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def judged(at_s: float, verdict: LagVerdict = LagVerdict.OK, consumer: str = "lake shop") -> LagJudged:
    said: dict[str, Any] = {"consumer_kind": ConsumerKind.QUERY, "topic": "shop.valid", "verdict": verdict}
    return LagJudged(at=after(at_s), consumer=consumer, lag_events=7, lag_s=1.5, **said)


def progressed(batch_id: int | None = 3) -> QueryProgressed:
    said: dict[str, Any] = {"query": "lake shop", "stream": "shop", "mode": "microbatch", "run_id": "r"}
    return QueryProgressed(at=NOON, batch_id=batch_id, rows=10, phases=QueryPhases(work_s=1.0), **said)


def stage(number: int, **more: Any) -> StageSeen:
    counts = dict.fromkeys([name for name, kind in STAGES.columns.items() if kind in ("UInt32", "Int64", "Float64")], 0)
    said: dict[str, Any] = {**counts, "stage": number, "attempt": 0, "query": "lake shop", "name": "save"}
    return StageSeen.model_validate({**said, "state": "complete", "completed_at": NOON, **more})


def executor(name: str = "driver") -> ExecutorSeen:
    counts: dict[str, Any] = dict.fromkeys(ExecutorSeen.model_fields, 0)
    optional = {"heap_peak_bytes": None, "added_at": None, "removed_at": None, "removed_why": None}
    return ExecutorSeen(**{**counts, **optional, "executor": name, "is_active": True})


def observed(at_s: float, *stages: StageSeen, executors: tuple[str, ...] = ("driver",)) -> SparkObserved:
    seen = tuple(map(executor, executors))
    return SparkObserved(at=after(at_s), part="lake", app_id="app", executors=seen, stages=stages)


def decided(at_s: float, want: int) -> ScalingDecided:
    return ScalingDecided(at=after(at_s), target="lake", have=2, want=want, rule=1, reason="as it is")


def count(waiting: Waiting, name: str) -> int:
    found = 0
    while (block := waiting.block()) is not None:
        found += len(block.rows) if block.table.name == name else 0
        waiting.done()
    return found


class Server:
    """Takes what it is given, or fails."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.rows: list[tuple[str, str, int]] = []

    def insert(self, table: str, rows: tuple[Any, ...], **options: Any) -> None:
        self.rows.append((table, options["settings"]["insert_deduplication_token"], len(rows)))
        if self.fails is not None:
            raise self.fails


def keeper_of(server: Server, waiting: Waiting | None = None) -> Keeper:
    keeper = Keeper("http://127.0.0.1:1", waiting)
    keeper._connected = lambda: server  # type: ignore[method-assign, assignment, return-value]
    return keeper


def test_every_row_has_a_value_for_every_column() -> None:
    spread = gathered([(3.0, 1.0), (700.0, 2.0)])
    latency = LatencyKept(at=after(0), stream="shop", hop=LatencyHop.RAW, since=Since.EVENT, spread=spread)
    counted = PromiseCounted(at=after(0), stream="shop", level="freshness", hop=Hop.LAKE, bad_s=1.0, total_s=30.0)
    facts = [judged(0), progressed(), observed(0, stage(1)), decided(0, 3), latency, counted]
    found = {table.name for fact in facts for table, row in rows_of(fact) if len(row) == len(table.columns)}
    assert found == {table.name for table in TABLES}


def test_a_table_is_a_partition_a_day_and_forgets_after_thirty() -> None:
    for table in TABLES:
        assert "PARTITION BY toDate(at)" in table.statement
        assert "TTL toDateTime(at) + INTERVAL 30 DAY" in table.statement
        assert set(table.key) <= set(table.columns)


def test_a_consumer_that_is_judged_every_second_has_a_point_in_five_unless_its_verdict_changes() -> None:
    waiting = Waiting()
    waiting.fold([judged(second) for second in range(10)])
    waiting.fold([judged(10, LagVerdict.WARN), judged(11, LagVerdict.OK)])
    waiting.fold([judged(11, consumer="route shop")])
    assert count(waiting, LAG.name) == 2 + 2 + 1


def test_a_stage_is_kept_when_it_has_ended_and_not_while_it_runs() -> None:
    waiting = Waiting()
    waiting.fold([observed(0, stage(1), stage(2, state="active", completed_at=None))])
    assert count(waiting, STAGES.name) == 1


def test_executors_are_kept_every_quarter_of_a_minute_and_whenever_one_comes_or_goes() -> None:
    waiting = Waiting()
    waiting.fold([observed(second) for second in (0, 5, 10, 15)])
    waiting.fold([observed(16, executors=("driver", "1"))])
    assert count(waiting, EXECUTORS.name) == 1 + 1 + 2


def test_a_decision_that_says_the_same_is_kept_twice_a_minute_and_another_at_once() -> None:
    waiting = Waiting()
    waiting.fold([decided(second, 2) for second in range(0, 30, 2)])
    waiting.fold([decided(30, 4)])
    waiting.fold(
        [ExecutorsChanged(at=after(31), target="lake", have=4, want=4, cores=1, least=1, most=8, port="local")]
    )
    assert count(waiting, SCALING.name) == 3


def test_a_query_that_only_says_that_it_runs_is_no_batch() -> None:
    waiting = Waiting()
    waiting.fold([progressed(None), progressed(4)])
    assert count(waiting, BATCHES.name) == 1


def test_while_clickhouse_is_away_rows_wait_and_nothing_is_lost() -> None:
    server = Server()
    keeper = keeper_of(server)
    server.fails = OperationalError("Connection refused")
    keeper.fold([judged(0), progressed()])
    for _ in range(100):
        assert not keeper.write()
    assert keeper.reason is not None
    server.fails, server.rows = None, []
    assert keeper.write()
    assert sum(rows for _, _, rows in server.rows) == 2
    assert keeper.waiting.dropped == 0


def test_a_block_that_is_tried_again_has_the_same_rows_and_the_same_token() -> None:
    server = Server()
    keeper = keeper_of(server)
    server.fails = OperationalError("Connection refused")
    keeper.fold([judged(0)])
    keeper.write()
    keeper.fold([judged(10), judged(20)])
    keeper.write()
    first, second = server.rows
    assert first == second
    server.fails = None
    keeper.write()
    assert [rows for _, _, rows in server.rows] == [1, 1, 1, 2]


def test_more_than_the_bound_is_dropped_from_the_longest_queue_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    keeper = keeper_of(server, Waiting(at_most=10))
    keeper.fold([progressed()])
    keeper.fold([judged(5.0 * number) for number in range(20)])
    assert len(keeper.waiting) == 10
    assert keeper.waiting.dropped == 11
    keeper.write()
    assert "11 rows of history were dropped" in caplog.text
    assert sorted((table, rows) for table, _, rows in server.rows) == [(BATCHES.name, 1), (LAG.name, 9)]


def test_a_block_that_clickhouse_refuses_does_not_stand_in_the_way_for_ever() -> None:
    server = Server()
    keeper = keeper_of(server)
    server.fails = DatabaseError("Code: 53. Type mismatch")
    keeper.fold([judged(0)])
    for _ in range(5):
        keeper.write()
    server.fails = None
    keeper.fold([judged(10)])
    assert keeper.write()
    assert keeper.waiting.dropped == 1


@pytest.mark.parametrize(
    "path",
    ["lag/history?consumer=c", "spark/batches?query=q", "spark/stages?part=lake", "scaling/history?target=lake"],
)
def test_history_that_cannot_be_read_is_no_empty_history(path: str) -> None:
    def away(sql: str, **parameters: int | str) -> list[tuple[object, ...]]:
        raise OSError("ClickHouse does not answer: Connection refused")

    def nothing_yet(sql: str, **parameters: int | str) -> list[tuple[object, ...]]:
        raise FileNotFoundError("ClickHouse has no such table yet")

    for query, status in ((away, 503), (nothing_yet, 200)):
        api = FastAPI()
        add_observations(api, Past(query))
        answer = TestClient(api).get(f"/api/v1/{path}")
        assert answer.status_code == status
        assert answer.json() == [] if status == 200 else "Connection refused" in answer.text
