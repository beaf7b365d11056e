"""What has come into a stream's events since a table last looked?"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import reduce
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
from pipeline.lake.commits import history_of
from pipeline.lake.lineage import followed, says, stretches
from pipeline.lake.offsets import releases_in
from pipeline.reason import first_line
from pipeline.tables.watermark import Newest, joined
from pipeline.tables.windows import is_after, second

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

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


class RolledBackError(Exception):
    """What a table has followed is gone: it can't be gone on with."""


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
        """What has come after the cursor's version.

        Raises:
            RolledBackError: if the cursor's version is no part of the table any more.
        """
        events = of_today(
            self._session.read.format("delta").option("versionAsOf", version).load(self._path), self._stream
        )
        if cursor.events_version < 0:
            return self._news(cursor, version, events, events)
        history = self._history(cursor, version)
        said = says(history)
        versions = followed(said, cursor.events_version, version)
        if versions is None and any(each.rollback is not None for each in said.values()):
            raise RolledBackError(f"{self._path}: version {cursor.events_version} was rolled back")
        try:
            if versions is not None:
                return self._news(cursor, version, events, self._changes(cursor, events, versions, history))
            why = f"its log begins at version {min(said, default=version)}"
        except (PySparkException, Py4JJavaError) as error:
            why = first_line(error)
        # The log of these versions is gone, or their files: offsets tell as well, only slower.
        _log.info("%s: the change feed can't be read (%s); looking by offset", self._path, why)
        return self._news(cursor, version, events, events.where(is_after(cursor.seen)))

    def _history(self, cursor: Cursor, version: int) -> list[dict[str, Any]]:
        """From the cursor's version on; all of it if something was rolled back since."""
        if self._table is None:
            return []
        history = history_of(self._table, version - cursor.events_version + 1)
        if any(each.rollback is not None for each in says(history).values()):
            history = history_of(self._table)
        return history

    def _changes(
        self, cursor: Cursor, events: DataFrame, versions: Sequence[int], history: Iterable[Mapping[str, Any]]
    ) -> DataFrame:
        """Rows that these versions have brought."""
        releases = [int(each["version"]) for each in history if releases_in(each.get("userMetadata")) is not None]
        is_new = sf.col(COMMIT_VERSION).isin(*releases) | is_after(cursor.seen)
        read = [self._inserted(first, last).where(is_new).drop(*CHANGE_COLUMNS) for first, last in stretches(versions)]
        added = [of_today(each, self._stream) for each in read]
        return (
            reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), added)
            if added
            else events.limit(0)
        )

    def _inserted(self, first: int, last: int) -> DataFrame:
        reader = self._session.read.format("delta").option("readChangeFeed", "true")
        changes = reader.option("startingVersion", first).option("endingVersion", last).load(self._path)
        return changes.where(sf.col(CHANGE_TYPE) == "insert")

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
        # What a backfill has brought has no place in Kafka, and says nothing of how far event time has come.
        newest = {row[0]: Newest(row[1], row[2], row[3]) for row in found if row[0] >= 0}
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
