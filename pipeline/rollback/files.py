"""Can a version still be had? Its files are looked at, not only its log: vacuum deletes files and keeps the log."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pf
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_ROWS = "num_records"


class Versions:
    """A table's files by version; `now` is the newest when it was opened.

    Raises:
        DeltaError: if the table cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        table = DeltaTable(path)
        self.now = table.version()
        self._storage = pf.PyFileSystem(DeltaStorageHandler.from_table(table._table))  # noqa: SLF001 (its only way in)
        self._files = {self.now: _files(table)}

    def files(self, version: int) -> dict[str, int | None]:
        """Path of each file of a version -> its rows, as far as the log says.

        Raises:
            DeltaError: if the log does not go back so far.
        """
        if version not in self._files:
            self._files[version] = _files(DeltaTable(self._path, version=version))
        return self._files[version]

    def rows(self, version: int) -> int | None:
        """How many rows a version has; None when its log does not say."""
        return total(self.files(version).values())

    def missing(self, version: int) -> list[str]:
        """Files of a version that are gone.

        Raises:
            DeltaError: if the log does not go back so far.
        """
        asked = sorted(self.files(version).keys() - self._files[self.now].keys())
        found = self._storage.get_file_info(asked) if asked else []
        return [path for path, each in zip(asked, found, strict=True) if each.type is pf.FileType.NotFound]

    def can_be_had(self, version: int) -> bool:
        """Are log and files of a version there?"""
        try:
            return not self.missing(version)
        except DeltaError:
            return False

    def read(self, paths: Collection[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of some files, without the columns by which the table is partitioned.

        Raises:
            OSError, ArrowException: if one cannot be read.
        """
        found = []
        for path in sorted(paths):
            with self._storage.open_input_file(path) as file:
                there = pq.ParquetFile(file)
                wanted = None if columns is None else [each for each in columns if each in there.schema_arrow.names]
                found.append(there.read(wanted))
        return pa.concat_tables(found, promote_options="permissive") if found else pa.table({})


def total(counts: Collection[int | None]) -> int | None:
    """The sum; None when one is unknown."""
    known = [each for each in counts if each is not None]
    return sum(known) if len(known) == len(counts) else None


def _files(table: DeltaTable) -> dict[str, int | None]:
    actions = pa.table(table.get_add_actions(flatten=True))
    counts = actions[_ROWS].to_pylist() if _ROWS in actions.column_names else [None] * actions.num_rows
    return dict(zip(map(unquote, actions["path"].to_pylist()), counts, strict=True))


def oldest(versions: Sequence[int], can_be_had: Callable[[int], bool]) -> int | None:
    """The oldest of ascending versions that can be had; None when none can.

    Vacuum takes old ones first, so that a few are looked at.
    """
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if can_be_had(versions[middle]):
            high = middle
        else:
            low = middle + 1
    return versions[low] if low < len(versions) else None
