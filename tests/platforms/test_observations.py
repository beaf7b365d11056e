"""History in the embedded ClickHouse: what was observed is read back, once, also over a server that dies."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import httpx
import pytest

from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict
from controlplane.contract.scaling import ScalingDecided
from controlplane.contract.spark import QueryPhases, QueryProgressed, SparkObserved, StageSeen
from controlplane.service.clickhouse import query_of
from controlplane.service.observations.asked import POINTS_AT_MOST, Past
from controlplane.service.observations.keeper import Keeper
from controlplane.service.observations.tables import STAGES, TABLES
from controlplane.up import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("platform"), only=("clickhouse",), told=lambda _: None) as one:
        one.start()
        yield one


def judged(ago_s: float, consumer: str, verdict: LagVerdict = LagVerdict.OK, lag_s: float | None = 1.0) -> LagJudged:
    said: dict[str, Any] = {"consumer_kind": ConsumerKind.QUERY, "topic": "t", "lag_events": 3, "verdict": verdict}
    return LagJudged(at=NOW - timedelta(seconds=ago_s), consumer=consumer, lag_s=lag_s, **said)


def stage(number: int) -> StageSeen:
    counts = dict.fromkeys([name for name, kind in STAGES.columns.items() if kind in ("UInt32", "Int64", "Float64")], 5)
    said: dict[str, Any] = {**counts, "stage": number, "attempt": 0, "query": "lake shop", "name": "save"}
    said |= {"state": "complete", "submitted_at": NOW - HOUR / 2, "completed_at": NOW, "task_s": (1.0, 2.0, 9.0)}
    return StageSeen.model_validate(said)


def test_what_was_observed_is_read_back_as_it_was_and_a_fact_that_came_twice_once(platform: Platform) -> None:
    address = platform.settings.clickhouse
    keeper, past = Keeper(address), Past(query_of(address))
    assert past.batches("lake shop", NOW - HOUR) == []
    said: dict[str, Any] = {"query": "lake shop", "stream": "shop", "mode": "microbatch", "run_id": "r", "rows": 10}
    batches = [
        QueryProgressed(at=NOW - timedelta(seconds=10), batch_id=1, took_s=2.0, phases=QueryPhases(work_s=1.5), **said),
        QueryProgressed(at=NOW, batch_id=2, **said),
    ]
    seen = SparkObserved(at=NOW, part="lake", app_id="app", stages=(stage(1), stage(2)))
    decided = ScalingDecided(at=NOW, target="lake", have=2, want=4, rule=3, reason="lag", is_acted_on=True)
    for _ in range(2):
        keeper.fold([*batches, seen, decided])
        assert keeper.write()
        keeper = Keeper(address)
    found = past.batches("lake shop", NOW - HOUR)
    assert [(each.batch_id, each.rows, each.took_s) for each in found] == [(1, 10, 2.0), (2, 10, None)]
    assert found[0].phases == QueryPhases(work_s=1.5)
    assert found[1].phases is None
    assert found[0].at == NOW - timedelta(seconds=10)
    assert past.stages("lake", "", NOW - HOUR) == [stage(2), stage(1)]
    assert past.stages("lake", "lake flights", NOW - HOUR) == []
    (point,) = past.scaling("lake", NOW - HOUR)
    assert (point.at, point.kind, point.have, point.want, point.reason) == (NOW, "decided", 2, 4, "lag")


def test_a_bucket_of_lag_shows_its_worst_point(platform: Platform) -> None:
    address = platform.settings.clickhouse
    keeper, past = Keeper(address), Past(query_of(address))
    days = 10 * 24 * HOUR
    keeper.fold([judged(86_400.0 * 9 - 20.0 * number, "worst") for number in range(3_000)])
    keeper.fold([judged(86_400.0 * 4 + 2, "worst", LagVerdict.STALL, None), judged(86_400.0 * 4, "worst", lag_s=50.0)])
    assert keeper.write()
    points = past.lag("worst", "t", NOW - days, NOW)
    assert 40 < len(points) <= POINTS_AT_MOST
    assert points == sorted(points, key=lambda point: point.at)
    assert [point.lag_s for point in points if point.verdict is LagVerdict.STALL] == [None]
    assert 50.0 not in [point.lag_s for point in points]
    assert past.lag("worst", "another topic", NOW - days, NOW) == []


def test_the_tables_are_bi_s_to_read_and_not_to_change(platform: Platform) -> None:
    keeper = Keeper(platform.settings.clickhouse)
    keeper.fold([judged(0, "bi")])
    assert keeper.write()
    client = clickhouse_connect.get_client(
        dsn=platform.settings.clickhouse, username="bi", autogenerate_session_id=False
    )
    for table in TABLES:
        client.query(f"SELECT count() FROM {table.name}")  # noqa: S608 (a name of ours)
    assert client.query("SELECT lag_events FROM tidegate_lag WHERE consumer = 'bi'").result_rows == [(3,)]
    with pytest.raises(clickhouse_connect.driver.exceptions.ClickHouseError, match="readonly"):
        client.command("TRUNCATE TABLE tidegate_lag")


def test_a_server_that_is_killed_costs_no_row(platform: Platform, eventually: Callable[..., Any]) -> None:
    address = platform.settings.clickhouse
    keeper, past = Keeper(address), Past(query_of(address))
    keeper.fold([judged(60, "killed")])
    assert keeper.write()
    pid = platform.pid("clickhouse")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not answers(address), "the server is gone")
    keeper.fold([judged(40, "killed")])
    assert not keeper.write()
    assert "ClickHouse does not take them" in (keeper.reason or "")
    with pytest.raises(OSError, match="does not answer"):
        past.lag("killed", "t", NOW - HOUR, NOW)
    keeper.fold([judged(20, "killed")])

    def is_back() -> bool:
        platform.beat()
        return answers(address)

    eventually(is_back, "the server is back")
    assert keeper.write()
    assert keeper.waiting.dropped == 0
    assert [(NOW - each.at).total_seconds() for each in past.lag("killed", "t", NOW - HOUR, NOW)] == [60, 40, 20]


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ping", timeout=1).is_success
    except httpx.HTTPError:
        return False
