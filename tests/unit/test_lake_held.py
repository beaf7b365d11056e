"""The table says up to where it has every event, whoever wrote to it last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from pipeline.lake.held import held_in
from pipeline.lake.offsets import user_metadata

if TYPE_CHECKING:
    from pathlib import Path

ROWS = pa.table({"x": [1]})


def test_no_table_holds_nothing(tmp_path: Path) -> None:
    assert held_in(str(tmp_path / "none")) == (False, None)


def test_the_newest_commit_that_says_so_counts(tmp_path: Path) -> None:
    for metadata in (
        {"userMetadata": user_metadata("shop", "shop.valid", {0: (0, 5)})},
        {"userMetadata": user_metadata("shop", "shop.valid", {0: (5, 9), 1: (0, 2)})},
        {},
    ):
        write_deltalake(
            str(tmp_path), ROWS, mode="append", commit_properties=CommitProperties(custom_metadata=metadata)
        )
    assert held_in(str(tmp_path)) == (True, {0: 9, 1: 2})


def test_a_table_that_does_not_say_is_not_guessed_at(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path), ROWS)
    assert held_in(str(tmp_path)) == (True, None)


def test_a_log_that_a_crash_left_empty_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    assert held_in(str(tmp_path)) == (False, None)


def test_where_the_last_batch_was_diverted_the_lake_ends_there(tmp_path: Path) -> None:
    for name, ranges in (("events", {0: (0, 5), 1: (0, 2)}), ("diverted", {0: (5, 9), 1: (2, 2)})):
        said = CommitProperties(custom_metadata={"userMetadata": user_metadata("shop", "shop.valid", ranges)})
        write_deltalake(str(tmp_path / name), ROWS, commit_properties=said)
    assert held_in(str(tmp_path / "events"), str(tmp_path / "diverted")) == (True, {0: 9, 1: 2})
    assert held_in(str(tmp_path / "none"), str(tmp_path / "diverted")) == (False, None)
