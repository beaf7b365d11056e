"""Up to where is the lake? The newest commit that names its source offsets, in whichever of its two tables it is.

A micro-batch is in the events, or was diverted to the table beside them. Commits that name none (compaction, a release) move
nothing: only what is new since the last look is read, so however many of them come, what was known before stays known.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from controlplane.contract.names import DIVERTED, lake_table
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMITS = 50
"""So far back is looked at first."""


class _Table:
    """One Delta table's ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._table: DeltaTable | None = None
        self._seen: int | None = None
        self._ends: dict[int, int] | None = None

    def ends(self) -> dict[int, int]:
        """Partition -> one past the last offset that is in it."""
        if self._table is None:
            try:
                self._table = DeltaTable(self._path)
            except TableNotFoundError:
                return {}
        self._table.update_incremental()
        version = self._table.version()
        if version != self._seen:
            is_older = self._seen is None or version < self._seen  # restored, or another table now
            fresh = _COMMITS if self._seen is None or is_older else version - self._seen
            self._ends = _named(self._table, fresh) or (None if is_older else self._ends)
            self._seen = version
        if self._ends is None:
            raise UnknownError(f"none of the last {_COMMITS} commits of {self._path} names its source offsets")
        return self._ends


def _named(table: DeltaTable, commits: int) -> dict[int, int] | None:
    for commit in table.history(min(commits, _COMMITS)):
        written = json.loads(commit.get("userMetadata") or "{}").get("offsets")
        if written is not None:
            return {int(partition): until for partition, (_, until) in written.items()}
    return None


class LakeEnds:
    """Every stream's; may be asked by several threads.

    Args:
        root: of the Delta tables.
        fresh_s: several ask: what was looked up so lately is not looked up again.
    """

    def __init__(self, root: str, fresh_s: float = 0.5) -> None:
        self._fresh_s = fresh_s
        self._root = root
        self._tables: dict[tuple[str, str], _Table] = {}
        self._asked: dict[str, tuple[float, dict[int, int]]] = {}
        self._lock = threading.Lock()

    def ends(self, stream: str) -> Mapping[int, int]:
        """Partition of the valid topic -> one past the last offset that is in the lake; without those that have none.

        Raises:
            UnknownError: with the reason.
            OSError, DeltaError: if the log cannot be read.
        """
        with self._lock:
            at, known = self._asked.get(stream, (float("-inf"), {}))
            if time.monotonic() - at < self._fresh_s:
                return known
            found: dict[int, int] = {}
            for name in ("events", DIVERTED):
                for partition, until in self._table(stream, name).ends().items():
                    found[partition] = max(until, found.get(partition, 0))
            self._asked[stream] = (time.monotonic(), found)
            return found

    def _table(self, stream: str, name: str) -> _Table:
        return self._tables.setdefault((stream, name), _Table(lake_table(self._root, stream, name)))
