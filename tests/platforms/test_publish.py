"""Does a reader ever see a window twice, or not at all, while closed windows take the place of live ones?

The embedded ClickHouse as a process, the lake's table written as the batch layer leaves it, and a reader that never pauses.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import clickhouse_connect
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from controlplane.contract.folders import load_stream
from controlplane.contract.gates import GateDecided, Outcome, Policy, Stage
from controlplane.contract.names import events_table, lake_rollup, lake_table, rollup_view
from controlplane.up import Platform
from pipeline.lake.gate import FakeOrders
from pipeline.publish import agree
from pipeline.publish.gate import PublishGates, WindowsGate
from pipeline.publish.publish import Publisher
from pipeline.serving import apply
from pipeline.suites import FollowedSuites
from pipeline.tables.cursor import Cursor
from quality.gate import ExpectationsGate
from quality.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.streams import StreamDefinition

BEGAN = pd.Timestamp(datetime(2026, 1, 31, 21, tzinfo=UTC))
"""Before the end of a day and of a month."""
HOURS = 6
YAML = """
title: Clicks
key: [who]
event_time: {field: at}
rollups:
  minutes:
    title: By minute
    window: {tumbling: 1m}
    dimensions: [who]
    measures: {clicks: {count: true}}
  sliding:
    title: Sliding
    window: {sliding: 10m, every: 5m}
    measures: {clicks: {count: true}}
"""
SCHEMA = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "who", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Platform(tmp_path_factory.mktemp("platform"), only=("clickhouse",), told=lambda _: None) as platform:
        platform.start()
        yield platform.settings.clickhouse


def client_of(address: str) -> Client:
    return clickhouse_connect.get_client(dsn=address, autogenerate_session_id=False)


@pytest.fixture
def clicks(tmp_path: Path, request: pytest.FixtureRequest) -> StreamDefinition:
    folder = tmp_path / f"clicks_{request.node.name.partition('[')[0][-12:].strip('_')}"
    folder.mkdir()
    (folder / "stream.yaml").write_text(YAML)
    (folder / "schema.avsc").write_text(json.dumps(SCHEMA))
    (folder / "suite.json").write_text("{}")
    return load_stream(folder)


def events_of(every_s: int) -> pd.DataFrame:
    at = pd.date_range(BEGAN, BEGAN + timedelta(hours=HOURS), freq=f"{every_s}s", inclusive="left")
    frame = pd.DataFrame({"who": [("ann", "bob")[number % 2] for number in range(len(at))], "at": at})
    return frame.assign(tg_partition=0, tg_offset=range(len(frame)), tg_raw_at=at)


class LakeTable:
    """A rollup's table in the lake."""

    def __init__(self, root: str, stream: StreamDefinition, rollup: str) -> None:
        self.path = lake_table(root, stream.name, lake_rollup(rollup))
        self.written = pd.DataFrame()

    def write(
        self, rows: pd.DataFrame, horizon: pd.Timestamp, overlap: timedelta = timedelta(), **options: Any
    ) -> None:
        end = int(horizon.timestamp())
        periods = tuple(sorted(set(rows.period)))
        cursor = Cursor("x", 0, {}, end, end - int(overlap.total_seconds()), periods)
        said = CommitProperties(custom_metadata={"userMetadata": cursor.written()})
        table = pa.Table.from_pandas(rows, preserve_index=False)
        options = {"mode": "append", **options}
        write_deltalake(self.path, table, partition_by=["period"], commit_properties=said, **options)


def closed(events: pd.DataFrame, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    start = events["at"].dt.floor("1min")
    mine = events.assign(window_start=start, window_end=start + timedelta(minutes=1))
    mine = mine[(mine.window_end > since) & (mine.window_end <= until)]
    rows = mine.groupby(["window_start", "window_end", "who"], as_index=False).agg(clicks=("who", "size"))
    return rows.assign(late=0, period=rows.window_start.dt.strftime("%Y%m%d"))


class Reader:
    """Asks the view again and again, from a thread of its own."""

    def __init__(self, address: str, sql: str) -> None:
        self.answers: list[tuple[Any, ...]] = []
        self.failed: list[BaseException] = []
        self._client, self._sql = client_of(address), sql
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self._done.is_set():
            try:
                self.answers.append(tuple(self._client.query(self._sql).result_rows[0]))
            except Exception as error:  # noqa: BLE001 (told by the test)
                self.failed.append(error)
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(30)


def test_a_reader_sees_every_window_once_while_the_horizon_moves(
    address: str, clicks: StreamDefinition, tmp_path: Path
) -> None:
    client, events = client_of(address), events_of(2)
    apply.create(client, clicks)
    client.insert_df(events_table(clicks.name), events)
    publisher = Publisher(client, clicks, "minutes", str(tmp_path))
    lake, view = LakeTable(str(tmp_path), clicks, "minutes"), rollup_view(clicks.name, "minutes")
    sql = f"SELECT sum(clicks), count(), uniqExact(window_start, who) FROM {view}"  # noqa: S608
    windows = HOURS * 60 * 2
    moves = pd.date_range(BEGAN, BEGAN + timedelta(hours=HOURS), freq="9min")
    with Reader(address, sql) as reader:
        for since, until in pairwise(moves):
            lake.write(closed(events, since, until), until)
            assert publisher.publish() is not None
    assert reader.failed == []
    assert len(reader.answers) > len(moves), "the reader has asked throughout"
    assert set(reader.answers) == {(len(events), windows, windows)}
    layers = dict(client.query(f"SELECT layer, count() FROM {view} GROUP BY layer").result_rows)  # noqa: S608
    left = windows - 2 * int((moves[-1] - BEGAN) / timedelta(minutes=1))
    assert layers == {"batch": windows - left, **({"live": left} if left else {})}


def test_a_correction_appears_whole(address: str, clicks: StreamDefinition, tmp_path: Path) -> None:
    client, events = client_of(address), events_of(20)
    apply.create(client, clicks)
    client.insert_df(events_table(clicks.name), events)
    publisher, until = Publisher(client, clicks, "minutes", str(tmp_path)), BEGAN + timedelta(hours=4)
    lake, view = LakeTable(str(tmp_path), clicks, "minutes"), rollup_view(clicks.name, "minutes")
    lake.write(closed(events, BEGAN, until), until)
    publisher.publish()
    late = events[events["at"] < BEGAN + timedelta(hours=3.5)]
    client.insert_df(events_table(clicks.name), late.assign(tg_offset=late.tg_offset + 10**6))
    both = pd.concat([events, late])
    with Reader(address, f"SELECT sum(clicks), count(), uniqExact(window_start, who) FROM {view}") as reader:  # noqa: S608
        lake.write(closed(both, BEGAN, until), until, mode="overwrite")
        publisher.publish()
        publisher.publish()
    assert reader.failed == []
    windows = HOURS * 60 * 2
    assert {answer[0] for answer in reader.answers} <= {len(events), len(both)}
    assert {answer[1:] for answer in reader.answers} == {(windows, windows)}
    assert int(client.query(f"SELECT sum(clicks) FROM {view}").result_rows[0][0]) == len(both)  # noqa: S608


def test_sliding_windows_meet_at_the_horizon(address: str, clicks: StreamDefinition, tmp_path: Path) -> None:
    client, events = client_of(address), events_of(20)
    apply.create(client, clicks)
    client.insert_df(events_table(clicks.name), events)
    view = rollup_view(clicks.name, "sliding")
    sql = f"SELECT window_start, window_end, clicks FROM {view} ORDER BY 1"  # noqa: S608
    live_only = client.query(sql).result_rows
    until = BEGAN + timedelta(hours=4)
    pane = events["at"].dt.floor("5min")
    both = pd.concat([events.assign(window_start=pane - timedelta(minutes=back)) for back in (0, 5)])
    both = both.assign(window_end=both.window_start + timedelta(minutes=10))
    rows = (
        both[both.window_end <= until]
        .groupby(["window_start", "window_end"], as_index=False)
        .agg(clicks=("who", "size"))
    )
    lake = LakeTable(str(tmp_path), clicks, "sliding")
    lake.write(rows.assign(late=0, period=rows.window_start.dt.strftime("%Y%m%d")), until, timedelta(minutes=5))
    Publisher(client, clicks, "sliding", str(tmp_path)).publish()
    assert client.query(sql).result_rows == live_only
    assert {row[0] for row in client.query(f"SELECT DISTINCT layer FROM {view}").result_rows} == {"batch", "live"}  # noqa: S608


def test_a_rollup_whose_tables_were_dropped_begins_with_live(
    address: str, clicks: StreamDefinition, tmp_path: Path
) -> None:
    client, events = client_of(address), events_of(20)
    apply.create(client, clicks)
    lake, until = LakeTable(str(tmp_path), clicks, "minutes"), BEGAN + timedelta(hours=4)
    lake.write(closed(events, BEGAN, until), until)
    Publisher(client, clicks, "minutes", str(tmp_path)).publish()
    name = f"{clicks.name}_minutes"
    for table in (name, f"{name}_live_mv", f"{name}_live", f"{name}_batch_0", f"{name}_batch_1", f"{name}_staging"):
        client.command(f"DROP TABLE {table}")
    apply.create(client, clicks)
    client.insert_df(events_table(clicks.name), events)
    total = f"SELECT sum(clicks) FROM {rollup_view(clicks.name, 'minutes')}"  # noqa: S608
    assert int(client.query(total).result_rows[0][0]) == len(events)
    assert Publisher(client, clicks, "minutes", str(tmp_path)).publish() is not None
    assert int(client.query(total).result_rows[0][0]) == len(events)


class Reports:
    """What publishing says of its gates."""

    def __init__(self) -> None:
        self.facts: list[GateDecided] = []

    def report(self, *facts: Any) -> None:
        self.facts.extend(facts)

    def outcomes(self) -> list[tuple[Stage, Outcome]]:
        said = [(each.stage, each.outcome) for each in self.facts]
        self.facts.clear()
        return said


def gates_of(stream: StreamDefinition, results: Results, reports: Reports) -> PublishGates:
    stages = (Stage.ROLLUP, Stage.SERVING)
    parts: Any = (ExpectationsGate(results), FollowedSuites(stream, stages), FakeOrders(), reports)
    return PublishGates(*(WindowsGate(stream.name, "minutes", stage, Policy.HALT, *parts) for stage in stages))


def test_windows_that_break_a_rule_are_held_back_and_what_is_published_agrees_with_the_lake(
    address: str, clicks: StreamDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = {"column": "clicks", "min_value": 1, "max_value": 10}
    suite = {"expectations": [{"type": "expect_column_values_to_be_between", "kwargs": between}]}
    stream = clicks.model_copy(update={"suites": {Stage.ROLLUP: suite, Stage.SERVING: suite}})
    client, events = client_of(address), events_of(20)
    apply.create(client, stream)
    client.insert_df(events_table(stream.name), events)
    results, reports = Results(tmp_path / "results"), Reports()
    publisher = Publisher(client, stream, "minutes", str(tmp_path), gates_of(stream, results, reports))
    lake, view = LakeTable(str(tmp_path), stream, "minutes"), rollup_view(stream.name, "minutes")
    first, second, third = (BEGAN + timedelta(hours=each) for each in (1, 2, 3))
    lake.write(closed(events, BEGAN, first), first)
    assert publisher.publish() is not None
    assert reports.outcomes() == [(Stage.ROLLUP, Outcome.PASSED), (Stage.SERVING, Outcome.PASSED)]
    rows = closed(events, first, second)
    lake.write(rows.assign(clicks=rows.clicks * 10), second)
    assert [publisher.publish(), publisher.publish()] == [None, None]
    assert reports.outcomes() == [(Stage.ROLLUP, Outcome.HALTED)]
    ends = f"SELECT max(window_end) FROM {view} WHERE layer = 'batch'"  # noqa: S608
    assert pd.Timestamp(client.query(ends).result_rows[0][0], tz="UTC") == first
    mended = pd.concat([closed(events, BEGAN, first), rows, closed(events, second, third)])
    lake.write(mended, third, mode="overwrite")
    monkeypatch.setattr(agree, "in_clickhouse", lambda *_: agree.Totals(0, {"clicks": 0.0, "late": 0.0}))
    assert publisher.publish() is not None
    [_, fact] = reports.facts
    assert (fact.stage, fact.outcome, fact.rules[-1].rule) == (Stage.SERVING, Outcome.HALTED, agree.RULE)
    assert "has 0 rows for the lake's" in (fact.rules[-1].observed or "")
    lake.write(closed(events, third, third + timedelta(hours=1)), third + timedelta(hours=1))
    assert publisher.publish() is None, "nothing more is published until an operator resumes"
    results.close()
