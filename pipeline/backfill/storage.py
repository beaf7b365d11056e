"""Where is what a backfill builds, until it is swapped in? In a shadow folder beside the stream's tables, and nobody reads it.

A shadow has a folder a unit of work (a day, a file), each written whole: one that is built again replaces itself. Its
Parquet files are those that the events table gets in the end. They are linked into its folder where that can be, else copied, so
a swap costs one commit however much it swaps; Delta's log needs the counts and bounds of each file, which are in its footer.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow.fs as pf
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler

from controlplane.contract.names import EVENT_DATE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pyarrow as pa

_DONE = "_SUCCESS"
_STRING_BYTES = 32
"""Bounds of strings are left out when they are longer: Delta would have to cut them."""


@dataclass(frozen=True)
class Built:
    """A Parquet file of the shadow."""

    path: str
    """In the stream's folder."""
    day: str
    rows: int
    bytes: int

    @property
    def target(self) -> str:
        """Where it goes in the events table's folder; the name is unique, Spark makes it so."""
        return f"{EVENT_DATE}={self.day}/{self.path.rsplit('/', 1)[-1]}"


class Shadow:
    """The shadow of one operation.

    Args:
        stream_folder: folder of the stream's tables, a path or a URL.
        operation: its id.
    """

    def __init__(self, stream_folder: str, operation: str) -> None:
        self.folder = f"shadow_{operation}"
        self._root = stream_folder.rstrip("/")
        self._local = Path(self._root) if "://" not in self._root else None
        if self._local is not None:
            self._local.mkdir(parents=True, exist_ok=True)

    @property
    def _storage(self) -> pf.FileSystem:
        if self._local is not None:
            return pf.SubTreeFileSystem(str(self._local), pf.LocalFileSystem())
        return pf.PyFileSystem(DeltaStorageHandler(self._root))

    def uri(self, name: str) -> str:
        """Where Spark writes, or reads, a folder of it."""
        return f"{self._root}/{self.folder}/{name}"

    def has(self, name: str) -> bool:
        """Was this folder written whole?"""
        found = self._storage.get_file_info(f"{self.folder}/{name}/{_DONE}")
        return bool(found.type == pf.FileType.File)

    def forget(self, name: str) -> None:
        """Delete one of its folders; what is not there is gone already."""
        self._delete(f"{self.folder}/{name}")

    def delete(self) -> None:
        """All of it."""
        self._delete(self.folder)

    def files(self, name: str) -> list[Built]:
        """Parquet files below a folder of it, in the order of their paths; none when there is no such folder."""
        selector = pf.FileSelector(f"{self.folder}/{name}", recursive=True, allow_not_found=True)
        found = self._storage.get_file_info(selector)
        paths = sorted((each.path, each.size) for each in found if each.path.endswith(".parquet"))
        return [
            Built(path, _day_in(path), self._rows(path), size) for path, size in paths if "/_temporary/" not in path
        ]

    def open(self, name: str) -> pa.NativeFile:
        """A new file of it, to write to."""
        path = f"{self.folder}/{name}"
        if self._local is not None:
            (self._local / path).parent.mkdir(parents=True, exist_ok=True)
        return self._storage.open_output_stream(path)

    def read(self, path: str, columns: Collection[str]) -> pa.Table:
        """Columns of a Parquet file of the stream's folder, as far as they are in it."""
        with self._storage.open_input_file(unquote(path)) as file:
            parquet = pq.ParquetFile(file)
            return parquet.read([each for each in columns if each in parquet.schema_arrow.names])

    def columns(self, paths: Iterable[str]) -> list[str]:
        """Names of all columns that these files have."""
        found: dict[str, None] = {}
        for path in paths:
            with self._storage.open_input_file(unquote(path)) as file:
                found.update(dict.fromkeys(pq.read_schema(file).names))
        return list(found)

    def stats(self, built: Built, columns: Collection[str]) -> str:
        """What Delta's log says of a file: JSON with its rows and the bounds of these columns."""
        with self._storage.open_input_file(built.path) as file:
            return stats_of(pq.ParquetFile(file).metadata, columns)

    def place(self, built: Built, table: str) -> None:
        """Put a file into a table's folder; what is there is there already."""
        target = f"{table}/{built.target}"
        if self._local is None:
            with self._storage.open_input_stream(built.path) as read, self._storage.open_output_stream(target) as write:
                shutil.copyfileobj(read, write, 2**22)
            return
        one, other = self._local / built.path, self._local / target
        other.parent.mkdir(parents=True, exist_ok=True)
        if other.exists():
            return
        try:
            os.link(one, other)
        except OSError:  # a file system that has no links
            partial = other.with_suffix(".part")
            shutil.copyfile(one, partial)
            partial.replace(other)

    def move(self, built: Built, folder: str) -> None:
        """Put a file into another folder of the shadow."""
        target = f"{self.folder}/{folder}/{built.path.rsplit('/', 1)[-1]}"
        if self._local is not None:
            (self._local / target).parent.mkdir(parents=True, exist_ok=True)
        self._storage.move(built.path, target)

    def _rows(self, path: str) -> int:
        with self._storage.open_input_file(path) as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def _delete(self, folder: str) -> None:
        if self._local is not None:
            shutil.rmtree(self._local / folder, ignore_errors=True)
            return
        if self._storage.get_file_info(folder).type != pf.FileType.NotFound:
            self._storage.delete_dir(folder)


def _day_in(path: str) -> str:
    """The value of the partition in a path; empty for files that have none."""
    found = (each.partition("=")[2] for each in path.split("/") if each.startswith(f"{EVENT_DATE}="))
    return next(found, "")


def stats_of(footer: pq.FileMetaData, columns: Iterable[str]) -> str:
    """Delta's statistics of a file, as JSON; bounds only where its footer has them."""
    positions = {footer.schema.column(at).path: at for at in range(len(footer.schema))}
    bounds: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    for column in (each for each in columns if each in positions):
        groups = [footer.row_group(at).column(positions[column]).statistics for at in range(footer.num_row_groups)]
        if not groups or not all(each is not None and each.has_min_max for each in groups):
            continue
        least, most = _written(min(each.min for each in groups)), _written(max(each.max for each in groups))
        if least is None or most is None:
            continue
        bounds["minValues"][column], bounds["maxValues"][column] = least, most
        bounds["nullCount"][column] = sum(each.null_count or 0 for each in groups)
    return json.dumps({"numRecords": footer.num_rows, **bounds})


def _written(value: object) -> object:
    """As Delta writes it: a moment in milliseconds, rounded down, would cut events off above, so those are in microseconds."""
    match value:
        case datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case bool() | int() | float():
            return value
        case str() if len(value) <= _STRING_BYTES:
            return value
        case _:
            return None
