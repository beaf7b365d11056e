"""What does a stream have in the lake, what happened to it, and what names a row of it? Answered as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltalake.exceptions import DeltaError, TableNotFoundError

from controlplane.contract.folders import load_streams
from controlplane.contract.names import (
    DIVERTED,
    REJECTS,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    lake_entity,
    lake_rollup,
    lake_table,
)
from controlplane.contract.rejects import ID
from controlplane.contract.rollups import WINDOW_START
from pipeline.lakeview.diff import Limits, compare, sides
from pipeline.lakeview.log import Logs
from pipeline.lakeview.refused import LakeRefusedError, UnknownTableError
from pipeline.lakeview.rows import read, rows_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.lakeview.log import Log, Version

_EVENTS = "events"


@dataclass(frozen=True)
class LakeView:
    """Reads the tables of every stream."""

    settings: Settings
    logs: Logs = field(default_factory=Logs)

    def tables(self, stream: str) -> list[dict[str, Any]]:
        """Each table that is there, with its newest version."""
        found = []
        for name in _names(self._stream(stream)):
            try:
                log = self.logs.read(self._uri(stream, name), limit=1)
            except TableNotFoundError:
                continue
            found.append({"table": name, **told(log.versions[0])})
        return found

    def history(self, stream: str, table: str, limit: int = 200, before: int | None = None) -> dict[str, Any]:
        """Versions, the newest first: before a version, or from the newest on; `next` is what to give as `before` for more."""
        log = self._log(stream, table)
        versions = [each for each in log.versions if before is None or each.commit.version < before]
        shown = versions[:limit]
        more = shown[-1].commit.version if len(versions) > limit else None
        return {
            "stream": stream,
            "table": table,
            "newest": log.newest,
            "oldest": log.versions[-1].commit.version,
            "readable": log.readable(),
            "items": [told(each) for each in shown],
            "next": more,
        }

    def rows(  # noqa: PLR0913 (each is a part of the question)
        self,
        stream: str,
        table: str,
        version: int | None = None,
        at: datetime | None = None,
        where: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Rows at a version or a time that fit a condition."""
        found = version_of(self._log(stream, table), f"{stream} {table}", version, at)
        rows = read(self._uri(stream, table), found.commit.version, where, limit + 1)
        return {
            "stream": stream,
            "table": table,
            **told(found),
            "columns": [{"name": each.name, "type": str(each.type)} for each in rows.schema],
            "items": rows_of(rows.slice(0, limit)),
            "is_cut": rows.num_rows > limit,
        }

    def difference(
        self, stream: str, table: str, before: int, after: int, limits: Limits | None = None
    ) -> dict[str, Any]:
        """What one version has that another has not."""
        log, called = self._log(stream, table), f"{stream} {table}"
        versions = [version_of(log, called, each) for each in (before, after)]
        old, new = sides(self._uri(stream, table), before, after)
        key = key_of(self._stream(stream), table, set(old.schema.names) & set(new.schema.names))
        return {
            "stream": stream,
            "table": table,
            "before": told(versions[0]),
            "after": told(versions[1]),
            **compare(old, new, key, limits),
        }

    def _stream(self, name: str) -> StreamDefinition:
        streams = {each.name: each for each in load_streams(self.settings.stream_roots)}
        if name not in streams:
            raise UnknownTableError(f"there is no stream {name!r}; there are: {', '.join(streams) or 'none'}")
        return streams[name]

    def _log(self, stream: str, table: str) -> Log:
        definition = self._stream(stream)
        names = list(_names(definition))
        if table not in names:
            raise UnknownTableError(f"{stream} has no table {table!r}; it has: {', '.join(names)}")
        try:
            return self.logs.read(self._uri(stream, table))
        except TableNotFoundError as error:
            there = ", ".join(each["table"] for each in self.tables(stream)) or "none"
            raise UnknownTableError(f"{stream} {table} is not in the lake yet; what is: {there}") from error
        except (DeltaError, OSError) as error:
            raise LakeRefusedError(f"{stream} {table} can't be read: {error}") from error

    def _uri(self, stream: str, table: str) -> str:
        root = self.settings.lake_root
        return lake_table(root, stream, table)


def _names(stream: StreamDefinition) -> Iterator[str]:
    yield _EVENTS
    yield from map(lake_entity, stream.entities)
    yield from map(lake_rollup, stream.rollups)
    yield from (REJECTS, DIVERTED)


def key_of(stream: StreamDefinition, table: str, columns: set[str]) -> tuple[str, ...]:
    """What names a row of a table, of the columns that both versions have; empty when nothing does."""
    keys = {lake_entity(name): each.key for name, each in stream.entities.items()}
    keys |= {lake_rollup(name): (WINDOW_START, *each.dimensions) for name, each in stream.rollups.items()}
    keys |= {_EVENTS: (SOURCE_PARTITION, SOURCE_OFFSET), REJECTS: (ID,), DIVERTED: (ID,)}
    key = keys.get(table, ())
    return tuple(key) if set(key) <= columns else ()


def told(version: Version) -> dict[str, Any]:
    """A version as the API says it."""
    commit = version.commit
    offsets = commit.offsets
    return {
        "version": commit.version,
        "at": commit.at.isoformat(timespec="milliseconds"),
        "operation": commit.operation,
        "act": commit.act,
        "by": commit.by,
        "changed": commit.rows,
        "files_added": len(commit.added),
        "files_removed": len(commit.removed),
        "offsets": None if offsets is None else {str(partition): list(ends) for partition, ends in offsets.items()},
        "follows": commit.follows,
        "releases": commit.releases,
        "rows": version.rows,
        "bytes": version.bytes,
        "files": version.files,
        "is_readable": version.reason is None,
        "reason": version.reason,
    }
