"""How many events has the lake, block by block? Read from each Delta file once, two columns of it.

Delta's own counts are of files, and a file holds what a micro-batch held: no block. So the source offsets of each new file
are read when it appears and its counts kept by its name, which Delta never uses again. A file that compaction has replaced
is no longer active, and simply counts no more. A micro-batch that was diverted is in the lake as well: in another table.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pf
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from controlplane.contract.names import BLOCK, DIVERTED, SOURCE_OFFSET, SOURCE_PARTITION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pipeline.ledger.kept import FileCounts, Kept

_WITHIN_S = 1.0
_DIVERTED = f"{DIVERTED}/"


class UncountedError(Exception):
    """A count cannot be had now, and why."""


class LakeFiles(Protocol):
    """The active files of a stream's table."""

    def active(self) -> Collection[str]:
        """Their names; none when there is no table yet.

        Raises:
            UncountedError: if the table cannot be read.
        """

    def sources(self, path: str) -> pa.Table:
        """Source partition and offset of each row of a file.

        Raises:
            UncountedError: if the file cannot be read: it is gone, or its storage does not answer.
        """


class DeltaFiles:
    """The real ones, on whatever storage the table is."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._table: DeltaTable | None = None
        self._version = -1
        self._active: frozenset[str] = frozenset()

    def active(self) -> Collection[str]:
        """See `LakeFiles`."""
        try:
            if self._table is None:
                self._table = DeltaTable(self._path)
            else:
                self._table.update_incremental()
            if self._table.version() != self._version:
                actions = pa.table(self._table.get_add_actions())
                self._active = frozenset(unquote(each) for each in actions["path"].to_pylist())
                self._version = self._table.version()
        except TableNotFoundError:
            self._forget()
        except (DeltaError, OSError) as error:
            self._forget()
            raise UncountedError(str(error)) from error
        return self._active

    def sources(self, path: str) -> pa.Table:
        """See `LakeFiles`."""
        if self._table is None:
            raise UncountedError("there is no table")
        storage = pf.PyFileSystem(DeltaStorageHandler.from_table(self._table._table))  # noqa: SLF001 (its only way in)
        try:
            with storage.open_input_file(path) as file:
                return pq.ParquetFile(file).read([SOURCE_PARTITION, SOURCE_OFFSET])
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise UncountedError(str(error)) from error

    def _forget(self) -> None:
        self._table, self._version, self._active = None, -1, frozenset()


class WithDiverted:
    """The events table and, as in the lake too, what its gate has diverted, whose files are called by the table's name.

    A release takes a micro-batch out of `diverted` before it appends it: whoever looks at the events first may miss it for a
    moment and never sees it twice.
    """

    def __init__(self, events: LakeFiles, diverted: LakeFiles) -> None:
        self._events, self._diverted = events, diverted

    def active(self) -> Collection[str]:
        """See `LakeFiles`."""
        events = set(self._events.active())
        return events | {f"{_DIVERTED}{each}" for each in self._diverted.active()}

    def sources(self, path: str) -> pa.Table:
        """See `LakeFiles`."""
        if path.startswith(_DIVERTED):
            return self._diverted.sources(path.removeprefix(_DIVERTED))
        return self._events.sources(path)


class FakeLakeFiles:
    """Files in memory: name -> source partitions and offsets."""

    def __init__(self, files: dict[str, list[tuple[int, int]]] | None = None) -> None:
        self.files = files or {}
        self.read: list[str] = []
        """Names of the files that were read."""

    def active(self) -> Collection[str]:
        """See `LakeFiles`."""
        return set(self.files)

    def sources(self, path: str) -> pa.Table:
        """See `LakeFiles`."""
        self.read.append(path)
        partitions, offsets = zip(*self.files[path], strict=True)
        return pa.table(
            {SOURCE_PARTITION: pa.array(partitions, pa.int32()), SOURCE_OFFSET: pa.array(offsets, pa.int64())}
        )


class LakeCount:
    """Events of a stream's Delta table by source partition and block."""

    def __init__(self, files: LakeFiles, kept: Kept) -> None:
        self._files = files
        self._kept = kept
        self._by_file: dict[str, FileCounts] = kept.lake_files()
        self._counts: FileCounts = {}
        for each in self._by_file.values():
            self._add(each, 1)

    def read(self) -> FileCounts:
        """Events by partition and block.

        Raises:
            UncountedError: if the table cannot be read, or has more new files than fit into a second.
        """
        active = self._files.active()
        gone = self._by_file.keys() - active
        left = sorted(active - self._by_file.keys())
        if gone or left:
            self._take(left, gone)
        return self._counts

    def offsets(self, partition: int, block: int) -> Counter[int]:
        """How often the table has each source offset of a block.

        Raises:
            UncountedError: if a file cannot be read.
        """
        found: Counter[int] = Counter()
        for path, counts in self._by_file.items():
            if block in counts.get(partition, {}):
                rows = self._files.sources(path)
                first = pa.scalar(block * BLOCK, pa.int64())
                mine = pc.and_(
                    pc.equal(rows[SOURCE_PARTITION], partition),
                    pc.and_(
                        pc.greater_equal(rows[SOURCE_OFFSET], first),
                        pc.less(rows[SOURCE_OFFSET], pa.scalar((block + 1) * BLOCK, pa.int64())),
                    ),
                )
                found.update(rows.filter(mine)[SOURCE_OFFSET].to_pylist())
        return found

    def _take(self, left: list[str], gone: Iterable[str]) -> None:
        added: dict[str, FileCounts] = {}
        deadline = time.monotonic() + _WITHIN_S
        try:
            while left and time.monotonic() < deadline:
                added[left[-1]] = counted(self._files.sources(left[-1]))
                left.pop()
        finally:
            self._change(added, list(gone))
        if left:
            raise UncountedError(f"still counting, {len(left):,} files to go")

    def _change(self, added: dict[str, FileCounts], gone: list[str]) -> None:
        self._kept.keep_lake_files(added, gone)
        for each in gone:
            self._add(self._by_file.pop(each), -1)
        for counts in added.values():
            self._add(counts, 1)
        self._by_file.update(added)

    def _add(self, counts: FileCounts, sign: int) -> None:
        for partition, blocks in counts.items():
            mine = self._counts.setdefault(partition, {})
            for block, events in blocks.items():
                mine[block] = mine.get(block, 0) + sign * events
                if not mine[block]:
                    del mine[block]


def counted(rows: pa.Table) -> FileCounts:
    """Rows by source partition and block."""
    blocks = pc.divide(rows[SOURCE_OFFSET], pa.scalar(BLOCK, pa.int64()))
    grouped = (
        pa.table({"partition": rows[SOURCE_PARTITION], "block": blocks})
        .group_by(["partition", "block"])
        .aggregate([([], "count_all")])
    )
    counts: FileCounts = {}
    for row in grouped.to_pylist():
        counts.setdefault(row["partition"], {})[row["block"]] = row["count_all"]
    return counts
