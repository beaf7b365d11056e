"""Which files may be read, and what rows are in them? Parquet, JSON lines, CSV and Avro, as rows of the stream's schema.

Only what lies below one folder is read (TIDEGATE_BACKFILL_FILES), links resolved. A file is read a stretch at a time and never held
whole; the first row that does not fit is named with its file, its column and what was expected.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from controlplane.contract.names import EVENT_DATE
from controlplane.contract.valid import valid_schema
from pipeline.backfill.typed import BadRowError, Reads
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from controlplane.contract.streams import StreamDefinition

_AT_ONCE = 20_000
_FILES_AT_MOST = 10_000
Stretch = tuple[int, int, "Mapping[str, Sequence[Any]]"]
"""Number of its first row (from 1), rows, values by column."""


@dataclass(frozen=True)
class Source:
    """A file that is to be read."""

    path: Path
    name: str
    """Below the root: what people are told."""
    bytes: int
    rows: int | None
    """None where only reading it would tell."""


def sources(root: Path | None, patterns: Iterable[str]) -> list[Source]:
    """Files that the patterns name, each once, in the order of their names.

    Raises:
        RefusedError: if a pattern names none, one outside of the root, or one of a kind that cannot be read.
    """
    if root is None:
        raise RefusedError("no folder of files is named: set TIDEGATE_BACKFILL_FILES to the one that may be read")
    folder = root.resolve()
    found: dict[Path, None] = {}
    for pattern in patterns:
        found.update(dict.fromkeys(_matching(folder, pattern)))
    if len(found) > _FILES_AT_MOST:
        raise RefusedError(f"{len(found):,} files are more than {_FILES_AT_MOST:,}: name fewer at a time")
    return [_source(each, folder) for each in sorted(found)]


def _matching(root: Path, pattern: str) -> list[Path]:
    relative = pattern
    if Path(pattern).is_absolute():
        try:
            relative = str(Path(pattern).relative_to(root))
        except ValueError as error:
            raise RefusedError(f"{pattern}: only what is below {root} may be read (TIDEGATE_BACKFILL_FILES)") from error
    if ".." in Path(relative).parts:
        raise RefusedError(f"{pattern}: only what is below {root} may be read (TIDEGATE_BACKFILL_FILES)")
    found = [each.resolve() for each in sorted(root.glob(relative)) if each.is_file()]
    if not found:
        raise RefusedError(f"{pattern}: there is no such file below {root}")
    outside = next((each for each in found if not each.is_relative_to(root)), None)
    if outside is not None:
        raise RefusedError(f"{pattern}: {outside} is a link that leads out of {root}: it is not read")
    return found


def _source(path: Path, root: Path) -> Source:
    name = str(path.relative_to(root))
    if path.suffix.lower() not in _FORMATS:
        raise RefusedError(f"{name}: its kind is not known; there are: {', '.join(_FORMATS)}")
    rows = None
    if path.suffix.lower() == ".parquet":
        with _reading(name):
            rows = int(pq.read_metadata(path).num_rows)
    return Source(path, name, path.stat().st_size, rows)


def check_columns(source: Source, stream: StreamDefinition) -> None:
    """Has a file the stream's fields, and nothing that is none?

    Raises:
        RefusedError: if not, or if it cannot be read; names the columns.
    """
    with _reading(source.name):
        first = next(_FORMATS[source.path.suffix.lower()](source), None)
    if first is None:
        return
    columns, fields = set(first[2]), [Reads.of(each) for each in stream.avro_schema["fields"]]
    missing = [
        each.name for each in fields if each.name not in columns and not each.has_default and not each.is_nullable
    ]
    if missing:
        raise BadRowError(source.name, first[0], missing[0], f"{_field(fields, missing[0]).expected} in each row", None)
    known = {each["name"] for each in valid_schema(stream)["fields"]} | {EVENT_DATE}
    if unknown := sorted(columns - known):
        raise RefusedError(
            f"{source.name}: {stream.name} has no field {', '.join(map(repr, unknown))}; "
            f"it has: {', '.join(each.name for each in fields)}"
        )


def _field(fields: Iterable[Reads], name: str) -> Reads:
    return next(each for each in fields if each.name == name)


def rows_of(source: Source, stream: StreamDefinition) -> Iterator[tuple[int, pa.Table]]:
    """A file's rows with the stream's fields, a stretch at a time, with the number of its first row.

    Raises:
        BadRowError: at the first row that does not fit.
        RefusedError: if the file cannot be read.
    """
    check_columns(source, stream)
    fields = [Reads.of(each) for each in stream.avro_schema["fields"]]
    with _reading(source.name):
        for first, count, values in _FORMATS[source.path.suffix.lower()](source):
            columns = {
                each.name: each.column(_values(values, each, count), count, source.name, first) for each in fields
            }
            yield first, pa.table(columns)


def _values(values: Mapping[str, Sequence[Any]], field: Reads, count: int) -> Sequence[Any] | None:
    """A field that no row has is left to its default; one that some rows lack is null in them."""
    found = values.get(field.name)
    return None if found is None or (field.has_default and all(each is None for each in found) and not count) else found


class _reading:  # noqa: N801 (a verb)
    """What a reader says of a file that it cannot read, in a sentence."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RefusedError) or error is None or not isinstance(error, Exception):
            return
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise RefusedError(f"{self._name}: it cannot be read: {said}; nothing was changed") from error


def _parquet(source: Source) -> Iterator[Stretch]:
    first = 1
    with pq.ParquetFile(source.path) as file:
        for batch in file.iter_batches(_AT_ONCE):
            yield first, batch.num_rows, {name: batch[name].to_pylist() for name in batch.schema.names}
            first += batch.num_rows


def _json_lines(source: Source) -> Iterator[Stretch]:
    with source.path.open(encoding="utf-8") as lines:
        yield from _stretches(_objects(source.name, lines))


def _objects(name: str, lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
        except ValueError as error:
            raise BadRowError(name, number, "*", "a JSON object in each line", line.strip()) from error
        if not isinstance(found, dict):
            raise BadRowError(name, number, "*", "a JSON object in each line", line.strip())
        yield found


def _csv(source: Source) -> Iterator[Stretch]:
    with source.path.open(newline="", encoding="utf-8") as lines:
        yield from _stretches(_cells(source.name, csv.DictReader(lines, strict=True)))


def _cells(name: str, rows: csv.DictReader[str]) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise BadRowError(name, number, "*", f"{len(rows.fieldnames or ())} cells", row.get(None) or "fewer")
        yield row


def _avro(source: Source) -> Iterator[Stretch]:
    with source.path.open("rb") as file:
        records: Iterator[Any] = iter(fastavro.reader(file))
        yield from _stretches(records)


def _stretches(rows: Iterable[Mapping[str, Any]]) -> Iterator[Stretch]:
    first, left = 1, iter(rows)
    while some := list(islice(left, _AT_ONCE)):
        names = dict.fromkeys(name for row in some for name in row)
        yield first, len(some), {name: [row.get(name) for row in some] for name in names}
        first += len(some)


_FORMATS: dict[str, Callable[[Source], Iterator[Stretch]]] = {
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
    ".csv": _csv,
    ".avro": _avro,
}
