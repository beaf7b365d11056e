"""What has changed in a day's rows? Two tables with the same keys, column by column, so that only one column of each is held.

Rows are told by where they came from in the raw topic, which no definition changes. Two values differ when one is null and the
other is not, or when they are unequal; not a number is the same as not a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Column = Callable[[str], pa.ChunkedArray | None]
    """A column by its name; None where there is none, which is as if it were null in each row."""

KEYS = (SOURCE_PARTITION, SOURCE_OFFSET)
EXAMPLES = 5
"""Of a column."""


@dataclass
class Differences:
    """Between what was there and what was made again."""

    before: int = 0
    after: int = 0
    gone: int = 0
    """Rows that were there and are not made again."""
    added: int = 0
    changed: int = 0
    """Rows that are in both and not the same."""
    columns: dict[str, int] = field(default_factory=dict)
    """Column -> rows in which it differs."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """Key, column, before, after; a few of each column."""

    @property
    def is_none(self) -> bool:
        """Is all as it was?"""
        return not (self.gone or self.added or self.changed)

    def add(self, other: Differences) -> None:
        """Those of another part of the rows."""
        for name in ("before", "after", "gone", "added", "changed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for column, rows in other.columns.items():
            self.columns[column] = self.columns.get(column, 0) + rows
        for each in other.examples:
            if sum(one["column"] == each["column"] for one in self.examples) < EXAMPLES:
                self.examples.append(each)

    def as_json(self) -> dict[str, Any]:
        """For a stage's result."""
        return {
            "before": self.before,
            "after": self.after,
            "gone": self.gone,
            "added": self.added,
            "changed": self.changed,
            "columns": dict(sorted(self.columns.items(), key=lambda each: -each[1])),
            "examples": self.examples,
        }


def differences(old: Column, new: Column, columns: Sequence[str]) -> Differences:
    """Compare two tables.

    Args:
        old: gives a column of what was there; it has the keys.
        new: the same of what was made again.
        columns: which to compare, without the keys.
    """
    mine, theirs = _keys(old), _keys(new)
    one, other = _order(mine), _order(theirs)
    if len(mine) != len(theirs) or not np.array_equal(mine[one], theirs[other]):
        both = np.intersect1d(mine, theirs)
        one, other = one[np.isin(mine[one], both)], other[np.isin(theirs[other], both)]
    found = Differences(len(mine), len(theirs), len(mine) - len(one), len(theirs) - len(other))
    keys, differs = mine[one], np.zeros(len(one), dtype=bool)
    for column in columns:
        before, after = (_taken(each(column), order) for each, order in ((old, one), (new, other)))
        mask = _differ(before, after, len(one))
        if not mask.any():
            continue
        differs |= mask
        found.columns[column] = int(mask.sum())
        found.examples += [
            {
                "key": f"{keys[at][0]}:{keys[at][1]}",
                "column": column,
                "before": _shown(before, int(at)),
                "after": _shown(after, int(at)),
            }
            for at in np.flatnonzero(mask)[:EXAMPLES]
        ]
    found.changed = int(differs.sum())
    return found


def _keys(column: Column) -> np.ndarray[Any, Any]:
    found = [column(each) for each in KEYS]
    keys = np.empty(len(found[0] or ()), dtype=[(each, "<i8") for each in KEYS])
    for name, values in zip(KEYS, found, strict=True):
        keys[name] = pc.cast(values, pa.int64()).to_numpy()
    return keys


def _order(keys: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As `np.argsort` by both, in a sixth of its time."""
    return np.lexsort([keys[each] for each in reversed(KEYS)])


def _taken(values: pa.ChunkedArray | None, order: np.ndarray[Any, Any]) -> pa.ChunkedArray | None:
    return None if values is None else values.take(pa.array(order))


def _differ(one: pa.ChunkedArray | None, other: pa.ChunkedArray | None, rows: int) -> np.ndarray[Any, Any]:
    if one is None or other is None:
        there = one if one is not None else other
        return np.zeros(rows, dtype=bool) if there is None else pc.is_valid(there).to_numpy()
    if one.type != other.type:
        other = other.cast(one.type)
    unequal = pc.fill_null(pc.not_equal(one, other), False)  # noqa: FBT003 (Arrow's)
    if pa.types.is_floating(one.type):
        unequal = pc.and_(unequal, pc.invert(_both_nan(one, other)))
    differs: np.ndarray[Any, Any] = pc.or_(unequal, pc.xor(pc.is_null(one), pc.is_null(other))).to_numpy()
    return differs


def _both_nan(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.and_(*(pc.fill_null(pc.is_nan(each), False) for each in (one, other)))  # noqa: FBT003 (Arrow's)


def _shown(values: pa.ChunkedArray | None, at: int) -> Any:  # noqa: ANN401 (JSON)
    value = None if values is None else values[at].as_py()
    return value.isoformat() if isinstance(value, date | datetime) else value
