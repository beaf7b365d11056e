"""Which records were turned away once, that a changed rule might let through? As Spark's Kafka source would give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import functions as sf

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION
from controlplane.contract.rejects import ID

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyspark.sql import DataFrame, SparkSession


def rejects_version(path: str) -> int | None:
    """The newest version of the table; None while nothing was turned away."""
    try:
        return DeltaTable(path).version()
    except TableNotFoundError:
        return None


def records_of(session: SparkSession, path: str, version: int, settled: Collection[str] = ()) -> DataFrame:
    """Key, value, partition, offset and timestamp of each raw record, but of those that were replayed or discarded.

    Args:
        session: reads them.
        path: of the table `rejects`.
        version: of it.
        settled: ids of records that came in another way since, or that nobody wants.
    """
    kept = session.read.format("delta").option("versionAsOf", version).load(path)
    if settled:
        done = session.createDataFrame(pa.table({ID: sorted(settled)}))
        kept = kept.join(sf.broadcast(done), ID, "left_anti")
    return kept.select(
        "key",
        "value",
        sf.col(SOURCE_PARTITION).alias("partition"),
        sf.col(SOURCE_OFFSET).alias("offset"),
        sf.col("seen_at").alias("timestamp"),
    )
