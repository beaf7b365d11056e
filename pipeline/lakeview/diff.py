"""What is different between two versions of a table? Rows by key: added, removed and changed, and by column how many.

Files that both versions have hold the same rows, so only the others are read. Where one version has files that the other has not,
and nothing was taken away, every row of them is new: their statistics count them. Everything else is read and joined by key, a
bounded part of it: whole partitions, the newest first, and of one that is too large by itself each n-th key, chosen by the key's
hash so that both sides choose the same. What was looked at is said with the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError

from controlplane.contract.rollups import WINDOW_START
from pipeline.lakeview.joined import AT, codes_of, differs_in
from pipeline.lakeview.refused import LakeRefusedError
from pipeline.lakeview.rows import plain, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

READ_AT_MOST = 2_000_000
"""Rows that are looked at, of both versions together."""
HELD_AT_MOST = 300_000
"""Rows that are in memory, of both versions together."""


@dataclass(frozen=True)
class Side:
    """One of the two versions: its files that the other has not, by partition."""

    schema: pa.Schema
    fragments: Mapping[str, Sequence[ds.Fragment]]
    """Partition as it is written (`event_date=2013-01-07`; empty when the table has none) -> files."""
    rows: Mapping[str, int]
    """Of these files."""
    files: frozenset[str]
    """Of the version, all."""


@dataclass(frozen=True)
class Limits:
    """How much is looked at."""

    read: int = READ_AT_MOST
    held: int = HELD_AT_MOST
    examples: int = 20


def sides(uri: str, before: int, after: int) -> tuple[Side, Side]:
    """What each version has that the other has not.

    Raises:
        LakeRefusedError: if one can't be read without Spark.
    """
    try:
        old, new = DeltaTable(uri, version=before), DeltaTable(uri, version=after)
        found = [(each.to_pyarrow_dataset(), _rows_by_file(each)) for each in (old, new)]
    except (DeltaError, DeltaProtocolError) as error:
        raise LakeRefusedError(f"versions {before} and {after} can't be compared here: {error}") from error
    names = [frozenset(rows) for _, rows in found]
    both = names[0] & names[1]
    return _side(*found[0], both), _side(*found[1], both)


def _rows_by_file(table: DeltaTable) -> dict[str, int]:
    actions = pa.table(table.get_add_actions(flatten=True))
    return dict(
        zip(map(unquote, actions.column("path").to_pylist()), actions.column("num_records").to_pylist(), strict=True)
    )


def _side(dataset: ds.Dataset, rows: Mapping[str, int], both: frozenset[str]) -> Side:
    fragments: dict[str, list[ds.Fragment]] = {}
    counts: dict[str, int] = {}
    for each in dataset.get_fragments():
        if each.path in both:
            continue
        partition = each.path.rpartition("/")[0]
        fragments.setdefault(partition, []).append(each)
        known = rows.get(each.path)
        counts[partition] = counts.get(partition, 0) + (each.count_rows() if known is None else known)
    return Side(dataset.schema, fragments, counts, frozenset(rows))


def compare(before: Side, after: Side, key: Sequence[str], limits: Limits | None = None) -> dict[str, Any]:
    """What differs.

    Args:
        before: the one version's, from `sides`.
        after: the other version's.
        key: columns that name a row; empty: a row is its own name, so none is changed.
        limits: how much is looked at.
    """
    limits = limits or Limits()
    partitions = sorted(before.fragments.keys() | after.fragments.keys(), reverse=True)
    joined = [each for each in partitions if each in before.fragments and each in after.fragments]
    looked, nth = _looked_at(joined, before, after, limits)
    same_type = [f for f in after.schema.names if f in before.schema.names]
    columns = [each for each in same_type if each not in key]
    found = _Found(limits.examples, list(key) or same_type, columns if key else [])
    alone = [each for each in partitions if each not in joined]
    if len(joined) == len(looked) and nth == 1 and _rows(before, after, partitions) <= limits.held:
        # All of it fits: a row that has moved from one partition to another is then one that has changed.
        found.join(_held(before, partitions, found.key, 1), _held(after, partitions, found.key, 1))
    else:
        for each in looked:
            found.join(_held(before, [each], found.key, nth), _held(after, [each], found.key, nth))
        for each in alone:
            found.only(before, each, "removed")
            found.only(after, each, "added")
    return {
        "is_same": not partitions,
        "key": list(key),
        "columns_added": [each for each in after.schema.names if each not in before.schema.names],
        "columns_removed": [each for each in before.schema.names if each not in after.schema.names],
        "types_changed": {
            each: [str(before.schema.field(each).type), str(after.schema.field(each).type)]
            for each in same_type
            if before.schema.field(each).type != after.schema.field(each).type
        },
        "files": {
            "added": len(after.files - before.files),
            "removed": len(before.files - after.files),
            "shared": len(before.files & after.files),
        },
        "looked_at": {
            "partitions": len(looked) + len(alone),
            "of": len(partitions),
            "each_nth_key": nth,
            "is_whole": len(looked) == len(joined) and nth == 1,
        },
        **found.told(),
    }


def _rows(before: Side, after: Side, partitions: Sequence[str]) -> int:
    return sum(side.rows.get(each, 0) for side in (before, after) for each in partitions)


def _looked_at(joined: Sequence[str], before: Side, after: Side, limits: Limits) -> tuple[list[str], int]:
    """Partitions that are joined, and each how many-th of their keys."""
    taken: list[str] = []
    largest = whole = 0
    for each in joined:
        rows = _rows(before, after, [each])
        if taken and whole + rows > limits.read:
            break
        taken.append(each)
        whole, largest = whole + rows, max(largest, rows)
    return taken, max(1, -(-largest // limits.held))


def _held(side: Side, partitions: Sequence[str], key: Sequence[str], nth: int) -> pa.Table:
    """Rows of some partitions, each n-th key."""
    fragments = [fragment for each in partitions for fragment in side.fragments.get(each, ())]
    batches = [_chosen(batch, key, nth) for batch in _batches(side, fragments)]
    return pa.Table.from_batches(batches, side.schema) if batches else side.schema.empty_table()


def _batches(side: Side, fragments: Sequence[ds.Fragment]) -> Iterator[pa.RecordBatch]:
    for fragment in fragments:
        yield from fragment.to_batches(schema=side.schema, columns=side.schema.names)


def _chosen(batch: pa.RecordBatch, key: Sequence[str], nth: int) -> pa.RecordBatch:
    if nth == 1 or not batch.num_rows:
        return batch
    frame = pd.DataFrame({name: _hashable(batch.column(name)) for name in key})
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return batch.filter(pa.array(hashes % np.uint64(nth) == 0))


def _hashable(column: pa.Array) -> pd.Series:
    return column.to_pandas() if not pa.types.is_nested(column.type) else pd.Series(map(str, column.to_pylist()))


class _Found:
    """What was found so far."""

    def __init__(self, examples: int, key: Sequence[str], columns: Sequence[str]) -> None:
        self.key, self._columns, self._examples = key, columns, examples
        self._counts = {"added": 0, "removed": 0, "changed": 0, "same": 0}
        self._shown: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": []}
        self._differs = dict.fromkeys(columns, 0)
        self._largest: dict[str, float] = {}
        self._windows: set[Any] = set()

    def only(self, side: Side, partition: str, what: str) -> None:
        """Files of a partition that only one version has any of: counted, and a few rows read."""
        self._counts[what] += side.rows.get(partition, 0)
        fragments = side.fragments.get(partition, ())
        for fragment in fragments:
            room = self._examples - len(self._shown[what])
            if room > 0:
                head = fragment.scanner(schema=side.schema, columns=side.schema.names).head(room)
                self._shown[what] += rows_of(head)
        if WINDOW_START in side.schema.names:
            for fragment in fragments:
                starts = fragment.to_table(schema=side.schema, columns=[WINDOW_START])
                self._windows.update(starts.column(0).unique().to_pylist())

    def join(self, old: pa.Table, new: pa.Table) -> None:
        """Rows of both, by key."""
        codes = codes_of(old, new, self.key)
        left, right = codes[: old.num_rows], codes[old.num_rows :]
        both = left.merge(right, on=[*left.columns.difference([AT])], suffixes=("_old", "_new"))
        at_old, at_new = both[f"{AT}_old"].to_numpy(), both[f"{AT}_new"].to_numpy()
        gone = np.setdiff1d(np.arange(old.num_rows), at_old)
        come = np.setdiff1d(np.arange(new.num_rows), at_new)
        self._took("removed", old.take(pa.array(gone)))
        self._took("added", new.take(pa.array(come)))
        self._changed(old.take(pa.array(at_old)), new.take(pa.array(at_new)))

    def _took(self, what: str, rows: pa.Table) -> None:
        self._counts[what] += rows.num_rows
        self._shown[what] += rows_of(rows.slice(0, max(0, self._examples - len(self._shown[what]))))
        self._note_windows(rows)

    def _changed(self, old: pa.Table, new: pa.Table) -> None:
        differs = {name: differs_in(old.column(name), new.column(name)) for name in self._columns}
        any_differs = np.zeros(old.num_rows, dtype=bool)
        for name, mask in differs.items():
            any_differs |= mask
            self._differs[name] += int(mask.sum())
            self._note_largest(name, old.column(name), new.column(name))
        where = np.flatnonzero(any_differs)
        self._counts["changed"] += len(where)
        self._counts["same"] += old.num_rows - len(where)
        self._note_windows(new.take(pa.array(where)))
        for at in where[: max(0, self._examples - len(self._shown["changed"]))]:
            self._shown["changed"].append(
                {
                    "key": {name: plain(new.column(name)[int(at)].as_py()) for name in self.key},
                    "columns": {
                        name: [plain(side.column(name)[int(at)].as_py()) for side in (old, new)]
                        for name, mask in differs.items()
                        if mask[at]
                    },
                }
            )

    def _note_largest(self, name: str, old: pa.ChunkedArray, new: pa.ChunkedArray) -> None:
        if not all(pa.types.is_integer(each.type) or pa.types.is_floating(each.type) for each in (old, new)):
            return
        apart = pc.max(pc.abs(pc.subtract(pc.cast(new, pa.float64()), pc.cast(old, pa.float64())))).as_py()
        if apart is not None and np.isfinite(apart):
            self._largest[name] = max(apart, self._largest.get(name, 0.0))

    def _note_windows(self, rows: pa.Table) -> None:
        if WINDOW_START in rows.column_names:
            self._windows.update(rows.column(WINDOW_START).unique().to_pylist())

    def told(self) -> dict[str, Any]:
        """As the API says it."""
        by_count = sorted(self._differs.items(), key=lambda each: -each[1])
        columns = [
            {"column": name, "differs": count, "largest": self._largest.get(name)} for name, count in by_count if count
        ]
        windows = sorted(each for each in self._windows if each is not None)
        spans = {"differ": len(windows), "first": plain(windows[0]), "last": plain(windows[-1])} if windows else None
        return {"rows": self._counts, "columns": columns, "examples": self._shown, "windows": spans}
