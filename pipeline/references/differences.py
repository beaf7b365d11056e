"""What is different between two versions of a reference table? Row by row, by the key that joins read it by."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Row = dict[str, str]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """Of one table; every row by the values of its key."""

    added: Mapping[Key, Row]
    removed: Mapping[Key, Row]
    changed: Mapping[Key, Mapping[str, tuple[str, str]]]
    """Column -> its value before and after; only of columns that differ."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def rows_of(file: Path) -> list[Row]:
    """The rows of a CSV or Parquet file as text; a null is the empty text.

    Raises:
        OSError, ValueError: if it cannot be read.
    """
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as lines:
            return [{name: cell or "" for name, cell in row.items() if name} for row in csv.DictReader(lines)]
    import pyarrow.parquet as pq

    return [{name: _text(value) for name, value in row.items()} for row in pq.read_table(file).to_pylist()]


def _text(value: Any) -> str:  # noqa: ANN401 (whatever Parquet holds)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def differences(before: Sequence[Row], after: Sequence[Row], key: Sequence[str]) -> Differences:
    """From the rows before to the rows after; a column that one side does not have is empty there."""
    old, new = (_by_key(rows, key) for rows in (before, after))
    changed = {each: _cells(old[each], new[each]) for each in new if each in old and old[each] != new[each]}
    return Differences(
        added={each: row for each, row in new.items() if each not in old},
        removed={each: row for each, row in old.items() if each not in new},
        changed={each: cells for each, cells in changed.items() if cells},
    )


def _by_key(rows: Sequence[Row], key: Sequence[str]) -> dict[Key, Row]:
    return {tuple(row.get(name, "") for name in key): row for row in rows}


def _cells(old: Row, new: Row) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys((*new, *old))
    pairs = {name: (old.get(name, ""), new.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
