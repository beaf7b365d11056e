"""Up to where does the lake have every event? The newest commits that say so, read from Delta's logs without Spark.

A JVM that has just started takes seconds for a question that the log answers at once. A micro-batch is either in the events or
was diverted, so the lake ends where the later of the two tables does.
"""

from __future__ import annotations

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from pipeline.lake.commits import history_of
from pipeline.lake.offsets import ranges_in

_COMMITS = 50


def held_in(events: str, *others: str) -> tuple[bool, dict[int, int] | None]:
    """Is there a table of events, and partition -> end offset (exclusive); None when no commit of it names its offsets.

    Args:
        events: path of the events table.
        others: paths of tables to which micro-batches go that don't go there.
    """
    has_table, held = _held_in(events)
    if held is None:
        return has_table, None
    ends = [held, *(found for _, found in map(_held_in, others) if found is not None)]
    return True, {each: max(found.get(each, 0) for found in ends) for each in set().union(*ends)}


def _held_in(path: str) -> tuple[bool, dict[int, int] | None]:
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return False, None
    for limit in (_COMMITS, None):
        found = (ranges_in(commit.get("userMetadata")) for commit in history_of(table, limit))
        newest = next((ranges for ranges in found if ranges is not None), None)
        if newest is not None:
            return True, {partition: until for partition, (_, until) in newest.items()}
    return True, None
