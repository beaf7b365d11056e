"""What a backfill plans, how it cuts its work, what it finds different, and what it tells Delta of a file. No Spark, no network."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.backfills import BackfillAsked
from controlplane.contract.names import EVENT_DATE
from pipeline.backfill.build import pieces_of
from pipeline.backfill.days import MOST_DAYS, neighbours
from pipeline.backfill.differences import Differences, differences
from pipeline.backfill.look import DataFile, EventsAt, definition_of, events_at
from pipeline.backfill.plan import history_units, plan_of
from pipeline.backfill.publish import published
from pipeline.backfill.spans import chunks, day_of, reach_into, spans_of, starts_of
from pipeline.backfill.storage import Shadow, stats_of
from pipeline.backfill.swap import Swap, swap, swapped_at
from pipeline.lake.held import held_in
from pipeline.lake.lineage import said_in, with_backfill
from pipeline.lake.offsets import user_metadata
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

DAY_S = 86_400


def files(*rows: int, day: str = "2013-01-01") -> list[DataFile]:
    return [DataFile(f"{EVENT_DATE}={day}/{at}.parquet", day, count, count * 10) for at, count in enumerate(rows)]


def events(*days: str) -> EventsAt:
    return EventsAt("/lake/shop/events", "id", 7, [each for day in days for each in files(100, 50, day=day)], {})


@given(st.lists(st.integers(0, 40), max_size=80))
def test_days_are_built_with_their_neighbours_each_once_in_order_and_no_more_than_one_job_bears(
    rows: list[int],
) -> None:
    counts = {str(at): each for at, each in enumerate(rows)}
    found = list(neighbours(counts, counts, most=100))
    assert [day for group in found for day in group] == list(counts)
    assert all(sum(counts[day] for day in group) <= 100 and len(group) <= MOST_DAYS for group in found)
    for group, after in pairwise(found):
        assert len(group) == MOST_DAYS or sum(counts[day] for day in (*group, after[0])) > 100


@given(st.lists(st.integers(0, 40), max_size=20))
def test_pieces_hold_every_row_once_and_none_is_larger_than_it_may_be(rows: list[int]) -> None:
    found = list(pieces_of(files(*rows), most=10))
    counted: dict[str, int] = {}
    for piece in found:
        for file in piece.files:
            counted[file.path] = counted.get(file.path, 0) + 1
        assert piece.rows <= 10
        assert piece.of == 1 or len(piece.files) == 1
        assert 0 <= piece.share < piece.of
    assert counted == {each.path: max(1, -(-each.rows // 10)) for each in files(*rows)}


def test_neighbouring_days_are_one_span_and_cut_at_midnights_by_their_rows() -> None:
    days = ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-05"]
    first = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp())
    spans = spans_of(reversed(days))
    assert spans == [(first, first + 3 * DAY_S), (first + 4 * DAY_S, first + 5 * DAY_S)]
    cut = list(chunks(spans, dict.fromkeys(days, 10), 20))
    assert cut == [(first, first + 2 * DAY_S), (first + 2 * DAY_S, first + 3 * DAY_S), spans[1]]
    assert day_of(first) == "2013-01-01"


@given(st.sets(st.integers(10, 40), max_size=12), st.integers(1, 4 * DAY_S), st.integers(1, 40))
def test_a_window_that_reaches_into_the_days_begins_in_one_stretch(days: set[int], length: int, most: int) -> None:
    spans = spans_of([day_of(day * DAY_S) for day in days])
    found = starts_of(spans, {day_of(day * DAY_S): 10 for day in days}, length, most)
    for start in {
        edge + off for since, until in spans for edge in (since - length, since, until) for off in (-1, 0, 1)
    }:
        reaches = any(start + length > since and start < until for since, until in spans)
        inside = sum(since <= start < until for since, until in found)
        assert inside == 1 if reaches else inside <= 1


@given(st.integers(20, 60), st.integers(1, 20), st.integers(1, 20), st.lists(st.integers(0, 90), max_size=3))
def test_a_stretch_reaches_where_any_of_its_windows_does(
    start: int, seconds: int, length: int, fresh: list[int]
) -> None:
    spans = [(each, each + 5) for each in fresh]
    windows = [range(first, first + length) for first in range(start, start + seconds)]
    seen = {second for since, until in spans for second in range(since, until)}
    assert reach_into((start, start + seconds), length, spans) == any(seen.intersection(each) for each in windows)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        pytest.param(None, None, ["2013-01-03", "2013-01-02", "2013-01-01"], id="all-days-newest-first"),
        pytest.param("2013-01-02", None, ["2013-01-03", "2013-01-02"], id="from-a-day-on"),
        pytest.param("2012-01-01", "2013-01-01", ["2013-01-01"], id="only-days-that-are-there"),
    ],
)
def test_a_plan_has_a_stage_a_day(
    shop: StreamDefinition, since: str | None, until: str | None, days: list[str]
) -> None:
    asked = BackfillAsked(stream="shop", since=_day(since), until=_day(until))
    there = events("2013-01-01", "2013-01-02", "2013-01-03")
    plan = plan_of(asked, shop, there, history_units(asked, there), {})
    assert [each.partition for each in plan.stages if each.does == "build"] == days
    assert (plan.rows, plan.bytes, plan.partitions) == (150 * len(days), 1500 * len(days), len(days))
    assert plan.touches[0].partitions == tuple(sorted(days))
    assert {each.table for each in plan.touches} == {
        "events",
        "rollup_traffic",
        "rollup_sales",
        "rollup_interest",
        "entity_visitor",
    }
    assert [each.key for each in plan.stages][-3:] == ["swap", "publish", "clean"]
    assert plan.basis["definition"] == definition_of(shop)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def test_days_that_the_lake_does_not_have_are_refused_with_those_that_it_has() -> None:
    asked = BackfillAsked(stream="shop", since=date(2020, 1, 1))
    with pytest.raises(
        RefusedError, match="no events from 2020-01-01 to the last; it has 2 days from 2013-01-01 to 2013-01-02"
    ):
        history_units(asked, events("2013-01-01", "2013-01-02"))


def test_oldest_first_is_the_other_way_round() -> None:
    units = history_units(BackfillAsked(stream="shop", order="oldest"), events("2013-01-01", "2013-01-02"))
    assert [each.partition for each in units] == ["2013-01-01", "2013-01-02"]


def test_another_definition_has_another_fingerprint(shop: StreamDefinition) -> None:
    fields = [*shop.avro_schema["fields"], {"name": "note", "type": ["null", "string"], "default": None}]
    later = shop.model_copy(update={"avro_schema": {**shop.avro_schema, "fields": fields}})
    assert definition_of(later) != definition_of(shop) == definition_of(shop.model_copy())


def test_a_lake_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no table of events yet"):
        events_at(str(tmp_path / "events"))


# Differences


def table(**columns: Any) -> pa.Table:
    rows = len(next(iter(columns.values())))
    keys = {"tg_partition": pa.array([0] * rows, pa.int64()), "tg_offset": pa.array(range(rows), pa.int64())}
    return pa.table({**keys, **columns})


def compared(old: pa.Table, new: pa.Table) -> Differences:
    names = dict.fromkeys([*old.column_names, *new.column_names])
    kept = [each for each in names if each not in ("tg_partition", "tg_offset")]
    return differences(partial(column_of, old), partial(column_of, new), kept)


def column_of(one: pa.Table, name: str) -> pa.ChunkedArray | None:
    return one[name] if name in one.column_names else None


def test_equal_tables_differ_in_nothing_whatever_their_order() -> None:
    one = table(a=[1.0, float("nan"), None], b=["x", None, "z"])
    found = compared(one, one.take([2, 0, 1]))
    assert found.is_none
    assert (found.before, found.after, found.columns) == (3, 3, {})


def test_null_and_a_value_differ_and_so_do_two_values() -> None:
    found = compared(table(a=[1, None, 3, None], b=["x"] * 4), table(a=[1, 2, None, None], b=["x", "y", "x", "x"]))
    assert (found.changed, found.columns) == (2, {"a": 2, "b": 1})
    assert {"key": "0:1", "column": "a", "before": None, "after": 2} in found.examples


def test_rows_that_are_in_one_only_are_counted_and_the_others_compared() -> None:
    old, new = table(a=[0, 1, 2, 3]), table(a=[0, 9, 2, 3]).slice(1)
    found = compared(old, new)
    assert (found.gone, found.added, found.changed) == (1, 0, 1)
    back = compared(new, old)
    assert (back.gone, back.added, back.changed) == (0, 1, 1)


def test_a_column_that_one_side_lacks_is_null_there() -> None:
    found = compared(table(a=[1, 2]), table(a=[1, 2], b=[None, "new"]))
    assert (found.changed, found.columns) == (1, {"b": 1})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30), st.integers(0, 5))
def test_differences_are_those_of_a_loop(values: list[tuple[int, int]], without: int) -> None:
    old = table(a=pa.array([one for one, _ in values], pa.int64()))
    new = table(a=pa.array([other for _, other in values], pa.int64())).slice(without)
    found = compared(old, new)
    assert found.gone == min(without, len(values))
    assert found.changed == sum(one != other for one, other in values[without:])


def test_parts_add_up_and_keep_few_examples() -> None:
    total = Differences()
    for _ in range(4):
        total.add(compared(table(a=[1, 2, 3]), table(a=[0, 0, 0])))
    assert (total.before, total.changed, total.columns, len(total.examples)) == (12, 12, {"a": 12}, 5)


# What Delta is told


def moment(hour: int) -> datetime:
    return datetime(2013, 1, 1, hour, 0, 0, 123456, tzinfo=UTC)


def write(path: Path, offsets: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    at = pa.array([moment(each % 24) for each in offsets], pa.timestamp("us", "UTC"))
    columns = {"tg_partition": pa.array([0] * len(offsets), pa.int64()), "tg_offset": offsets, "event_time": at}
    pq.write_table(pa.table(columns), path)


def test_statistics_are_those_of_the_footer_to_the_microsecond(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [3, 1, 2])
    said = json.loads(stats_of(pq.read_metadata(tmp_path / "x.parquet"), ("tg_offset", "event_time", "absent")))
    assert said["numRecords"] == 3
    assert said["minValues"] == {"tg_offset": 1, "event_time": "2013-01-01T01:00:00.123456Z"}
    assert said["maxValues"] == {"tg_offset": 3, "event_time": "2013-01-01T03:00:00.123456Z"}
    assert said["nullCount"] == {"tg_offset": 0, "event_time": 0}


class Lake:
    """An events table with one day of rows, and a shadow that has others for it."""

    def __init__(self, root: Path) -> None:
        self.folder, self.shadow = f"{root}/events", Shadow(str(root), "op1")
        self.append([0, 1])
        write(root / "shadow_op1" / "2013-01-01" / "rows" / "0" / f"{EVENT_DATE}=2013-01-01" / "part-1.parquet", [0])

    def append(self, offsets: list[int], says: str = "") -> None:
        rows = pa.table(
            {
                "tg_partition": pa.array([0] * len(offsets), pa.int64()),
                "tg_offset": offsets,
                "event_time": pa.array([moment(1)] * len(offsets), pa.timestamp("us", "UTC")),
                EVENT_DATE: pa.array([date(2013, 1, 1)] * len(offsets), pa.date32()),
            }
        )
        named = CommitProperties(custom_metadata={"userMetadata": says})
        write_deltalake(self.folder, rows, mode="append", partition_by=[EVENT_DATE], commit_properties=named)

    def swap(self, shop: StreamDefinition, meanwhile: list[int] | None = None) -> int:
        looks = []

        def wanted(now: EventsAt) -> Swap:
            looks.append(now.version)
            if meanwhile and len(looks) == 1:
                self.append(meanwhile)
            return Swap(
                self.shadow.files("2013-01-01/rows"), now.files, with_backfill(None, "op1", days=["2013-01-01"])
            )

        return swap(self.folder, self.shadow, shop, "op1", wanted)

    def offsets(self) -> list[int]:
        return sorted(DeltaTable(self.folder).to_pyarrow_table()["tg_offset"].to_pylist())


def test_a_swap_is_one_commit_that_says_what_it_is_and_is_made_once(tmp_path: Path, shop: StreamDefinition) -> None:
    lake = Lake(tmp_path)
    assert swapped_at(lake.folder, "op1") is None
    assert lake.swap(shop) == 1
    assert lake.offsets() == [0]
    lake.append([7])
    assert lake.swap(shop) == 1, "again after a crash"
    assert lake.offsets() == [0, 7]
    commit = DeltaTable(lake.folder).history()[1]
    assert said_in(commit["userMetadata"]).backfill == "op1"


def test_a_swap_that_somebody_was_faster_than_looks_again(tmp_path: Path, shop: StreamDefinition) -> None:
    lake = Lake(tmp_path)
    assert lake.swap(shop, meanwhile=[5, 6]) == 2
    assert lake.offsets() == [0], "what came in between was looked at, and replaced with the day"


def test_where_the_lake_goes_on_is_what_its_own_commits_say(tmp_path: Path, shop: StreamDefinition) -> None:
    lake = Lake(tmp_path)
    lake.append([2], user_metadata("shop", "shop.valid", {0: (0, 3)}))
    lake.swap(shop)
    assert held_in(lake.folder) == (True, {0: 3})


def test_a_shadow_that_is_deleted_leaves_the_table_whole(tmp_path: Path, shop: StreamDefinition) -> None:
    lake = Lake(tmp_path)
    lake.swap(shop)
    lake.shadow.delete()
    lake.shadow.delete()
    assert lake.offsets() == [0]
    assert lake.shadow.files("2013-01-01") == []


def test_readers_are_behind_until_they_have_the_version_that_was_written() -> None:
    assert published(lambda: {"a": 3, "b": 5}, {"a": 4, "b": 5, "c": 1}) == {"a": 3, "c": -1}
