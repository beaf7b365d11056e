"""Which commit of a Delta table is which version? Counted so that a commit that comes meanwhile shifts nothing.

`DeltaTable.history` (deltalake 1.6) lists every commit that the log has by now, but counts back from the version that the table was
loaded at: one commit in between, and each commit bears the number of its neighbour. What a rollback goes back to, what a table
has followed and what was swapped are told by these numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.fs as pf
from deltalake.fs import DeltaStorageHandler

if TYPE_CHECKING:
    from deltalake import DeltaTable


def history_of(table: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
    """Commits of a table up to the version that it was loaded at, the newest first, each with its `version`.

    Args:
        table: also one that has newer versions by now.
        limit: how many at most.

    Raises:
        DeltaError: if the log cannot be read.
    """
    storage = pf.PyFileSystem(DeltaStorageHandler.from_table(table._table))  # noqa: SLF001 (its only way in)
    newest = table.version()
    found = table.history(limit)
    while (now := _newest(storage, newest)) != newest:
        newest, found = now, table.history(limit)
    ahead = newest - table.version()
    return [{**each, "version": each["version"] + ahead} for each in found[ahead:]]


def _newest(storage: pf.FileSystem, known: int) -> int:
    """The highest version there is, of those that follow a known one."""
    while storage.get_file_info(f"_delta_log/{known + 1:020}.json").type is pf.FileType.File:
        known += 1
    return known
