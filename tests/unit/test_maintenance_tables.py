"""What is a table made of, and which of its files does nobody need? Real Delta tables, without Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from controlplane.contract.facts import Extent
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from pipeline.maintenance.measure import Measures
from pipeline.maintenance.tables import DeltaLake, Table, tables_of

if TYPE_CHECKING:
    from pathlib import Path

SHOP = load_stream(SHIPPED_STREAMS / "shop")


def made(path: Path) -> Table:
    for day in ("01", "02", "02"):
        rows = pa.table({"x": [1], "event_date": [f"2026-03-{day}"]})
        write_deltalake(str(path), rows, mode="append", partition_by=["event_date"])
    return Table("shop", "events", str(path))


def test_files_are_known_by_partition_and_rows_came_with_the_last_write(tmp_path: Path) -> None:
    table = made(tmp_path)
    facts = DeltaLake().facts(table, timedelta(days=7))
    assert facts is not None
    assert sorted(each.partition[0][1] or "" for each in facts.files) == ["2026-03-01", "2026-03-02", "2026-03-02"]
    written = facts.written_at
    assert written is not None
    assert datetime.now(UTC) - written < timedelta(minutes=5)
    DeltaTable(table.path).optimize.compact()
    again = DeltaLake().facts(table, timedelta(days=7))
    assert again is not None
    assert (len(again.files), again.version, again.written_at) == (2, 3, written)


def test_files_that_a_version_in_the_promise_needs_are_not_dead_and_checksums_never_are(tmp_path: Path) -> None:
    table = made(tmp_path)
    for file in DeltaTable(table.path).file_uris():
        folder, _, name = file.rpartition("/")
        (tmp_path / folder.rpartition("/")[2] / f".{name}.crc").write_text("sum")
    DeltaTable(table.path).optimize.compact()
    kept, dropped = (DeltaLake().facts(table, each) for each in (timedelta(days=7), timedelta()))
    assert kept is not None
    assert dropped is not None
    assert (kept.dead.files, dropped.dead.files) == (0, 2)
    assert dropped.dead.bytes > 0
    DeltaTable(table.path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    after = DeltaLake().facts(table, timedelta())
    assert after is not None
    assert after.dead == Extent(files=0, bytes=0)


def test_a_table_that_is_not_there_is_none_and_is_measured_with_a_reason(tmp_path: Path) -> None:
    assert DeltaLake().facts(Table("shop", "events", str(tmp_path / "none")), timedelta(days=7)) is None
    tables = tables_of(SHOP, str(tmp_path))
    made(tmp_path / "shop" / "events")
    taken = {each.table: each for each in Measures([(each, SHOP) for each in tables]).take(datetime.now(UTC))}
    assert (taken["events"].files, taken["events"].partitions, taken["events"].versions) == (3, 2, 3)
    assert {each.reason for name, each in taken.items() if name != "events"} == {"is not there yet"}
