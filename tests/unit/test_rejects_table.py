"""A turned-away record is kept once: a commit says up to where its topic was read, and a second writer collides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from quality.rejects.record import SCHEMA
from quality.rejects.table import Place, RejectsTable

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ZERO, ONE = Place("shop.dead", 0), Place("shop.dead", 1)


def rows(*ids: str, value: bytes = b"v") -> pa.Table:
    made = [
        {"id": each, "rejected_at": AT, "day": AT.date(), "reason": "x", "rules": "", "value": value} for each in ids
    ]
    return pa.Table.from_pylist(made, schema=SCHEMA)


def test_reading_goes_on_where_the_newest_commit_says(tmp_path: Path) -> None:
    table = RejectsTable(str(tmp_path), "shop")
    assert (table.load().num_rows, table.offsets([ZERO])) == (0, {})
    table.append(rows("dead:0:0", "dead:0:1"), {ZERO: 2})
    table.append(rows("dead:1:0"), {ONE: 1})
    table.append(rows("dead:0:2"), {ZERO: 3})
    after = RejectsTable(str(tmp_path), "shop")
    assert after.load().num_rows == 4
    assert after.offsets([ZERO, ONE, Place("shop.quarantine", 0)]) == {ZERO: 3, ONE: 1}


def test_offsets_outlive_compaction_and_checkpoints_of_the_log(tmp_path: Path) -> None:
    table = RejectsTable(str(tmp_path), "shop")
    table.load()
    for number in range(5):
        table.append(rows(f"dead:0:{number}"), {ZERO: number + 1})
    other = DeltaTable(table.path)
    other.optimize.compact()
    other.create_checkpoint()
    table.append(rows("dead:0:5"), {ZERO: 6})
    after = RejectsTable(str(tmp_path), "shop")
    assert (after.load().num_rows, after.offsets([ZERO])) == (6, {ZERO: 6})


@pytest.mark.parametrize("is_there", [True, False], ids=["table-is-there", "table-is-new"])
def test_a_second_writer_from_the_same_offsets_collides_and_adds_nothing(tmp_path: Path, is_there: bool) -> None:
    if is_there:
        RejectsTable(str(tmp_path), "shop").append(rows("dead:0:0"), {ZERO: 1})
    before = 1 if is_there else 0
    first, second = (RejectsTable(str(tmp_path), "shop") for _ in range(2))
    for each in (first, second):
        each.load()
        each.offsets([ZERO])
    first.append(rows("dead:0:1"), {ZERO: 2})
    first.append(rows("dead:0:2"), {ZERO: 3})
    with pytest.raises(DeltaError):
        second.append(rows("dead:0:1"), {ZERO: 2})
    assert second.load().num_rows == before + 2
    assert second.offsets([ZERO]) == {ZERO: 3}


def test_payloads_are_found_by_id_and_by_a_text_in_them(tmp_path: Path) -> None:
    table = RejectsTable(str(tmp_path), "shop")
    table.append(rows("dead:0:0", value=b"\xff\x00needle"), {ZERO: 1})
    table.append(rows("dead:0:1"), {ZERO: 2})
    days = (AT.date(), AT.date())
    found = [each for piece in table.payloads(["dead:0:0", "dead:9:9"], days) for each in piece["value"].to_pylist()]
    assert found == [b"\xff\x00needle"]
    with_text = table.payloads(["dead:0:0", "dead:0:1"], days, text=b"needle")
    assert [each for piece in with_text for each in piece["id"].to_pylist()] == ["dead:0:0"]


def test_diverted_micro_batches_are_counted_once_a_version(tmp_path: Path) -> None:
    table = RejectsTable(str(tmp_path), "shop")
    assert table.diverted() == []
    path = str(tmp_path / "shop" / "diverted")
    made = rows("valid:0:0", "valid:0:1").to_pylist()
    diverted = [{**each, "batch": "c:7", "rules": "a,b", "suite": "s"} for each in made]
    write_deltalake(path, pa.Table.from_pylist(diverted, schema=SCHEMA))
    [one] = table.diverted()
    assert (one["batch"], one["rules"], one["records"], one["first_at"]) == ("c:7", "a,b", 2, AT)
    DeltaTable(path).delete("batch = 'c:7'")
    assert table.diverted() == [], "it was released"
