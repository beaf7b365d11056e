"""What is refused, and what does a plan show? Real Delta tables, without Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from controlplane.contract.backfills import RollbackAsked
from controlplane.contract.names import EVENT_DATE, lake_rollup, lake_table
from pipeline.lake.lineage import with_backfill, with_rollback
from pipeline.lake.offsets import user_metadata
from pipeline.operate.kind import RefusedError
from pipeline.rollback.files import Versions, oldest
from pipeline.rollback.look import look, refuse_without_kafka
from pipeline.rollback.plan import newest_rewrite, plan_of
from pipeline.rollback.preview import ROWS_AT_MOST, changes, compared
from pipeline.tables.cursor import Cursor
from pipeline.tables.rollups import definition_of

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Lake:
    """The shop's tables."""

    def __init__(self, root: Path, stream: StreamDefinition) -> None:
        self.root, self.stream, self.next = str(root), stream, 0
        self.path = lake_table(self.root, stream.name)

    def write(self, table: str, rows: pa.Table, said: str | None, mode: str = "append", **options: object) -> None:
        given = None if said is None else CommitProperties(custom_metadata={"userMetadata": said})
        write_deltalake(  # type: ignore[call-overload]
            lake_table(self.root, self.stream.name, table), rows, mode=mode, commit_properties=given, **options
        )

    def append(self, count: int = 10, *, named: bool = True) -> None:
        since, self.next = self.next, self.next + count
        rows = pa.table(
            {
                "tg_partition": pa.array([0] * count, pa.int32()),
                "tg_offset": pa.array(range(since, self.next), pa.int64()),
                EVENT_DATE: ["2026-03-01"] * count,
            }
        )
        said = user_metadata("shop", "shop.valid", {0: (since, self.next)}) if named else None
        self.write("events", rows, said, partition_by=[EVENT_DATE])

    def window(self, rollup: str, orders: int, events_version: int, mode: str = "append") -> None:
        columns = {
            "window_start": [AT],
            **{each: ["x"] for each in self.stream.rollups[rollup].dimensions},
            "n": [orders],
        }
        cursor = Cursor(
            definition_of(self.stream, self.stream.rollups[rollup]), events_version, {}, 60, 60, ("20260301",)
        )
        self.write(lake_rollup(rollup), pa.table(columns), cursor.written(), mode)


@pytest.fixture
def lake(tmp_path: Path, shop: StreamDefinition) -> Lake:
    return Lake(tmp_path, shop)


def asked(version: int | None = None, to: datetime | None = None) -> RollbackAsked:
    return RollbackAsked(stream="shop", version=version, to=to)


def vacuumed(lake: Lake) -> None:
    """Versions 0 to 2 have lost their files to a compaction; 3 is the compacted one."""
    for _ in range(3):
        lake.append()
    table = DeltaTable(lake.path)
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    lake.append()
    lake.append()


def test_a_vacuumed_version_is_refused_and_what_can_be_had_is_said(lake: Lake) -> None:
    vacuumed(lake)
    with pytest.raises(RefusedError, match=r"version 1 of events .* vacuumed .* what can be had: version 3 and later"):
        look(asked(1), lake.stream, lake.root)
    assert look(asked(3), lake.stream, lake.root).version == 3


def test_a_version_that_was_vacuumed_since_is_refused_also(lake: Lake) -> None:
    """As `confirm_basis` finds it."""
    for _ in range(3):
        lake.append()
    found = look(asked(0), lake.stream, lake.root)
    table = DeltaTable(lake.path)
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(RefusedError, match="vacuumed"):
        look(asked(found.version), lake.stream, lake.root)


@pytest.mark.parametrize(
    ("version", "says"),
    [
        pytest.param(7, "have no version 7: their log has 0 to 2", id="no-such-version"),
        pytest.param(2, "is what they are now", id="the-newest"),
    ],
)
def test_a_version_that_changes_nothing_or_is_none_is_refused(lake: Lake, version: int, says: str) -> None:
    for _ in range(3):
        lake.append()
    with pytest.raises(RefusedError, match=says):
        look(asked(version), lake.stream, lake.root)


def test_what_lake_could_not_go_on_from_is_refused(lake: Lake) -> None:
    lake.append(named=False)
    lake.append()
    with pytest.raises(RefusedError, match=r"no commit up to version 0 .* names the source offsets"):
        look(asked(0), lake.stream, lake.root)


def test_there_must_be_a_table_and_a_log_at_that_time(lake: Lake) -> None:
    with pytest.raises(RefusedError, match="no events table yet"):
        look(asked(0), lake.stream, lake.root)
    lake.append()
    with pytest.raises(RefusedError, match="the log of shop events begins with version 0"):
        look(asked(to=AT), lake.stream, lake.root)


def test_a_time_is_the_last_version_by_then(lake: Lake) -> None:
    for _ in range(3):
        lake.append()
    committed = {each["version"]: each["timestamp"] for each in DeltaTable(lake.path).history()}
    found = look(asked(to=datetime.fromtimestamp(committed[1] / 1000, UTC)), lake.stream, lake.root)
    assert found.version == max(at for at, stamp in committed.items() if stamp <= committed[1])


def test_what_kafka_has_no_longer_is_refused() -> None:
    refuse_without_kafka({0: 100, 1: 5}, {0: 100, 1: 0}, "shop")
    with pytest.raises(RefusedError, match=r"shop.valid\[1\] begins at 6, not 5.*backfill"):
        refuse_without_kafka({0: 100, 1: 5}, {0: 0, 1: 6}, "shop")


def test_a_plan_says_what_changes_and_its_stages_carry_what_they_need(lake: Lake) -> None:
    rollup = next(iter(lake.stream.rollups))
    lake.append()
    lake.window(rollup, 3, 0)
    lake.append()
    lake.window(rollup, 5, 1, mode="overwrite")
    found = look(asked(0), lake.stream, lake.root)
    plan = plan_of(found, "hold", AT, {})
    assert [each.key for each in plan.stages] == [
        "hold", "restore:events", f"restore:{lake_rollup(rollup)}",
        "checkpoint", "follow", "clickhouse", "check", "rest", "release",
    ]  # fmt: skip
    assert plan.stages[1].given == {"table": "events", "version": 0}
    assert plan.stages[-1].given == {"ends": {"0": 10}}
    assert plan.rows == 10
    events, windows = plan.preview["tables"]["events"], plan.preview["tables"][lake_rollup(rollup)]
    assert (events["now"], events["then"], events["goes"], events["comes_back"]) == (20, 10, 10, 0)
    assert len(events["examples"]["goes"]) == 5
    assert (windows["changes"], windows["goes"], windows["comes_back"]) == (1, 0, 0)
    [example] = windows["examples"]["changes"]
    assert (example["n"], example["n then"]) == (5, 3)
    assert plan.basis["newest_rollback"] is None
    assert plan.confirmation == "shop"
    replays = plan_of(found, "replay", AT, {})
    assert "rest" not in [each.key for each in replays.stages]
    assert replays.fingerprint != plan.fingerprint


def test_a_plan_says_where_clickhouse_would_have_a_gap(lake: Lake) -> None:
    rollup = next(iter(lake.stream.rollups))
    lake.append()
    lake.window(rollup, 3, 0)
    lake.append()
    found = look(asked(0), lake.stream, lake.root)
    begins = datetime.fromtimestamp(60, UTC) + timedelta(hours=1)
    assert any("missing there until lake" in each for each in plan_of(found, "replay", AT, {rollup: begins}).notes)
    assert not any("missing" in each for each in plan_of(found, "replay", AT, {rollup: AT.fromtimestamp(0, UTC)}).notes)


def test_another_rollback_or_backfill_is_seen(lake: Lake) -> None:
    lake.append()
    lake.append()
    before = newest_rewrite(look(asked(0), lake.stream, lake.root).events)
    lake.write("events", DeltaTable(lake.path).to_pyarrow_table().slice(0, 0), with_backfill(None, "b1"))
    after = newest_rewrite(look(asked(0), lake.stream, lake.root).events)
    assert (before, after) == (None, 2)


def test_a_version_that_was_rolled_back_can_be_gone_to_again(lake: Lake) -> None:
    lake.append()
    lake.append()
    DeltaTable(lake.path).restore(
        0, commit_properties=CommitProperties(
            custom_metadata={"userMetadata": with_rollback(user_metadata("shop", "shop.valid", {0: (0, 10)}), "op1", 0)}
        ),
    )  # fmt: skip
    with pytest.raises(RefusedError, match="is what they are now"):
        look(asked(0), lake.stream, lake.root)
    found = look(asked(1), lake.stream, lake.root)
    assert found.ends == {0: 20}
    assert any("undoes that" in each for each in plan_of(found, "replay", AT, {}).notes)


def test_too_many_rows_are_counted_and_not_compared(lake: Lake) -> None:
    lake.append()
    lake.append(ROWS_AT_MOST + 1)
    found = changes(Versions(lake.path), 0, ["tg_partition", "tg_offset"])
    assert (found["now"], found["then"], found["goes"]) == (ROWS_AT_MOST + 11, 10, None)
    assert "too many to compare" in found["reason"]


def test_rows_are_compared_by_key_and_nulls_are_equal() -> None:
    import pandas as pd

    now = pd.DataFrame({"k": [1, 2, 3], "a": pd.array([1, None, 3], "Int64")})
    then = pd.DataFrame({"k": [1, 2, 4], "a": pd.array([2, None, 4], "Int64")})
    found = compared(now, then, ["k"])
    assert (found["goes"], found["comes_back"], found["changes"]) == (1, 1, 1)
    assert found["examples"]["changes"] == [{"k": 1, "a": 1, "a then": 2}]


def test_the_oldest_version_that_can_be_had_is_found_by_few_looks() -> None:
    asked_for: list[int] = []

    def can(version: int) -> bool:
        asked_for.append(version)
        return version >= 700

    assert oldest(range(1000), can) == 700
    assert len(asked_for) <= 10
    assert oldest([1, 2], lambda _: False) is None
