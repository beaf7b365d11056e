"""Which events does a trial read? Those of the lake at one version, in a window of event time; can they still be read?

A version is in the log longer than its files are there: vacuum deletes files. So files are looked at, and what can be had is said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from controlplane.contract.names import EVENT_DATE
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 3
PIECES = 6
"""A window is tried in so many pieces at most; in each the two take turns. An even number: each begins as often."""
_WORTH_A_PIECE = 50_000


@dataclass(frozen=True)
class Source:
    """The events of a window."""

    version: int
    days: tuple[tuple[date, int], ...]
    """Day of event time -> rows of it in the table, also those of the day that the window leaves out; the earliest first."""
    bytes: int

    @property
    def rows(self) -> int:
        """Of the days."""
        return sum(rows for _, rows in self.days)


@dataclass(frozen=True)
class Piece:
    """Days that are tried at once."""

    first: date
    last: date
    rows: int


def source_of(path: str, version: int | None, since: datetime, until: datetime) -> Source:
    """The events in `[since, until)` at a version; None: the newest.

    Raises:
        RefusedError: if there is no such version any more, or there are no events; says which there are.
    """
    try:
        table = DeltaTable(path)
        newest = table.version()
        if version is not None:
            table.load_as_version(version)
    except TableNotFoundError as error:
        raise RefusedError(f"{path} is no table yet: there is no history to try it on") from error
    except DeltaError as error:
        raise RefusedError(
            f"version {version} of {path} cannot be read any more ({error}); the newest is {newest}"
        ) from error
    first, last = days_of(since, until)
    files = _files(table)
    mine = [each for each in files if each.day is not None and first <= each.day <= last]
    if not sum(each.rows for each in mine):
        filled = sorted(each.day for each in files if each.day is not None and each.rows)
        there = f"from {filled[0]} to {filled[-1]}" if filled else "none at all"
        raise RefusedError(f"{path} has no events from {since} to {until} at version {table.version()}; it has {there}")
    _require_files(table, mine, newest)
    days: Counter[date] = Counter()
    for each in mine:
        days[each.day or first] += each.rows
    return Source(table.version(), tuple(sorted(days.items())), sum(each.bytes for each in mine))


@dataclass(frozen=True)
class _File:
    path: str
    day: date | None
    rows: int
    bytes: int


def _files(table: DeltaTable) -> list[_File]:
    rows = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    column = f"partition.{EVENT_DATE}"
    return [
        _File(each["path"], _day(each.get(column)), int(each.get("num_records") or 0), int(each["size_bytes"]))
        for each in rows
    ]


def _day(found: date | str | None) -> date | None:
    return date.fromisoformat(found) if isinstance(found, str) else found


def _require_files(table: DeltaTable, files: Sequence[_File], newest: int) -> None:
    """Vacuum leaves the log of a version whose files it deletes; only folders can be looked at without reading them."""
    root = urlsplit(table.table_uri)
    if root.scheme not in ("", "file"):
        return
    folder = Path(unquote(root.path))
    gone = [each.path for each in files if not (folder / unquote(each.path)).exists()]
    if gone:
        named = ", ".join(gone[:_SHOWN])
        raise RefusedError(
            f"version {table.version()} of {folder} was vacuumed: {len(gone)} of its {len(files)} files in the window are gone "
            f"({named}); take a newer version, the newest is {newest}"
        )


def pieces_of(days: Sequence[tuple[date, int]], first: date, last: date, most: int = PIECES) -> list[Piece]:
    """A window in pieces of about as many rows, in order, without a gap between them.

    Args:
        days: those that have rows, in order.
        first: of the window.
        last: of the window.
        most: pieces.
    """
    whole = sum(rows for _, rows in days)
    most = 1 if whole < 2 * _WORTH_A_PIECE else min(most, whole // _WORTH_A_PIECE // 2 * 2)
    share = -(-whole // most)
    found: list[Piece] = []
    for day, rows in days:
        if found and (len(found) == most or found[-1].rows + rows <= share):
            found[-1] = replace(found[-1], rows=found[-1].rows + rows)
        else:
            found.append(Piece(day if found else first, last, rows))
    ends = [each.first - timedelta(days=1) for each in found[1:]] + [last]
    return [replace(piece, last=end) for piece, end in zip(found, ends, strict=True)]


def days_of(since: datetime, until: datetime) -> tuple[date, date]:
    """First and last day of `[since, until)`, UTC."""
    return since.astimezone(UTC).date(), (until.astimezone(UTC) - timedelta(microseconds=1)).date()
