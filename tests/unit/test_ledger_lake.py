"""The lake is counted file by file, each read once; a file that was replaced counts no more."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from controlplane.contract.names import BLOCK
from pipeline.ledger import lake as lake_module
from pipeline.ledger.kept import Kept
from pipeline.ledger.lake import DeltaFiles, FakeLakeFiles, LakeCount, UncountedError, WithDiverted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipeline.ledger.lake import LakeFiles

Rows = list[tuple[int, int]]
FIRST: Rows = [(0, 0), (0, 1), (0, BLOCK), (1, 5)]
SECOND: Rows = [(0, BLOCK + 1), (1, 3 * BLOCK)]


def delta(folder: Path, *files: Rows) -> DeltaFiles:
    for number, rows in enumerate(files):
        partitions, offsets = zip(*rows, strict=True)
        columns = {"tg_partition": pa.array(partitions, pa.int32()), "tg_offset": pa.array(offsets, pa.int64())}
        day = pa.array([f"day {number}"] * len(rows))
        write_deltalake(str(folder), pa.table({**columns, "day": day}), mode="append", partition_by=["day"])
    return DeltaFiles(str(folder))


def fake(_: Path, *files: Rows) -> FakeLakeFiles:
    return FakeLakeFiles({f"file {number}": rows for number, rows in enumerate(files)})


@pytest.fixture(params=[delta, fake], ids=["delta", "fake"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., LakeFiles]:
    def make(*files: Rows) -> LakeFiles:
        files_made: LakeFiles = request.param(tmp_path / "lake", *files)
        return files_made

    return make


def counted(files: LakeFiles, folder: Path) -> LakeCount:
    one = LakeCount(files, Kept(folder / "shop.sqlite"))
    one.read()
    return one


def test_rows_are_counted_by_partition_and_block(made: Callable[..., LakeFiles], tmp_path: Path) -> None:
    assert counted(made(FIRST, SECOND), tmp_path).read() == {0: {0: 2, 1: 2}, 1: {0: 1, 3: 1}}


def test_a_blocks_offsets_are_found_with_their_doubles(made: Callable[..., LakeFiles], tmp_path: Path) -> None:
    lake = counted(made(FIRST, SECOND, FIRST), tmp_path)
    assert lake.offsets(0, 0) == Counter({0: 2, 1: 2})
    assert lake.offsets(0, 1) == Counter({BLOCK: 2, BLOCK + 1: 1})
    assert lake.offsets(7, 0) == Counter()


def test_a_table_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert counted(DeltaFiles(str(tmp_path / "nowhere")), tmp_path).read() == {}


def test_new_rows_are_seen_and_a_compaction_changes_no_count(tmp_path: Path) -> None:
    lake = counted(delta(tmp_path / "lake", FIRST), tmp_path)
    before = {partition: dict(blocks) for partition, blocks in lake.read().items()}
    delta(tmp_path / "lake", FIRST)
    assert lake.read() == {0: {0: 4, 1: 2}, 1: {0: 2}}
    DeltaTable(str(tmp_path / "lake")).optimize.compact()
    assert lake.read() == {0: {0: 4, 1: 2}, 1: {0: 2}} != before


def test_a_row_that_compaction_loses_is_missed(tmp_path: Path) -> None:
    lake = counted(delta(tmp_path / "lake", FIRST), tmp_path)
    DeltaTable(str(tmp_path / "lake")).delete("tg_offset = 1")
    assert lake.read() == {0: {0: 1, 1: 1}, 1: {0: 1}}


def test_a_file_is_read_once_also_by_the_next_process(tmp_path: Path) -> None:
    files = fake(tmp_path, FIRST)
    counted(files, tmp_path)
    files.files["another"] = SECOND
    assert counted(files, tmp_path).read() == {0: {0: 2, 1: 2}, 1: {0: 1, 3: 1}}
    assert files.read == ["file 0", "another"]


def test_more_files_than_fit_into_a_second_are_counted_by_and_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_module, "_WITHIN_S", 0.0)
    with pytest.raises(UncountedError, match="still counting, 2 files to go"):
        counted(fake(tmp_path, FIRST, SECOND), tmp_path)


def test_a_file_that_cannot_be_read_costs_none_of_the_others(tmp_path: Path) -> None:
    class Failing(FakeLakeFiles):
        def sources(self, path: str) -> pa.Table:
            if path == "file 0":
                raise UncountedError("it is gone")
            return super().sources(path)

    files = Failing({"file 0": FIRST, "file 1": SECOND})
    lake = LakeCount(files, Kept(tmp_path / "shop.sqlite"))
    for _ in range(2):
        with pytest.raises(UncountedError, match="it is gone"):
            lake.read()
    assert files.read == ["file 1"]


def names(files: Sequence[str]) -> set[str]:
    return {each.partition("/")[0] for each in files}


def test_a_name_with_a_space_is_a_name(tmp_path: Path) -> None:
    assert names(list(delta(tmp_path / "lake", FIRST).active())) == {"day=day%200"}


def test_what_was_diverted_is_in_the_lake_too_and_once_while_it_is_released(tmp_path: Path) -> None:
    events, diverted = FakeLakeFiles({"a": FIRST}), FakeLakeFiles({"a": SECOND})
    count = LakeCount(WithDiverted(events, diverted), Kept(tmp_path / "kept.sqlite"))
    assert count.read() == {0: {0: 2, 1: 2}, 1: {0: 1, 3: 1}}
    assert count.offsets(1, 3) == Counter([3 * BLOCK])
    diverted.files.clear()
    assert count.read() == {0: {0: 2, 1: 1}, 1: {0: 1}}
    events.files["b"] = SECOND
    assert count.read() == {0: {0: 2, 1: 2}, 1: {0: 1, 3: 1}}
