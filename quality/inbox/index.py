"""Which records were turned away, how many of a kind, and when? Answers from memory: everything but keys and payloads.

A record is some hundred bytes here, so a million of them are a hundred megabytes; what was turned away longer ago than
`KEPT` stays in the table and is not offered any more.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, Hop
from controlplane.contract.replays import RejectGroup, Status
from quality.rejects.record import SCHEMA
from quality.rejects.table import INDEXED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controlplane.contract.replays import Selection
    from quality.inbox.markers import Markers

KEPT = timedelta(days=90)
BUCKETS = 60
"""Of a trend."""
_CHUNKS_AT_MOST = 200
_MICROSECOND = timedelta(microseconds=1)
_GROUP = ("hop", "reason", "rules")
_STATUSES = (Status.WAITING, Status.REPLAYED, Status.DISCARDED)


class Index:
    """One stream's records without keys and payloads, and what was done with each."""

    def __init__(self, markers: Markers) -> None:
        self.markers = markers
        self._lock = threading.Lock()
        self._rows = _with_hop(pa.schema([SCHEMA.field(name) for name in INDEXED]).empty_table())
        self._seen: tuple[Any, pa.Table] | None = None
        self.version = 0
        """Grows with each change of the records."""

    def add(self, rows: pa.Table) -> None:
        """Records that are durable now."""
        added = _with_hop(rows.select(INDEXED))
        with self._lock:
            joined = pa.concat_tables([self._rows, added])
            self._rows = joined.combine_chunks() if joined["id"].num_chunks > _CHUNKS_AT_MOST else joined
            self.version += 1

    def replace(self, rows: pa.Table) -> None:
        """Only these records are there now."""
        with self._lock:
            self._rows = _with_hop(rows.select(INDEXED)).combine_chunks()
            self.version += 1

    def forget(self, before: datetime) -> None:
        """Drop what was turned away before."""
        with self._lock:
            self._rows = self._rows.filter(pc.field("rejected_at") >= pa.scalar(before, pa.timestamp("us", tz="UTC")))
            self.version += 1

    def rows(self) -> pa.Table:
        """All of them, with `status`."""
        with self._lock:
            key, rows = (self.version, self.markers.version), self._rows
        seen = self._seen
        if seen is None or seen[0] != key:
            self._seen = seen = (key, rows.append_column("status", status_of(rows["id"], self.markers)))
        return seen[1]

    def one(self, record: str) -> dict[str, Any] | None:
        """A record's row; None when it is not there."""
        found = self.rows().filter(pc.field("id") == record).to_pylist()
        return found[0] if found else None

    def from_raw(self, partition: int, offset: int) -> dict[str, Any] | None:
        """The record that a raw one became when it was turned away; None when it was not, or not yet."""
        is_it = (pc.field(SOURCE_PARTITION) == partition) & (pc.field(SOURCE_OFFSET) == offset)
        found = self.rows().filter(is_it).to_pylist()
        return found[0] if found else None


def status_of(ids: pa.ChunkedArray, markers: Markers) -> pa.ChunkedArray:
    """`waiting`, `replayed` or `discarded` for each id."""
    done = {status: pa.array(found, pa.string()) for status, found in markers.ids().items()}
    is_replayed = pc.is_in(ids, value_set=done[Status.REPLAYED])
    is_discarded = pc.is_in(ids, value_set=done[Status.DISCARDED])
    rest = pc.if_else(is_discarded, Status.DISCARDED.value, Status.WAITING.value)
    return pc.if_else(is_replayed, Status.REPLAYED.value, rest)


def _with_hop(rows: pa.Table) -> pa.Table:
    is_dead = pc.starts_with(rows["id"], f"{Hop.DEAD}:")
    return rows.append_column("hop", pc.if_else(is_dead, Hop.DEAD.value, Hop.QUARANTINE.value))


def chosen(rows: pa.Table, selection: Selection) -> pa.Table:
    """The rows that a selection fits; its `text` is not looked at, because payloads are not here."""
    if selection.ids:
        return rows.filter(pc.is_in(rows["id"], value_set=pa.array(selection.ids, pa.string())))
    equal = {
        "reason": selection.reason,
        "rules": selection.rules,
        "hop": selection.hop,
        "schema_id": selection.schema_id,
        "status": selection.status,
    }
    conditions = [pc.field(name) == value for name, value in equal.items() if value is not None]
    if selection.since is not None:
        conditions.append(pc.field("rejected_at") >= _moment(selection.since))
    if selection.until is not None:
        conditions.append(pc.field("rejected_at") < _moment(selection.until))
    for condition in conditions:
        rows = rows.filter(condition)
    if selection.rule is not None:
        listed = pc.binary_join_element_wise(",", rows["rules"], ",", "")
        rows = rows.filter(pc.match_substring(listed, f",{selection.rule},"))
    return rows


def groups(rows: pa.Table) -> tuple[RejectGroup, ...]:
    """Counts by reason and rules, the most waiting first."""
    counted = rows.group_by([*_GROUP, "status"]).aggregate(
        [("id", "count"), ("rejected_at", "min"), ("rejected_at", "max")]
    )
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in counted.to_pylist():
        one = found.setdefault(tuple(each[name] for name in _GROUP), {"first": [], "last": []})
        one[each["status"]] = each["id_count"]
        one["first"].append(each["rejected_at_min"])
        one["last"].append(each["rejected_at_max"])
    made = [_group(key, one) for key, one in found.items()]
    return tuple(sorted(made, key=lambda each: (-each.waiting, -each.records, each.reason, each.rules)))


def _group(key: tuple[str, ...], one: Mapping[str, Any]) -> RejectGroup:
    counts = {str(status): one.get(status, 0) for status in _STATUSES}
    hop, reason, rules = key
    return RejectGroup(
        hop=Hop(hop),
        reason=reason,
        rules=rules,
        records=sum(counts.values()),
        first_at=min(one["first"]),
        last_at=max(one["last"]),
        **counts,
    )


def trend(rows: pa.Table, since: datetime, until: datetime) -> dict[tuple[str, ...], list[int]]:
    """Counts by reason and rules in `BUCKETS` equal stretches of `[since, until)`, oldest first."""
    width = max(1, (until - since) // _MICROSECOND // BUCKETS)
    start = since.timestamp() * 1_000_000
    moved = pc.subtract(pc.cast(rows["rejected_at"], pa.int64()), pa.scalar(int(start), pa.int64()))
    bucket = pc.cast(pc.floor(pc.divide(pc.cast(moved, pa.float64()), float(width))), pa.int64())
    counted = rows.append_column("bucket", bucket).group_by([*_GROUP, "bucket"]).aggregate([("id", "count")])
    found: dict[tuple[str, ...], list[int]] = {}
    for each in counted.to_pylist():
        line = found.setdefault(tuple(each[name] for name in _GROUP), [0] * BUCKETS)
        if 0 <= each["bucket"] <= BUCKETS:
            line[min(each["bucket"], BUCKETS - 1)] += each["id_count"]
    return found


def page(rows: pa.Table, limit: int, before: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
    """The newest records first, and the cursor of the next page; None after the last one.

    Raises:
        ValueError: if the cursor is none of ours.
    """
    if before is not None:
        at, _, record = before.partition("~")
        moment = _moment(datetime.fromtimestamp(0, UTC) + int(at) * _MICROSECOND)
        is_older = pc.field("rejected_at") < moment
        rows = rows.filter(is_older | ((pc.field("rejected_at") == moment) & (pc.field("id") < record)))
    order = [("rejected_at", "descending"), ("id", "descending")]
    newest = rows.take(pc.select_k_unstable(rows, k=limit + 1, sort_keys=order)).to_pylist()
    found = newest[:limit]
    if len(newest) <= limit:
        return found, None
    last = found[-1]
    return found, f"{(last['rejected_at'] - datetime.fromtimestamp(0, UTC)) // _MICROSECOND}~{last['id']}"


def days_of(rows: pa.Table) -> tuple[Any, Any]:
    """The first and the last day of some rows."""
    found = pc.min_max(rows["day"]).as_py()
    return found["min"], found["max"]


def counts_of(rows: pa.Table) -> dict[str, int]:
    """Records by status, and `total`."""
    found: Sequence[Any] = pc.value_counts(rows["status"].combine_chunks()).to_pylist()
    return {"total": rows.num_rows, **dict.fromkeys(map(str, _STATUSES), 0)} | {
        each["values"]: each["counts"] for each in found
    }


def _moment(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", tz="UTC"))
