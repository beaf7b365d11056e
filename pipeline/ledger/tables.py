"""How many events are in the lake and in ClickHouse? From Delta's own log and the arrivals table; no table is scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from controlplane.contract.names import arrivals_table
from pipeline.lake.offsets import ranges_in

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_COMMITS = 50


class Uncounted(Exception):  # noqa: N818 (a state, not a fault)
    """A count cannot be had, and why."""


class LakeCount:
    """Rows of a stream's Delta table, by source partition."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._table: DeltaTable | None = None
        self._version = -1
        self._counts: dict[int, int] = {}

    def read(self) -> dict[int, int]:
        """Rows by partition.

        The newest commit names the offsets up to which each partition is in the table; the rows that the log's files hold
        must be as many.

        Raises:
            Uncounted: if the log does not say, or says two different things.
        """
        table = self._opened()
        if table is None:
            return {}
        if table.version() != self._version:
            self._counts = _counts(table)
            self._version = table.version()
        return self._counts

    def _opened(self) -> DeltaTable | None:
        try:
            if self._table is None:
                self._table = DeltaTable(self._path)
            else:
                self._table.update_incremental()
        except TableNotFoundError:
            return None
        return self._table


def _counts(table: DeltaTable) -> dict[int, int]:
    newest = next(
        (found for commit in table.history(_COMMITS) if (found := ranges_in(commit.get("userMetadata")))), None
    )
    if newest is None:
        raise Uncounted(f"none of the last {_COMMITS} commits of the lake table names its source offsets")
    counts = {partition: until for partition, (_, until) in newest.items()}
    held = pc.sum(pa.table(table.get_add_actions(flatten=True))["num_records"]).as_py() or 0
    if held != sum(counts.values()):
        raise Uncounted(
            f"the lake's files hold {held:,} rows, but its commits cover {sum(counts.values()):,} offsets: "
            "rows are missing or doubled"
        )
    return counts


def serving_count(clickhouse: Client, stream: str) -> dict[int, int]:
    """Events in ClickHouse by source partition."""
    found = clickhouse.query(
        f"SELECT partition, sum(events) FROM {arrivals_table(stream)} GROUP BY partition"  # noqa: S608 (a checked name)
    )
    return {int(partition): int(events) for partition, events in found.result_rows}
