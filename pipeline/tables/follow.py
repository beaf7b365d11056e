"""How do a stream's tables follow its events?

One beat looks at the events table's version and gives each table what has come since its own cursor. A table that has nothing
to write is moved on in memory only: its next commit says how far it is. Tables that are equally far share one look.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from controlplane.contract.facts import EntitiesUpserted, WindowsClosed
from controlplane.contract.names import lake_entity, lake_rollup, lake_table
from pipeline.reason import first_line
from pipeline.tables.cursor import Cursor, commits_of
from pipeline.tables.entities import EntityTable, Upserts
from pipeline.tables.news import Events, RolledBackError
from pipeline.tables.rollups import Closed, RollupTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import SparkSession

    from controlplane.contract.facts import Fact
    from controlplane.contract.streams import StreamDefinition
    from pipeline.tables.news import News

_CONFLICT = "DELTA_CONCURRENT"
_log = logging.getLogger(__name__)


class Following:
    """All tables of one stream."""

    def __init__(self, session: SparkSession, stream: StreamDefinition, lake_root: str) -> None:
        self._stream = stream
        self._events = Events(session, stream, lake_table(lake_root, stream.name))
        self._tables: dict[str, EntityTable | RollupTable] = {
            **{
                lake_entity(name): EntityTable(
                    session, stream, entity, lake_table(lake_root, stream.name, lake_entity(name))
                )
                for name, entity in stream.entities.items()
            },
            **{
                lake_rollup(name): RollupTable(
                    session, stream, rollup, lake_table(lake_root, stream.name, lake_rollup(name))
                )
                for name, rollup in stream.rollups.items()
            },
        }
        self._cursors: dict[str, Cursor] = {}

    def beat(self) -> Iterator[Fact]:
        """Let every table follow up to the newest version; what each has done.

        Raises:
            PySparkException, Py4JJavaError: if a table can't be written; the next beat begins where its commits end.
        """
        version = self._events.version()
        if version is None:
            return
        looked: dict[int, News] = {}
        for name, table in self._tables.items():
            cursor = self._cursor(name, table)
            if cursor.events_version >= version:
                continue
            try:
                if cursor.events_version not in looked:
                    looked[cursor.events_version] = self._events.since(cursor, version)
            except RolledBackError as error:
                _log.warning("%s of %s is computed anew: %s", name, self._stream.name, error)
                self._cursors[name] = Cursor(table.definition, -1)
                continue
            if (fact := self._follow(name, table, cursor, looked[cursor.events_version])) is not None:
                yield fact

    def _cursor(self, name: str, table: EntityTable | RollupTable) -> Cursor:
        if name not in self._cursors:
            commits = commits_of(table.path)
            fresh = Cursor(table.definition, -1)
            if commits is None:
                self._cursors[name] = fresh
            elif commits.cursor.definition != table.definition:
                _log.info("%s of %s has a new definition: it is computed anew", name, self._stream.name)
                self._cursors[name] = fresh
            else:
                self._cursors[name] = commits.cursor
        return self._cursors[name]

    def _follow(self, name: str, table: EntityTable | RollupTable, cursor: Cursor, news: News) -> Fact | None:
        try:
            done = table.follow(cursor, news)
        except (PySparkException, Py4JJavaError) as error:
            self._cursors.pop(name, None)
            if _CONFLICT not in str(error):
                raise
            _log.info("%s of %s: maintenance was faster; once more (%s)", name, self._stream.name, first_line(error))
            return None
        if done is None and cursor.events_version < 0 and not news.rows:
            return None  # nothing has come yet: the table still has to begin
        if done is None:
            self._cursors[name] = replace(cursor, events_version=news.version, seen=dict(news.seen))
            return None
        self._cursors[name] = done.cursor
        return self._fact(name, done)

    def _fact(self, name: str, done: Upserts | Closed) -> Fact:
        at = datetime.now(UTC)
        if isinstance(done, Upserts):
            figures = done.figures
            return EntitiesUpserted(
                at=at,
                stream=self._stream.name,
                table=name,
                version=done.version,
                events=done.events,
                inserted=figures.get("numTargetRowsInserted", figures.get("numOutputRows", 0)),
                updated=figures.get("numTargetRowsUpdated", 0),
                files_read=_files_read(figures),
                files_there=figures.get("numTargetFilesBeforeSkipping"),
                bytes_written=figures.get("numTargetBytesAdded", figures.get("numOutputBytes", 0)),
                took_s=done.took_s,
            )
        return WindowsClosed(
            at=at,
            stream=self._stream.name,
            table=name,
            version=done.version,
            rows=done.rows,
            horizon=datetime.fromtimestamp(done.cursor.horizon or 0, UTC),
            corrected=done.corrected,
            took_s=done.took_s,
        )


def _files_read(figures: Mapping[str, int]) -> int | None:
    """Delta 4.4 does not keep in its log how many files a MERGE opened: those that it changed it did open."""
    if "numTargetFilesAfterSkipping" in figures:
        return figures["numTargetFilesAfterSkipping"]
    removed = figures.get("numTargetFilesRemoved")
    return None if removed is None else removed + figures.get("numTargetDeletionVectorsAdded", 0)
