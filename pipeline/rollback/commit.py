"""How does a table get the content of an earlier version, in one commit that says so?

By its log alone, for no row is written: files of then are active again, others no more. That takes no JVM, whose start and first
questions would cost more than all the rest of a rollback. A table with deletion vectors is Spark's to restore: deltalake does
not write such tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake

from pipeline.lake.lineage import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

_SAYS = "spark.databricks.delta.commitInfo.userMetadata"
_VECTORS = "deletionVectors"
_ALONE = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Spark makes the checkpoints of these tables, and forgets their logs."""


def commit_content_of(path: str, version: int, metadata: str, session: Callable[[], SparkSession]) -> None:
    """Commit the content of a version, its schema and properties included.

    Args:
        path: the table's.
        version: which; `NOTHING`: no rows.
        metadata: the commit's `userMetadata`.
        session: asked for only where deltalake can't.

    Raises:
        DeltaError: if somebody else commits at the same time, or a file of that version is gone.
    """
    table = DeltaTable(path)
    if _VECTORS in (table.protocol().writer_features or ()):
        _by_spark(session(), path, version, metadata)
        return
    says = CommitProperties(custom_metadata={"userMetadata": metadata})
    if version == NOTHING:
        none = pa.schema(table.schema()).empty_table()
        write_deltalake(table, none, mode="overwrite", commit_properties=says, post_commithook_properties=_ALONE)
    else:
        table.restore(version, commit_properties=says, post_commithook_properties=_ALONE)


def _by_spark(session: SparkSession, path: str, version: int, metadata: str) -> None:
    from delta.tables import DeltaTable as SparkTable

    session.conf.set(_SAYS, metadata)
    try:
        if version == NOTHING:
            session.read.format("delta").load(path).limit(0).write.format("delta").mode("overwrite").save(path)
        else:
            SparkTable.forPath(session, path).restoreToVersion(version)
    finally:
        session.conf.unset(_SAYS)
