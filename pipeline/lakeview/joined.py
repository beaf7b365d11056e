"""Which rows of two tables are the same by key, and where do two columns differ? Null is a value here like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

AT, NTH = "tidegate_at", "tidegate_nth"
"""Of `codes_of`: where a row stands in its table, and which of the rows of its key it is."""


def codes_of(old: pa.Table, new: pa.Table, key: Sequence[str]) -> pd.DataFrame:
    """Of all rows of both the key as whole numbers, null being a value like any other, and where each row stands.

    The n-th row of a key is joined with the other side's n-th: one that was doubled is seen as one that was added.
    """
    codes = pd.DataFrame({name: _encoded(old.column(name), new.column(name)) for name in key})
    sides = np.repeat([0, 1], [old.num_rows, new.num_rows])
    nth = codes.groupby([*codes.columns, pd.Series(sides, name="side")], sort=False).cumcount()
    at = np.concatenate([np.arange(old.num_rows), np.arange(new.num_rows)])
    return codes.assign(**{NTH: nth, AT: pd.Series(at)})


def _encoded(old: pa.ChunkedArray, new: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if old.type != new.type or pa.types.is_nested(old.type):
        old, new = _written(old), _written(new)
    chunks = pa.chunked_array([*old.chunks, *new.chunks], type=old.type).combine_chunks()
    encoded = pc.dictionary_encode(chunks, null_encoding="encode")
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False))


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array(
        [pa.array([None if each is None else str(each) for each in column.to_pylist()], pa.string())]
    )


def differs_in(old: pa.ChunkedArray, new: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """True where two columns of one length say something else; null is equal to null, and no number to no number."""
    if old.type != new.type and all(pa.types.is_integer(e.type) or pa.types.is_floating(e.type) for e in (old, new)):
        old, new = pc.cast(old, pa.float64()), pc.cast(new, pa.float64())
    if old.type != new.type or pa.types.is_nested(old.type):
        old, new = _written(old), _written(new)
    differs = pc.coalesce(pc.not_equal(old, new), pc.xor(pc.is_null(old), pc.is_null(new)))
    if pa.types.is_floating(old.type):
        neither = pc.and_(
            pc.fill_null(pc.is_nan(old), pa.scalar(False)), pc.fill_null(pc.is_nan(new), pa.scalar(False))
        )
        differs = pc.and_(differs, pc.invert(neither))
    return np.asarray(differs.to_numpy())
