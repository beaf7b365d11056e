"""Up to where does the table have every event? Its newest commit that says so, read from Delta's log without Spark.

A JVM that has just started takes seconds for a question that the log answers at once.
"""

from __future__ import annotations

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from pipeline.lake.offsets import ranges_in

_COMMITS = 50


def held_in(path: str) -> tuple[bool, dict[int, int] | None]:
    """Is there a table, and partition -> end offset (exclusive); None when no commit names its offsets."""
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return False, None
    for limit in (_COMMITS, None):
        found = (ranges_in(commit.get("userMetadata")) for commit in table.history(limit))
        newest = next((ranges for ranges in found if ranges is not None), None)
        if newest is not None:
            return True, {partition: until for partition, (_, until) in newest.items()}
    return True, None
