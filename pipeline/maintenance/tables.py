"""What is a Delta table made of? Read from its log without Spark, whose start would cost more than most of its answers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.fs as pf
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from controlplane.contract.facts import Extent
from controlplane.contract.names import DIVERTED, REJECTS, lake_entity, lake_rollup, lake_table
from pipeline.maintenance.promise import FILES, length_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controlplane.contract.streams import StreamDefinition
    from pipeline.maintenance.stages import Partition

_COMMITS = 50
_OURS = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES")
"""Operations that bring no row."""


@dataclass(frozen=True)
class Table:
    """A table that a stream's definition calls for; it may not be there yet."""

    stream: str
    name: str
    path: str
    cluster_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataFile:
    """An active file."""

    bytes: int
    at: datetime
    """When it was written."""
    partition: Partition = ()


@dataclass(frozen=True)
class TableFacts:
    """A table as it is now."""

    id: str
    """Delta's own: another table at the same path has another."""
    version: int
    files: Sequence[DataFile]
    properties: dict[str, str]
    written_at: datetime | None
    """When rows came last; None when the log does not say."""
    dead: Extent
    """Files on disk that no version in the promise needs."""


class UnreadableError(Exception):
    """A table cannot be read now; says why."""


class Lake(Protocol):
    """Where tables are."""

    def facts(self, table: Table, promise: timedelta) -> TableFacts | None:
        """A table as it is; None when it is not there.

        Args:
            table: which.
            promise: for how long every version can be read.

        Raises:
            UnreadableError: if it is there and cannot be read.
        """


class FakeLake:
    """Tables in memory, by path."""

    def __init__(self, tables: dict[str, TableFacts | UnreadableError] | None = None) -> None:
        self.tables = tables or {}

    def facts(self, table: Table, promise: timedelta) -> TableFacts | None:  # noqa: ARG002 (the port's)
        """See `Lake`."""
        found = self.tables.get(table.path)
        if isinstance(found, UnreadableError):
            raise found
        return found


class DeltaLake:
    """The real ones, on whatever storage they are."""

    def facts(self, table: Table, promise: timedelta) -> TableFacts | None:
        """See `Lake`."""
        try:
            found = DeltaTable(table.path)
            metadata = found.metadata()
            return TableFacts(
                id=str(metadata.id),
                version=found.version(),
                files=files_of(found),
                properties=dict(metadata.configuration),
                written_at=_written_at(found),
                dead=dead(found, promise),
            )
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise UnreadableError(str(error).splitlines()[0]) from error


def tables_of(stream: StreamDefinition, lake_root: str) -> list[Table]:
    """Every table that a stream's definition calls for, and those of what was turned away."""
    named = [("events", stream.maintenance.cluster_by)]
    named += [(lake_entity(name), entity.cluster_by or entity.key) for name, entity in stream.entities.items()]
    named += [(lake_rollup(name), ()) for name in stream.rollups]
    named += [(REJECTS, ()), (DIVERTED, ())]
    return [Table(stream.name, name, lake_table(lake_root, stream.name, name), columns) for name, columns in named]


def files_of(table: DeltaTable) -> list[DataFile]:
    """Every active file."""
    columns = [str(each) for each in table.metadata().partition_columns]
    actions = pa.table(table.get_add_actions(flatten=True))
    values = [actions[f"partition.{column}"].to_pylist() for column in columns]
    partitions = zip(*values, strict=True) if columns else iter([()] * actions.num_rows)
    return [
        DataFile(bytes_, _moment(at), tuple(zip(columns, map(_text, partition), strict=True)))
        for bytes_, at, partition in zip(
            actions["size_bytes"].to_pylist(), actions["modification_time"].to_pylist(), partitions, strict=True
        )
    ]


def extent_of(files: Iterable[DataFile]) -> Extent:
    """How many and how large."""
    sizes = [each.bytes for each in files]
    return Extent(files=len(sizes), bytes=sum(sizes))


def by_partition(files: Iterable[DataFile]) -> dict[Partition, list[DataFile]]:
    """Files of each partition, the newest partition last."""
    found: dict[Partition, list[DataFile]] = {}
    for each in files:
        found.setdefault(each.partition, []).append(each)
    return dict(sorted(found.items(), key=lambda item: [value or "" for _, value in item[0]]))


def committed_at(table: DeltaTable) -> datetime | None:
    """When the newest version was committed; None when its log entry does not say."""
    newest = next(iter(table.history(1)), {})
    return _moment(newest["timestamp"]) if newest.get("timestamp") is not None else None


def versions_of(table: DeltaTable) -> int | None:
    """How many versions the log still has; None when its folder cannot be listed."""
    with contextlib.suppress(DeltaError, OSError):
        log = _storage(table).get_file_info(pf.FileSelector("_delta_log"))
        numbers = [int(each.base_name[:-5]) for each in log if each.base_name[:-5].isdigit()]
        return len(numbers) or None
    return None


def _written_at(table: DeltaTable) -> datetime | None:
    for limit in (_COMMITS, None):
        for commit in table.history(limit):
            if commit.get("operation") not in _OURS and commit.get("timestamp") is not None:
                return _moment(commit["timestamp"])
    return None


def dead(table: DeltaTable, promise: timedelta) -> Extent:
    """Delta keeps what its property says, if that is longer. Whole hours, rounded down: it is an estimate, vacuum is exact."""
    kept = max(promise, length_of(table.metadata().configuration.get(FILES)) or promise)
    hours = int(kept / timedelta(hours=1))
    listed = table.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
    paths = [path for path in listed if not _is_hidden(path)]
    if not paths:
        return Extent(files=0, bytes=0)
    # What the log calls removed is listed too when it has been deleted long ago.
    found = [each for each in _storage(table).get_file_info(paths) if each.type is not pf.FileType.NotFound]
    return Extent(files=len(found), bytes=sum(each.size or 0 for each in found))


def _is_hidden(path: str) -> bool:
    """Hadoop's checksums and the like are no data files: vacuum leaves them alone, deleting a file takes its own along."""
    names = path.split("/")
    return any(name.startswith(".") or (name.startswith("_") and "=" not in name) for name in names)


def _storage(table: DeltaTable) -> pf.PyFileSystem:
    return pf.PyFileSystem(DeltaStorageHandler.from_table(table._table))  # noqa: SLF001 (its only way in)


def _moment(at: Any) -> datetime:  # noqa: ANN401 (milliseconds, or already a moment)
    return datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else at.replace(tzinfo=UTC)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
