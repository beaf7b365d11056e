"""Each commit of a Delta table bears its own version, whatever has been committed since the table was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from pipeline.lake.commits import history_of

if TYPE_CHECKING:
    from pathlib import Path


def commit(path: Path, number: int) -> None:
    said = CommitProperties(custom_metadata={"number": str(number)})
    write_deltalake(path, pa.table({"a": [number]}), mode="append", commit_properties=said)


def numbers(table: DeltaTable, limit: int | None = None) -> list[tuple[int, str]]:
    return [(each["version"], each["number"]) for each in history_of(table, limit)]


def own(*versions: int) -> list[tuple[int, str]]:
    return [(each, str(each)) for each in versions]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for number in range(4):
        commit(tmp_path / "table", number)
    return tmp_path / "table"


def test_of_a_table_that_is_the_newest(path: Path) -> None:
    assert numbers(DeltaTable(path)) == own(3, 2, 1, 0)
    assert numbers(DeltaTable(path), 2) == own(3, 2)
    assert numbers(DeltaTable(path), 9) == own(3, 2, 1, 0)


def test_of_one_that_has_been_committed_to_since(path: Path) -> None:
    loaded, before = DeltaTable(path), DeltaTable(path, version=1)
    for number in (4, 5):
        commit(path, number)
    assert numbers(loaded) == own(3, 2, 1, 0)
    assert numbers(loaded, 2) == own(3, 2)
    assert numbers(before) == own(1, 0)
    assert numbers(before, 1) == own(1)


def test_of_one_that_is_committed_to_while_its_log_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, left = DeltaTable.history, [5, 4]

    def meanwhile(table: DeltaTable, limit: int | None = None) -> list[dict[str, object]]:
        if left:
            commit(path, left.pop())
        return read(table, limit)

    monkeypatch.setattr(DeltaTable, "history", meanwhile)
    assert numbers(DeltaTable(path), 3) == own(3, 2, 1)
    assert not left
