"""How do rows come to pandas without changing on the way?

A null would make a float of a whole number, in which large ones are no longer told apart: such columns take pandas' own types
for numbers that may be null. Moments keep their zone, UTC.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """The rows in pandas."""
    found: pd.DataFrame = rows.to_pandas(types_mapper=_NULLABLE.get)
    return found
