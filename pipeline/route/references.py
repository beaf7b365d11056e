"""How does a small reference table get into a query? As a Spark DataFrame whose types are those of `<s>.valid`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.valid import reference_columns

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition

_PANDAS = {"long": "Int64", "double": "Float64", "boolean": "boolean", "string": "string"}
_SPARK = {"long": "bigint", "double": "double", "boolean": "boolean", "string": "string"}


def references_of(session: SparkSession, stream: StreamDefinition) -> dict[str, DataFrame]:
    """Every reference table of a stream, by name."""
    names = {join.reference for join in stream.enrich}
    return {name: _table(session, stream.reference_file(name)) for name in sorted(names)}


def _table(session: SparkSession, file: Path) -> DataFrame:
    import pandas as pd
    import pyarrow as pa

    columns = reference_columns(file)
    if file.suffix == ".parquet":
        frame = session.read.parquet(str(file))
        return frame.select(*(frame[name].cast(_SPARK[kind]) for name, kind in columns.items()))
    cells = pd.read_csv(
        file, dtype={name: _PANDAS[kind] for name, kind in columns.items()}, keep_default_na=False, na_values=["", "NA"]
    )
    table = pa.Table.from_pandas(cells, preserve_index=False)
    return session.createDataFrame(table).select(*(f"`{name}`" for name in columns))
