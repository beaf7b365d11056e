"""Which rows change when a table goes to another version? Counted by key, with examples; only files that differ are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.arrow import to_frame
from pipeline.rollback.files import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.rollback.files import Versions

ROWS_AT_MOST = 300_000
"""Rows of files that differ, on both sides together; more are counted by the log alone."""
_EXAMPLES = 5


def changes(versions: Versions, then: int, key: Sequence[str]) -> dict[str, Any]:
    """From a table as it is now to one of its versions; `then` below 0 is an empty table.

    Returns:
        `now` and `then` (rows, None when unknown), `goes`, `comes_back` and `changes` (rows by key, None when not compared, with
        `reason`), and `examples` of each.

    Raises:
        DeltaError, OSError, ArrowException: if a version or file cannot be read.
    """
    now, before = versions.files(versions.now), versions.files(then) if then >= 0 else {}
    counts = {"now": total(now.values()), "then": total(before.values())}
    gone, back = now.keys() - before.keys(), before.keys() - now.keys()
    rows = total([*(now[each] for each in gone), *(before[each] for each in back)])
    if rows is None or rows > ROWS_AT_MOST:
        said = "an unknown number of" if rows is None else f"{rows:,}"
        nothing: dict[str, Any] = {"goes": None, "comes_back": None, "changes": None, "examples": {}}
        return {**counts, **nothing, "reason": f"{said} rows are in files that differ: too many to compare each"}
    found = compared(to_frame(versions.read(gone)), to_frame(versions.read(back)), key)
    return {**counts, **found, "reason": None}


def compared(now: pd.DataFrame, then: pd.DataFrame, key: Sequence[str]) -> dict[str, Any]:
    """Rows of `now` that go, of `then` that come back, and of both whose other columns differ."""
    columns = sorted({*now.columns, *then.columns} - set(key))
    one, other = (each.reindex(columns=[*key, *columns]) for each in (now, then))
    both = one.merge(other, on=list(key), how="outer", indicator=True, suffixes=("", " then"))
    in_both = both[both["_merge"] == "both"]
    differ = pd.Series(data=False, index=in_both.index)
    for each in columns:
        old, new = in_both[each], in_both[f"{each} then"]
        is_same = (old == new).fillna(value=False).astype(bool)
        differ |= ~(is_same | (old.isna() & new.isna()))
    sides = {
        "goes": both[both["_merge"] == "left_only"][[*key, *columns]],
        "comes_back": both[both["_merge"] == "right_only"][[*key, *(f"{each} then" for each in columns)]],
        "changes": in_both[differ].drop(columns="_merge"),
    }
    examples = {name: _written(frame.head(_EXAMPLES)) for name, frame in sides.items()}
    return {**{name: len(frame) for name, frame in sides.items()}, "examples": examples}


def _written(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in frame.astype(object).to_dict(orient="records")
    ]


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a table holds)
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):  # noqa: PLR0124 (a NaN)
        return None
    if isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
