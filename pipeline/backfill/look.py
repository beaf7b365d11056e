"""What does the events table have, day by day, and by which definition would it be made again? From Delta's log, without Spark."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from controlplane.contract.names import EVENT_DATE
from pipeline.operate.kind import RefusedError
from pipeline.route.definition import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from controlplane.contract.streams import StreamDefinition

_DELETION_VECTORS = "deletionVectors"


@dataclass(frozen=True)
class DataFile:
    """An active file of the events table."""

    path: str
    """In the table's folder, as Delta's log writes it."""
    day: str
    """Of its events, ISO."""
    rows: int
    bytes: int


@dataclass(frozen=True)
class EventsAt:
    """The events table at a version."""

    folder: str
    id: str
    """Delta's own: another table at the same path has another."""
    version: int
    files: Sequence[DataFile]
    schema: dict[str, Any]
    """As Spark writes a schema in JSON."""

    @cached_property
    def by_day(self) -> Mapping[str, Sequence[DataFile]]:
        """Day -> its files, the oldest day first."""
        found: dict[str, list[DataFile]] = {}
        for each in sorted(self.files, key=lambda file: (file.day, file.path)):
            found.setdefault(each.day, []).append(each)
        return found

    def of_days(self, days: Collection[str]) -> list[DataFile]:
        """Files of these days."""
        return [each for day, files in self.by_day.items() if day in days for each in files]

    def uri(self, file: DataFile) -> str:
        """Where Spark finds a file."""
        return f"{self.folder}/{unquote(file.path)}"


def events_at(folder: str, version: int | None = None) -> EventsAt:
    """The table as it is, or as it was at a version.

    Raises:
        RefusedError: if there is no such table or version, or if its rows cannot be read from its files alone.
    """
    try:
        table = DeltaTable(folder, version=version)
    except TableNotFoundError as error:
        raise RefusedError(
            f"{folder}: there is no table of events yet; it begins with the first event that lake appends"
        ) from error
    except (DeltaError, OSError) as error:
        raise RefusedError(f"{folder}: version {version} cannot be read: {str(error).splitlines()[0]}") from error
    if _DELETION_VECTORS in (table.protocol().reader_features or ()):
        raise RefusedError(
            f"{folder}: has deletion vectors, which its files alone do not tell of; "
            "rewrite it with `REORG TABLE ... APPLY (PURGE)`, and switch them off"
        )
    return EventsAt(
        folder, str(table.metadata().id), table.version(), _files(table), json.loads(table.schema().to_json())
    )


def partitions_of(folder: str, column: str) -> dict[str, tuple[int, int]]:
    """Value of a partition -> rows and bytes of it; nothing where there is no table."""
    try:
        actions = pa.table(DeltaTable(folder).get_add_actions(flatten=True))
    except TableNotFoundError:
        return {}
    found: dict[str, tuple[int, int]] = {}
    if actions.num_rows:
        columns = (f"partition.{column}", "num_records", "size_bytes")
        for value, rows, size in zip(*(actions[each].to_pylist() for each in columns), strict=True):
            before = found.get(str(value), (0, 0))
            found[str(value)] = (before[0] + int(rows or 0), before[1] + int(size))
    return found


def _files(table: DeltaTable) -> list[DataFile]:
    actions = pa.table(table.get_add_actions(flatten=True))
    columns = ("path", f"partition.{EVENT_DATE}", "num_records", "size_bytes")
    if not actions.num_rows:
        return []
    rows = zip(*(actions[each].to_pylist() for each in columns), strict=True)
    return [DataFile(path, str(day), int(count or 0), int(size)) for path, day, count, size in rows]


def definition_of(stream: StreamDefinition) -> str:
    """Fingerprint of all that decides what becomes of an event: the folder, its reference tables, every version of the schema."""
    said = digest_of(stream.folder) + json.dumps(stream.avro_schema, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]
