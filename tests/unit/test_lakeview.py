"""History, rows and differences of tables that deltalake has written: no Spark, no platform."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contract.settings import Settings
from pipeline.lakeview.commits import parse
from pipeline.lakeview.diff import Limits, compare, sides
from pipeline.lakeview.log import Logs
from pipeline.lakeview.refused import LakeRefusedError
from pipeline.lakeview.rows import checked, plain, read
from pipeline.lakeview.serve import router
from pipeline.lakeview.tables import LakeView

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = ("tg_partition", "tg_offset")
DAY = date(2026, 3, 1)


def _events(offsets: list[int], value: float | None = 1.0, day: date = DAY) -> pa.Table:
    count = len(offsets)
    return pa.table(
        {"tg_partition": [0] * count, "tg_offset": offsets, "price": [value] * count, "event_date": [day] * count},
        pa.schema(
            [
                ("tg_partition", pa.int32()),
                ("tg_offset", pa.int64()),
                ("price", pa.float64()),
                ("event_date", pa.date32()),
            ]
        ),
    )


def _says(**said: Any) -> CommitProperties:
    return CommitProperties(custom_metadata={"userMetadata": json.dumps(said)})


@pytest.fixture
def view(tmp_path: Path) -> LakeView:
    """Shop's events: 0 and 1 append, 2 is a backfill's swap that changes three prices, 3 compacts."""
    table = str(tmp_path / "lake" / "shop" / "events")
    write_deltalake(
        table, _events([0, 1, 2]), partition_by=["event_date"], commit_properties=_says(offsets={"0": [0, 3]})
    )
    later = DAY + timedelta(days=1)
    write_deltalake(table, _events([3, 4], day=later), mode="append", commit_properties=_says(offsets={"0": [3, 5]}))
    write_deltalake(
        table,
        _events([0, 1, 2], value=2.0),
        mode="overwrite",
        predicate=f"event_date = '{DAY}'",
        commit_properties=_says(backfill={"operation": "b1", "days": [str(DAY)]}),
    )
    write_deltalake(table, _events([5], day=later), mode="append")
    DeltaTable(table).optimize.compact()
    return LakeView(Settings(data=tmp_path))


def _vacuum(view: LakeView) -> None:
    table = DeltaTable(view.settings.data / "lake" / "shop" / "events")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def test_history_says_what_each_commit_was_and_how_the_table_was_after_it(view: LakeView) -> None:
    found = view.history("shop", "events")
    shown = [(each["version"], each["act"], each["by"], each["rows"], each["files"]) for each in found["items"]]
    assert shown == [
        (4, "compact", None, 6, 2),
        (3, "append", None, 6, 3),
        (2, "swap", "b1", 5, 2),
        (1, "append", None, 5, 2),
        (0, "append", None, 3, 1),
    ]
    assert found["items"][-1]["offsets"] == {"0": [0, 3]}
    assert (found["readable"], found["next"]) == ("0 to 4", None)


def test_history_comes_in_pages(view: LakeView) -> None:
    first = view.history("shop", "events", limit=3)
    second = view.history("shop", "events", limit=3, before=first["next"])
    assert [each["version"] for each in (*first["items"], *second["items"])] == [4, 3, 2, 1, 0]
    assert second["next"] is None


def test_a_version_whose_files_were_vacuumed_is_told_apart_from_one_that_can_be_read(view: LakeView) -> None:
    _vacuum(view)
    found = view.history("shop", "events")
    readable = {each["version"]: each["is_readable"] for each in found["items"]}
    assert readable == {6: True, 5: True, 4: True, 3: False, 2: False, 1: False, 0: False}
    for version, can in readable.items():
        try:
            view.rows("shop", "events", version)
        except LakeRefusedError:
            assert not can, version
        else:
            assert can, version


def test_a_version_before_the_oldest_checkpoint_of_a_shortened_log_cannot_be_read(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for offset in range(4):
        write_deltalake(str(table), _events([offset]), mode="append")
    DeltaTable(str(table), version=2).create_checkpoint()
    (table / "_delta_log" / f"{0:020}.json").unlink()
    log = Logs().read(str(table))
    assert [(each.commit.version, each.reason is None) for each in log.versions] == [(3, True), (2, True), (1, False)]
    with pytest.raises(LakeRefusedError):
        read(str(table), 1, None, 1)


def test_a_commit_of_a_rollback_names_its_operation_and_a_cursor_what_it_follows() -> None:
    info = {
        "timestamp": 0,
        "operation": "RESTORE",
        "userMetadata": json.dumps({"rollback": {"operation": "r1", "to": 3}}),
    }
    rolled = parse(7, json.dumps({"commitInfo": info}))
    assert (rolled.act, rolled.by) == ("rollback", "r1")
    info = {"timestamp": 0, "operation": "MERGE", "userMetadata": json.dumps({"follows": {"events_version": 12}})}
    merged = parse(8, json.dumps({"commitInfo": info}))
    assert (merged.act, merged.by, merged.follows) == ("merge", None, 12)


def test_rows_are_read_as_of_a_version_a_time_and_a_condition(view: LakeView) -> None:
    assert {row["price"] for row in view.rows("shop", "events", 1)["items"]} == {1.0}
    assert {row["price"] for row in view.rows("shop", "events", 2, where="tg_offset < 3")["items"]} == {2.0}
    first = datetime.fromisoformat(view.history("shop", "events")["items"][-1]["at"])
    assert view.rows("shop", "events", at=first)["version"] >= 0
    cut = view.rows("shop", "events", limit=2)
    assert (len(cut["items"]), cut["is_cut"]) == (2, True)


@pytest.mark.parametrize(
    "where",
    [
        "tg_offset = 1",
        "price > 2 and event_date = '2026-03-01'",
        "lower('A') = 'a' or price is null",
        "tg_offset in (1, 2) -- x",
    ],
)
def test_a_plain_condition_is_let_through(view: LakeView, where: str) -> None:
    assert checked(where) == where
    view.rows("shop", "events", where=where)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("price >", "no SQL condition"),
        ("1 = 1; drop table events", "more than a condition"),
        ("1 = 1 union select 1", "more than a condition"),
        ("1 = 1 limit 3", "more than a condition"),
        ("1 = 1 order by price", "more than a condition"),
        ("price in (select 1)", "has a query in it"),
        ("exists (select 1)", "has a query in it"),
        ("no_such_column = 1", "no_such_column"),
        ("price = 'much'", "much"),
    ],
)
def test_a_bad_condition_is_refused_with_what_is_wrong(view: LakeView, where: str, said: str) -> None:
    with pytest.raises(LakeRefusedError, match=said):
        view.rows("shop", "events", where=where)


def test_a_swap_shows_as_changed_rows_with_the_column_and_examples(view: LakeView) -> None:
    found = view.difference("shop", "events", 1, 2)
    assert found["rows"] == {"added": 0, "removed": 0, "changed": 3, "same": 0}
    assert found["columns"] == [{"column": "price", "differs": 3, "largest": 1.0}]
    assert found["examples"]["changed"][0]["columns"] == {"price": [1.0, 2.0]}
    assert found["looked_at"] == {"partitions": 1, "of": 1, "each_nth_key": 1, "is_whole": True}


def test_what_compaction_did_changes_no_row(view: LakeView) -> None:
    found = view.difference("shop", "events", 3, 4)
    assert (found["is_same"], found["rows"]["changed"], found["rows"]["same"]) == (False, 0, 3)
    assert view.difference("shop", "events", 4, 4)["is_same"]


def test_what_was_only_appended_is_counted_without_being_read(view: LakeView) -> None:
    old, new = sides(str(view.settings.data / "lake" / "shop" / "events"), 0, 1)
    found = compare(old, new, KEY, Limits(read=1, held=1, examples=1))
    assert (found["rows"]["added"], len(found["examples"]["added"])) == (2, 1)
    assert found["looked_at"]["is_whole"]


def test_of_too_much_a_part_is_compared_and_said(tmp_path: Path) -> None:
    table = str(tmp_path / "t")
    days = [DAY + timedelta(days=each) for each in range(3)]
    for value in (1.0, 2.0):
        rows = pa.concat_tables(_events(list(range(400)), value=value, day=day) for day in days)
        rows = rows.set_column(1, "tg_offset", pa.array(range(1200), pa.int64()))
        rows = rows.sort_by([("tg_offset", "ascending" if value == 1.0 else "descending")])
        write_deltalake(table, rows, mode="overwrite", partition_by=["event_date"])
    old, new = sides(table, 0, 1)
    found = compare(old, new, KEY, Limits(read=1700, held=200))
    assert found["looked_at"] == {"partitions": 2, "of": 3, "each_nth_key": 4, "is_whole": False}
    assert found["rows"]["added"] == found["rows"]["removed"] == 0, "both sides choose the same keys"
    assert 100 < found["rows"]["changed"] < 300


def test_columns_that_come_and_go_are_named(tmp_path: Path) -> None:
    table = str(tmp_path / "t")
    write_deltalake(table, pa.table({"k": [1, 2], "gone": [1, 1], "wide": pa.array([1, 2], pa.int32())}))
    fresh = pa.table({"k": [1, 2], "new": ["x", "y"], "wide": pa.array([1, 3], pa.int64())})
    write_deltalake(table, fresh, mode="overwrite", schema_mode="overwrite")
    found = compare(*sides(table, 0, 1), ("k",))
    assert (found["columns_added"], found["columns_removed"]) == (["new"], ["gone"])
    assert found["types_changed"] == {"wide": ["int32", "int64"]}
    assert found["columns"] == [{"column": "wide", "differs": 1, "largest": 1.0}]


def test_windows_that_differ_are_counted(tmp_path: Path) -> None:
    table = str(tmp_path / "t")
    hours = [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in range(4)]
    for changed in (0, 7):
        rows = {"window_start": hours, "origin": ["JFK", None, "LGA", "JFK"], "departures": [1, 2, 3, 4 + changed]}
        write_deltalake(table, pa.table(rows), mode="overwrite")
    found = compare(*sides(table, 0, 1), ("window_start", "origin"))
    assert found["windows"] == {"differ": 1, "first": hours[3].isoformat(), "last": hours[3].isoformat()}
    assert found["columns"] == [{"column": "departures", "differs": 1, "largest": 7.0}]
    assert found["rows"]["same"] == 3, "a dimension without a value is a value"


ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b"]),
        st.integers(0, 3),
        st.sampled_from([None, 1.0, 2.0, math.nan]),
        st.sampled_from(["p", "q"]),
    ),
    max_size=8,
)
_SCHEMA = pa.schema([("name", pa.string()), ("n", pa.int64()), ("v", pa.float64()), ("p", pa.string())])


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[]] * 4
    return pa.table([pa.array(list(each), kind.type) for each, kind in zip(columns, _SCHEMA, strict=True)], _SCHEMA)


def _by_key(rows: list[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The n-th of a key with its number, and nothing that is no number."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for name, n, value, other in rows:
        seen[name, n] += 1
        yield (name, n, seen[name, n]), ("nan" if isinstance(value, float) and math.isnan(value) else value, other)


@given(before=ROWS, after=ROWS)
@settings(max_examples=40, deadline=None)
def test_counts_are_those_of_a_plain_comparison(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> None:
    folder = mkdtemp()
    try:
        write_deltalake(folder, _table(before))
        write_deltalake(folder, _table(after), mode="overwrite")
        found = compare(*sides(folder, 0, 1), ("name", "n"))["rows"]
    finally:
        shutil.rmtree(folder)
    old, new = dict(_by_key(before)), dict(_by_key(after))
    both = old.keys() & new.keys()
    changed = sum(old[each] != new[each] for each in both)
    assert found == {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "changed": changed,
        "same": len(both) - changed,
    }


def test_values_are_written_as_json_can_say_them() -> None:
    assert plain({"a": [math.inf, b"\x00\x01", datetime(2026, 3, 1, tzinfo=UTC), None]}) == {
        "a": ["inf", "AAE=", "2026-03-01T00:00:00+00:00", None]
    }


@pytest.fixture
def client(view: LakeView) -> TestClient:
    api = FastAPI()
    api.include_router(router(view.settings))
    return TestClient(api)


def test_the_api_answers_tables_history_rows_and_differences(client: TestClient) -> None:
    [events] = client.get("/api/v1/tables/shop").json()
    assert (events["table"], events["version"], events["is_readable"]) == ("events", 4, True)
    assert client.get("/api/v1/tables/shop/events/history", params={"limit": 2}).json()["next"] == 3
    rows = client.get("/api/v1/tables/shop/events/rows", params={"version": 0, "where": "tg_offset = 1"}).json()
    assert rows["items"] == [{"tg_partition": 0, "tg_offset": 1, "price": 1.0, "event_date": "2026-03-01"}]
    assert {"name": "price", "type": "double"} in rows["columns"]
    assert (
        client.get("/api/v1/tables/shop/events/diff", params={"before": 1, "after": 2}).json()["rows"]["changed"] == 3
    )


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("nobody", 404, "there is no stream 'nobody'; there are: "),
        ("shop/nothing/history", 404, "shop has no table 'nothing'; it has: events, entity_visitor"),
        ("shop/entity_visitor/history", 404, "is not in the lake yet; what is: events"),
        ("shop/events/rows?version=9", 422, "has no version 9; the newest is 6"),
        (
            "shop/events/rows?version=1",
            410,
            "version 1 can't be read: 2 of its files are gone: vacuumed; what can be read: 4 to 6",
        ),
        ("shop/events/diff?before=0&after=4", 410, "what can be read: 4 to 6"),
        ("shop/events/rows?at=2020-01-01", 422, "its log begins at"),
        ("shop/events/rows?at=yesterday", 422, "'yesterday' is no time"),
        ("shop/events/rows?at=2020-01-01&version=1", 422, "not both"),
        ("shop/events/rows?where=price%20%3E", 422, "no SQL condition"),
    ],
)
def test_the_api_refuses_by_name(view: LakeView, client: TestClient, path: str, status: int, said: str) -> None:
    _vacuum(view)
    answer = client.get(f"/api/v1/tables/{path}")
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


def test_a_table_that_is_written_anew_has_nothing_of_what_was_read_before(view: LakeView) -> None:
    logs = replace(view).logs
    folder = Path(view.settings.data) / "lake" / "shop" / "events"
    assert logs.read(str(folder)).newest == 4
    shutil.rmtree(folder)
    write_deltalake(str(folder), _events([9]))
    assert [each.rows for each in logs.read(str(folder)).versions] == [1]
