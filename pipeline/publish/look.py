"""Which windows do a rollup's gates look at? Of those to be published the newest, then what readers get of the last ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from controlplane.contract.rollups import PERIOD, WINDOW_END, WINDOW_START
from pipeline.arrow import to_frame
from pipeline.publish.gate import SAMPLE, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client
    from deltalake import DeltaTable

    from controlplane.contract.streams import Rollup
    from pipeline.tables.cursor import Commits

_LATELY_S = 3600
_LATELY_WINDOWS = 10


def horizon_of(commits: Commits) -> datetime:
    """The end of the last closed window."""
    return datetime.fromtimestamp(commits.cursor.horizon or 0, UTC)


def windows_due(table: DeltaTable, due: Sequence[str], commits: Commits, columns: Sequence[str]) -> Windows:
    """The partitions of the lake's table that are to be published."""
    files = pa.table(table.get_add_actions(flatten=True))
    counts = zip(files[f"partition.{PERIOD}"].to_pylist(), files["num_records"].to_pylist(), strict=True)
    return Windows(
        subject=f"windows until {horizon_of(commits):%Y-%m-%d %H:%M:%S}",
        version=commits.version,
        rows=sum(count for period, count in counts if str(period) in due),
        look=lambda: to_frame(_newest(table, due, columns)),
    )


def _newest(table: DeltaTable, due: Sequence[str], columns: Sequence[str]) -> pa.Table:
    found: list[pa.Table] = []
    for period in reversed(due):
        if (left := SAMPLE - sum(each.num_rows for each in found)) > 0:
            rows = table.to_pyarrow_table(filters=[(PERIOD, "=", period)], columns=list(columns))
            found.append(rows.sort_by([(WINDOW_START, "descending")]).slice(0, left))
    return pa.concat_tables(found)


def lately(rollup: Rollup, commits: Commits) -> int:
    """Since when (epoch seconds) windows are asked for: the last hour before the horizon, or the last ten windows."""
    length = int(rollup.window.length.total_seconds())
    return max(0, (commits.cursor.horizon or 0) - max(_LATELY_S, _LATELY_WINDOWS * length))


def windows_read(client: Client, view: str, since: int, commits: Commits) -> Windows:
    """What readers of a view get of windows that ended after a moment.

    Raises:
        ClickHouseError: if it does not answer.
    """
    read, given = f"FROM {view} WHERE {WINDOW_END} > toDateTime({{since:Int64}}, 'UTC')", {"since": since}
    newest = f"SELECT * {read} ORDER BY {WINDOW_START} DESC LIMIT {SAMPLE}"
    return Windows(
        subject=f"what is read of windows until {horizon_of(commits):%Y-%m-%d %H:%M:%S}",
        version=commits.version,
        rows=int(client.query(f"SELECT count() {read}", parameters=given).result_rows[0][0]),
        look=lambda: to_frame(client.query_arrow(newest, parameters=given, use_strings=True)),
    )
