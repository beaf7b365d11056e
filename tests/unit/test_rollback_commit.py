"""Has a table what it had, rows, schema and properties, and does one commit say so?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from pipeline.lake.checkpoint import LocalFiles, files_at, look
from pipeline.lake.lineage import NOTHING
from pipeline.rollback.commit import commit_content_of
from pipeline.rollback.files import Versions

if TYPE_CHECKING:
    from pathlib import Path


def no_spark() -> None:
    pytest.fail("needs no Spark")


@pytest.fixture
def table(tmp_path: Path) -> str:
    path, kept = str(tmp_path / "events"), {"delta.enableChangeDataFeed": "true"}
    for at in range(3):
        rows = pa.table({"x": [at, at + 10], "day": ["a", "b"]})
        write_deltalake(path, rows, mode="append", partition_by=["day"], configuration=kept)
    write_deltalake(path, pa.table({"x": [9], "day": ["a"], "y": [1.5]}), mode="append", schema_mode="merge")
    DeltaTable(path).optimize.compact()
    return path


def rows(path: str) -> list[int]:
    return sorted(DeltaTable(path).to_pyarrow_table()["x"].to_pylist())


def test_a_version_is_there_again_and_the_one_before_it_after_that(table: str) -> None:
    commit_content_of(table, 1, "there", no_spark)  # type: ignore[arg-type]
    assert rows(table) == [0, 1, 10, 11]
    there = DeltaTable(table)
    assert [each.name for each in there.schema().fields] == ["x", "day"]
    assert there.metadata().configuration == {"delta.enableChangeDataFeed": "true"}
    assert Versions(table).rows(5) == 4, "files keep what is known of them"
    [newest] = there.history(1)
    assert (newest["version"], newest["operation"], newest["userMetadata"]) == (5, "RESTORE", "there")
    commit_content_of(table, 4, "back", no_spark)  # type: ignore[arg-type]
    assert rows(table) == [0, 1, 2, 9, 10, 11, 12]
    assert [each.name for each in DeltaTable(table).schema().fields] == ["x", "day", "y"]


def test_a_table_is_emptied_and_keeps_how_it_is_made(table: str) -> None:
    commit_content_of(table, NOTHING, "none", no_spark)  # type: ignore[arg-type]
    there = DeltaTable(table)
    assert rows(table) == []
    assert there.metadata().partition_columns == ["day"]
    assert there.metadata().configuration == {"delta.enableChangeDataFeed": "true"}
    assert there.history(1)[0]["userMetadata"] == "none"
    commit_content_of(table, NOTHING, "once more", no_spark)  # type: ignore[arg-type]
    assert DeltaTable(table).history(1)[0]["userMetadata"] == "once more", "also where there is nothing to remove"


def test_a_checkpoint_in_a_folder_is_set_aside_without_spark(tmp_path: Path) -> None:
    files = files_at(f"{tmp_path}/lake/shop", no_spark)  # type: ignore[arg-type]
    assert isinstance(files, LocalFiles)
    assert look(files) is None
    (tmp_path / "lake" / "shop" / "offsets").mkdir(parents=True)
    (tmp_path / "lake" / "shop" / "metadata").write_text('{"id":"x"}')
    (tmp_path / "lake" / "shop" / "offsets" / "0").write_text("v1\n{}\n{}")
    assert files.numbers("offsets") == [0]
    assert files.set_aside("aside-20260301T120000") == f"{tmp_path}/lake/shop-aside-20260301T120000"
    assert files.read("metadata") is None
    assert files.numbers("offsets") == []
