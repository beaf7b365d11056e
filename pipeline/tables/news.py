"""What has come into a stream's events since a table last looked?"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as sf

from controlplane.contract.names import (
    CHANGE_COLUMNS,
    CHANGE_TYPE,
    COMMIT_VERSION,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIME,
)
from controlplane.contract.valid import type_name, valid_schema
from pipeline.lake.offsets import releases_in
from pipeline.reason import first_line
from pipeline.tables.watermark import Newest, joined
from pipeline.tables.windows import is_after, second

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition
    from pipeline.tables.cursor import Cursor

_SPARK = {
    **dict.fromkeys(("string", "enum"), "string"),
    **dict.fromkeys(("int", "long"), "bigint"),
    **dict.fromkeys(("float", "double"), "double"),
    **dict.fromkeys(("timestamp-millis", "timestamp-micros"), "timestamp"),
    "boolean": "boolean",
    "date": "date",
}
"""Type of a schema -> of the lake's column."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """Events of the versions after a cursor's, up to a version."""

    version: int
    seen: Mapping[int, Newest]
    """The newest of each partition, of all events up to the version."""
    rows: int
    earliest: int | None
    """First second of event time among the new ones; None when there are none."""
    added: DataFrame
    """The new ones."""
    events: DataFrame
    """All of them, at the version."""

    def has_before(self, second: int | None) -> bool:
        """Is any of the new ones dated before that second of event time? None is before all."""
        return second is not None and self.earliest is not None and self.earliest < second


class Events:
    """A stream's events table."""

    def __init__(self, session: SparkSession, stream: StreamDefinition, path: str) -> None:
        self._session, self._stream, self._path = session, stream, path
        self._table: DeltaTable | None = None

    def version(self) -> int | None:
        """The newest one; None while there is no table."""
        try:
            if self._table is None:
                self._table = DeltaTable(self._path)
            self._table.update_incremental()
        except TableNotFoundError:
            self._table = None
            return None
        return self._table.version()

    def since(self, cursor: Cursor, version: int) -> News:
        """What has come after the cursor's version."""
        events = of_today(
            self._session.read.format("delta").option("versionAsOf", version).load(self._path), self._stream
        )
        if cursor.events_version < 0:
            return self._news(cursor, version, events, events)
        try:
            return self._news(cursor, version, events, self._changes(cursor, version))
        except (PySparkException, Py4JJavaError) as error:
            # The log of these versions is gone, or their files: offsets tell as well, only slower.
            _log.info("%s: the change feed can't be read (%s); looking by offset", self._path, first_line(error))
            return self._news(cursor, version, events, events.where(is_after(cursor.seen)))

    def _changes(self, cursor: Cursor, version: int) -> DataFrame:
        changes = (
            self._session.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", cursor.events_version + 1)
            .option("endingVersion", version)
            .load(self._path)
        )
        is_new = sf.col(COMMIT_VERSION).isin(*self._releases(cursor, version)) | is_after(cursor.seen)
        added = changes.where((sf.col(CHANGE_TYPE) == "insert") & is_new).drop(*CHANGE_COLUMNS)
        return of_today(added, self._stream)

    def _releases(self, cursor: Cursor, version: int) -> list[int]:
        """Commits of micro-batches that were diverted first: their events are older than others that are there."""
        history = self._table.history(version - cursor.events_version) if self._table is not None else []
        return [int(each["version"]) for each in history if releases_in(each.get("userMetadata")) is not None]

    def _news(self, cursor: Cursor, version: int, events: DataFrame, added: DataFrame) -> News:
        happened = sf.least(sf.unix_millis(self._stream.event_time.field), sf.unix_millis(SOURCE_TIME))
        found = (
            added.groupBy(SOURCE_PARTITION)
            .agg(
                sf.max(SOURCE_OFFSET),
                sf.max(happened),
                sf.max(sf.unix_millis(SOURCE_TIME)),
                sf.count(sf.lit(1)),
                sf.min(second(self._stream)),
            )
            .collect()
        )
        newest = {row[0]: Newest(row[1], row[2], row[3]) for row in found}
        earliest = min((row[5] for row in found), default=None)
        return News(version, joined(cursor.seen, newest), sum(row[4] for row in found), earliest, added, events)


def of_today(events: DataFrame, stream: StreamDefinition) -> DataFrame:
    """With every field of the stream as it is now: a new one is null in old rows, a renamed one has what the old one had."""
    there = set(events.columns)
    frame = events
    for field in [*stream.avro_schema["fields"], *valid_schema(stream)["fields"]]:
        name, old = field["name"], [sf.col(each) for each in field.get("aliases", ()) if each in there]
        if name in frame.columns and not old:
            continue
        now = [sf.col(name)] if name in there else [sf.lit(None).cast(_SPARK[type_name(field["type"])])]
        frame = frame.withColumn(name, sf.coalesce(*now, *old))
    return frame
