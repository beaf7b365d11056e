"""How is a record kept exactly once? The commit that has it says up to which offset its topic was read.

Each partition of each topic is an application of its own in Delta's sense (`txn` actions, which checkpoints keep): its
version is the next offset. A process that was killed reads on from there, and two processes that add at the same time
collide in the log instead of writing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pd
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from controlplane.contract.names import DIVERTED, REJECTS, lake_table
from quality.rejects.record import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

_BLOCK = 20_000
_BATCH = ("batch", "reason", "rules", "suite")
INDEXED = [name for name in SCHEMA.names if name not in ("key", "value")]
"""Columns that are small: what lists and groups are made of."""


@dataclass(frozen=True)
class Place:
    """A partition of one of the topics."""

    topic: str
    partition: int

    @property
    def application(self) -> str:
        """Its name in the table's log."""
        return f"tidegate-rejects:{self.topic}:{self.partition}"


class RejectsTable:
    """A stream's `rejects`; not there until the first record."""

    def __init__(self, lake_root: str, stream: str) -> None:
        self.path = lake_table(lake_root, stream, REJECTS)
        self._diverted = lake_table(lake_root, stream, DIVERTED)
        self._batches: tuple[int, list[dict[str, Any]]] | None = None
        self._table: DeltaTable | None = None
        """As it was when offsets were read, and with what was appended since: what another process adds collides with that."""

    def load(self) -> pa.Table:
        """Look at the table anew: every record without its key and value."""
        self._table = opened(self.path)
        return _read(self._table)

    def offsets(self, places: Sequence[Place]) -> dict[Place, int]:
        """Where to read on, as it was loaded: place -> next offset; only those that something was kept of."""
        if self._table is None:
            return {}
        found = {place: self._table.transaction_version(place.application) for place in places}
        return {place: int(offset) for place, offset in found.items() if offset is not None}

    def append(self, rows: pa.Table, until: Mapping[Place, int]) -> None:
        """Keep rows, and that their topics are read up to these offsets, in one commit.

        Raises:
            DeltaError, OSError: if nothing was written, or if another process has added from the same topics meanwhile.
        """
        transactions = [Transaction(place.application, offset) for place, offset in until.items()]
        write_deltalake(
            self._table or self.path,
            rows,
            mode="error" if self._table is None else "append",  # one that another process has made meanwhile
            partition_by="day",
            commit_properties=CommitProperties(app_transactions=transactions),
        )
        if self._table is None:
            self._table = DeltaTable(self.path, version=0)

    def diverted(self) -> list[dict[str, Any]]:
        """Diverted micro-batches, the newest first: `batch`, `reason`, `rules`, `suite`, `records`, `first_at`, `last_at`.

        A micro-batch may have a million records, so they are counted once for a version of the table.
        """
        table = opened(self._diverted)
        if table is None:
            return []
        if self._batches is None or self._batches[0] != table.version():
            self._batches = (table.version(), _batches(table))
        return self._batches[1]

    def payloads(self, ids: Sequence[str], days: tuple[date, date], *, text: bytes | None = None) -> Iterator[pa.Table]:
        """These records with key and value, in pieces of some thousand, in the order of the table's files.

        Args:
            ids: which.
            days: the first and the last day of them: other partitions are not read.
            text: only those whose value has these bytes somewhere.
        """
        table = opened(self.path)
        if table is None or not ids:
            return
        condition = (pc.field("day") >= days[0]) & (pc.field("day") <= days[1])
        condition &= pc.field("id").isin(pa.array(ids, pa.string()))
        scanner = table.to_pyarrow_dataset().scanner(filter=condition, batch_size=_BLOCK, batch_readahead=2)
        for batch in scanner.to_batches():
            found = pa.table(batch)
            if text is not None and found.num_rows:
                found = found.filter(pc.fill_null(pc.match_substring(found["value"], text), False))
            if found.num_rows:
                yield found


def opened(path: str) -> DeltaTable | None:
    """A table; None where there is none."""
    try:
        return DeltaTable(path)
    except TableNotFoundError:
        return None


def _batches(table: DeltaTable) -> list[dict[str, Any]]:
    rows = table.to_pyarrow_dataset().to_table(columns=[*_BATCH, "rejected_at"])
    found = rows.group_by(list(_BATCH)).aggregate([([], "count_all"), ("rejected_at", "min"), ("rejected_at", "max")])
    made = [
        {
            **{name: each[name] for name in _BATCH},
            "records": each["count_all"],
            "first_at": each["rejected_at_min"],
            "last_at": each["rejected_at_max"],
        }
        for each in found.to_pylist()
    ]
    return sorted(made, key=lambda each: (each["last_at"], each["batch"]), reverse=True)


def _read(table: DeltaTable | None) -> pa.Table:
    schema = pa.schema([SCHEMA.field(name) for name in INDEXED])
    if table is None:
        return schema.empty_table()
    dataset: pd.Dataset = table.to_pyarrow_dataset()
    found: Any = dataset.to_table(columns=INDEXED)
    return found.cast(schema)
