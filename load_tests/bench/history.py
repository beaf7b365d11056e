"""How does a lake get months of events in a minute? Straight into the shop's table, as an older definition would have left them.

They name no place in Kafka (a negative partition) and their commits say that they are a backfill's, so neither the ledger nor the
tables that follow take them for new. Their products are unknown: a backfill by today's definition finds them, so it changes every
row.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake

from controlplane.contract.names import EVENT_DATE, lake_table
from pipeline.feed import shop
from pipeline.lake.lineage import with_backfill

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from controlplane.contract.streams import StreamDefinition

_DISTINCT = 100_000
_AT_ONCE = 500_000
_US_A_DAY = 86_400_000_000


def make_history(lake_root: str, stream: StreamDefinition, rows: int, days: int, told: Callable[[str], None]) -> date:
    """Write rows of the last days before today, alike on each; the last day."""
    folder = lake_table(lake_root, stream.name)
    schema = pa.schema(DeltaTable(folder).schema().to_arrow())
    template = _template(schema)
    last = datetime.now(UTC).date() - timedelta(days=1)
    offset, a_day = 0, -(-rows // days)
    for back in range(days):
        day = last - timedelta(days=back)
        left = min(a_day, rows - offset)
        for first in range(0, left, _AT_ONCE):
            count = min(_AT_ONCE, left - first)
            _append(folder, _of_day(template, day, first, count, left, offset), schema)
            offset += count
        told(f"{offset:,} events of {days} days are in the lake")
    return last


def _template(schema: pa.Schema) -> pa.Table:
    made = [event.value for event in shop.events(lambda: datetime.now(UTC), seed=11, until=_DISTINCT)]
    names = [each.name for each in schema if each.name in made[0]]
    columns = {name: pa.array([each[name] for each in made], schema.field(name).type) for name in names}
    return pa.table(columns)


def _of_day(template: pa.Table, day: date, first: int, count: int, of: int, offset: int) -> pa.Table:  # noqa: PLR0913, PLR0917 (where it lies)
    rows = template.take(pa.array(np.arange(first, first + count) % template.num_rows))
    midnight = int(datetime.combine(day, time(), UTC).timestamp() * 1_000_000)
    at = midnight + (np.arange(first, first + count, dtype="int64") * (_US_A_DAY // of) // 1000) * 1000
    moments = pa.array(at, pa.timestamp("us", "UTC"))
    given = {
        "event_time": moments,
        "tg_raw_at": moments,
        "tg_partition": pa.array(np.full(count, -1), pa.int64()),
        "tg_offset": pa.array(np.arange(offset, offset + count, dtype="int64")),
        "tg_references": pa.array(["before"] * count),
        EVENT_DATE: pa.array([day] * count, pa.date32()),
    }
    return pa.table({**{name: rows[name] for name in rows.column_names if name not in given}, **given})


def _append(folder: str, rows: pa.Table, schema: pa.Schema) -> None:
    columns = {
        each.name: rows[each.name].cast(each.type)
        if each.name in rows.column_names
        else pa.nulls(rows.num_rows, each.type)
        for each in schema
    }
    write_deltalake(
        folder,
        pa.table(columns, schema=schema),
        mode="append",
        commit_properties=CommitProperties(custom_metadata={"userMetadata": with_backfill(None, "bench")}),
        post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
    )
