"""How does a write say what it has followed, and what has it done?"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from delta.tables import DeltaTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import SparkSession

    from pipeline.tables.cursor import Cursor

_SAYS = "spark.databricks.delta.commitInfo.userMetadata"


@contextmanager
def committed(session: SparkSession, cursor: Cursor) -> Iterator[None]:
    """Commits made inside say the cursor. The session must be of one thread's own."""
    session.conf.set(_SAYS, cursor.written())
    try:
        yield
    finally:
        session.conf.unset(_SAYS)


def fingerprint(said: Mapping[str, Any]) -> str:
    """SHA-256 of a definition's canonical JSON, first 12 hex digits."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def last_metrics(session: SparkSession, path: str) -> tuple[int, dict[str, int]]:
    """Version and operation metrics of a table's newest commit."""
    [last] = DeltaTable.forPath(session, path).history(1).select("version", "operationMetrics").collect()
    return int(last[0]), {name: int(value) for name, value in (last[1] or {}).items() if value.isdigit()}
