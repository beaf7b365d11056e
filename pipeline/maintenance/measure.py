"""How are the tables? Files, bytes and versions of each, from what its log has gained since it was looked at last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from controlplane.contract.facts import TableMeasured
from pipeline.maintenance.tables import by_partition, committed_at, extent_of, files_of, versions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from controlplane.contract.streams import StreamDefinition
    from pipeline.maintenance.tables import Table


class Measures:
    """Of the tables that there should be."""

    def __init__(self, tables: Sequence[tuple[Table, StreamDefinition]]) -> None:
        self._tables = tables
        self._opened: dict[str, DeltaTable] = {}

    def take(self, now: datetime) -> Iterable[TableMeasured]:
        """How each is now; with no values and a reason where that cannot be had."""
        for table, stream in self._tables:
            try:
                yield self._measured(table, stream.maintenance.small_file_bytes, now)
            except (TableNotFoundError, DeltaError, OSError) as error:
                self._opened.pop(table.path, None)
                is_there = not isinstance(error, TableNotFoundError)
                reason = f"cannot be read: {str(error).splitlines()[0]}" if is_there else "is not there yet"
                yield TableMeasured(at=now, stream=table.stream, table=table.name, reason=reason)

    def _measured(self, table: Table, small: int, now: datetime) -> TableMeasured:
        opened = self._open(table.path)
        files = files_of(opened)
        extent = extent_of(files)
        return TableMeasured(
            at=now,
            stream=table.stream,
            table=table.name,
            version=opened.version(),
            versions=versions_of(opened),
            files=extent.files,
            bytes=extent.bytes,
            small_files=sum(each.bytes < small for each in files),
            partitions=len(by_partition(files)) if opened.metadata().partition_columns else None,
            committed_at=committed_at(opened),
        )

    def _open(self, path: str) -> DeltaTable:
        opened = self._opened.get(path)
        if opened is None:
            self._opened[path] = opened = DeltaTable(path)
        else:
            opened.update_incremental()
        return opened
