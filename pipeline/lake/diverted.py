"""What becomes of a micro-batch that its gate does not let through? Its records go to the table `diverted`, bytes and all.

The write carries the same identity and number as an append would, in a table of its own. So a batch that a crash interrupts
is found in one of the two and goes nowhere else, even if the suite was changed in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import functions as sf

from controlplane.contract.gates import Stage
from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME, Hop, Reason
from controlplane.contract.rejects import ID, REJECT_COLUMNS
from pipeline.maintenance.promise import STATS, promised

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from controlplane.contract.streams import StreamDefinition

_SKIPPED_BY = (SOURCE_PARTITION, SOURCE_OFFSET, "batch")


@dataclass(frozen=True)
class Diverted:
    """What all records of a diverted micro-batch have in common."""

    batch: str
    """`<checkpoint's identity>:<number>`; what an order to release names."""
    rules: str
    """The broken ones, comma-separated."""
    suite: str
    """Fingerprint."""


def rejected(valid: DataFrame, schema_id: Column, event: Column, diverted: Diverted) -> DataFrame:
    """Rows of `diverted`.

    Args:
        valid: Kafka source rows of `<s>.valid`.
        schema_id: of column `value`.
        event: the event in column `value`, by column `schema_id`.
        diverted: what they have in common.
    """
    now = datetime.now(UTC)
    given = {
        ID: sf.concat_ws(":", sf.lit(Hop.VALID.value), sf.col("partition"), sf.col("offset")),
        "stage": sf.lit(Stage.LAKE.value),
        "reason": sf.lit(Reason.GATE_FAILED.value),
        "rules": sf.lit(diverted.rules),
        "suite": sf.lit(diverted.suite),
        SOURCE_PARTITION: sf.col(f"event.{SOURCE_PARTITION}"),
        SOURCE_OFFSET: sf.col(f"event.{SOURCE_OFFSET}"),
        "seen_at": sf.col(f"event.{SOURCE_TIME}"),
        "rejected_at": sf.lit(now),
        "batch": sf.lit(diverted.batch),
        "day": sf.lit(now.date()),
    }
    read = valid.withColumn("schema_id", schema_id).withColumn("event", event)
    columns = [given.get(name, sf.col(name)).cast(kind).alias(name) for name, kind in REJECT_COLUMNS.items()]
    return read.select(*columns)


def write_diverted(rows: DataFrame, stream: StreamDefinition, path: str, **options: str) -> None:
    """Append rows of `rejected`."""
    writer = rows.coalesce(1).write.format("delta").mode("append")
    kept = {STATS: ",".join(_SKIPPED_BY), **promised(stream.maintenance)}
    writer.options(**kept, **options).partitionBy("day").save(path)


def last_batch(path: str, identity: str) -> int:
    """Number of the last micro-batch of a checkpoint that a table has; -1 when it has none of it."""
    try:
        found = DeltaTable(path).transaction_version(identity)
    except TableNotFoundError:
        return -1
    return -1 if found is None else int(found)
