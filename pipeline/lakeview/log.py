"""What has happened to a Delta table, version by version, and which of its versions can still be read?

Read from the log's own files, because the log alone does not say it: a vacuum takes files away, and every version that had one of
them can't be read any more, while its commit is still listed. So we walk from the newest version back, undoing each commit, and
keep count of the files that a version needs and that are not there. What is before the oldest checkpoint of a log whose
beginning is gone can't be read either. Works on every store that deltalake reads.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from pipeline.lakeview.commits import Commit, File, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

_LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")


@dataclass(frozen=True)
class Version:
    """A commit, and the table as it was after it."""

    commit: Commit
    files: int
    bytes: int | None
    rows: int | None
    missing: int
    """Files that it needs and that are gone."""
    reason: str | None
    """Why it can't be read; None when it can."""


@dataclass(frozen=True)
class Log:
    """A table's history, the newest first."""

    versions: tuple[Version, ...]

    @property
    def newest(self) -> int:
        """The newest version."""
        return self.versions[0].commit.version

    def of(self, version: int) -> Version | None:
        """One version; None when the log does not have it."""
        return next((each for each in self.versions if each.commit.version == version), None)

    def at(self, moment: datetime) -> Version | None:
        """The newest that is not after a moment; None when the log begins after it."""
        return next((each for each in self.versions if each.commit.at <= moment), None)

    def readable(self) -> str:
        """In words, which can be read: `0 to 3, 7 to 42`."""
        spans: list[list[int]] = []
        for each in reversed(self.versions):
            if each.reason is not None:
                continue
            version = each.commit.version
            if spans and spans[-1][1] == version - 1:
                spans[-1][1] = version
            else:
                spans.append([version, version])
        return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in spans) or "none"


def walk(commits: Sequence[Commit], newest: Sequence[File], on_store: frozenset[str], oldest: int) -> Iterator[Version]:
    """Versions, the newest first, each as it was.

    Args:
        commits: the newest first, with none left out.
        newest: files of the newest version.
        on_store: paths that are there.
        oldest: first version that the log can still build.
    """
    known = {each.path: each.rows for commit in commits for each in commit.added} | {e.path: e.rows for e in newest}
    needed = Counter(each.path for each in newest)
    sizes: dict[str, int | None] = {each.path: each.bytes for each in newest}
    sizes |= {each.path: each.bytes for commit in commits for each in (*commit.added, *commit.removed)}
    totals = _Totals(needed, sizes, known, on_store)
    for commit in commits:
        yield Version(
            commit,
            totals.files,
            totals.bytes,
            totals.rows,
            totals.missing,
            _why(commit.version, totals.missing, oldest),
        )
        totals.undo(commit)


def _why(version: int, missing: int, oldest: int) -> str | None:
    if missing:
        return f"{missing} of its files are gone: vacuumed"
    return f"the log can be read from version {oldest} on" if version < oldest else None


class _Totals:
    """Sums over the files of a version, kept while one commit after the other is undone."""

    def __init__(
        self,
        needed: Counter[str],
        sizes: dict[str, int | None],
        known: dict[str, int | None],
        on_store: frozenset[str],
    ) -> None:
        self._needed, self._sizes, self._known, self._on_store = needed, sizes, known, on_store
        self.files = self.missing = self._bytes = self._rows = 0
        self._without_bytes = self._without_rows = 0
        for path in needed:
            self._count(path, 1)

    @property
    def bytes(self) -> int | None:
        return None if self._without_bytes else self._bytes

    @property
    def rows(self) -> int | None:
        return None if self._without_rows else self._rows

    def undo(self, commit: Commit) -> None:
        for each in commit.added:
            self._change(each.path, -1)
        for each in commit.removed:
            self._change(each.path, 1)

    def _change(self, path: str, by: int) -> None:
        """A file whose deletion vector changes is removed and added in one commit: it stays one file."""
        before = self._needed[path] > 0
        self._needed[path] += by
        after = self._needed[path] > 0
        if before != after:
            self._count(path, 1 if after else -1)

    def _count(self, path: str, by: int) -> None:
        size, rows = self._sizes.get(path), self._known.get(path)
        self.files += by
        self.missing += by * (path not in self._on_store)
        self._bytes += by * (size or 0)
        self._without_bytes += by * (size is None)
        self._rows += by * (rows or 0)
        self._without_rows += by * (rows is None)


@dataclass
class Logs:
    """Reads logs; a commit that was read once is not read again."""

    at_most: int = 50_000
    """Commits that are kept."""
    _read: dict[tuple[str, int, str], Commit] = field(default_factory=dict)

    def read(self, uri: str, limit: int | None = None) -> Log:
        """A table's newest versions, or all that its log has.

        Raises:
            TableNotFoundError: if there is no table.
        """
        table = DeltaTable(uri)
        handler = DeltaStorageHandler(uri)
        store = fs.PyFileSystem(handler)
        found = store.get_file_info(fs.FileSelector("", recursive=True))
        paths = frozenset(each.path.lstrip("/") for each in found if each.type is fs.FileType.File)
        names = {path.removeprefix(f"{_LOG}/") for path in paths if path.startswith(f"{_LOG}/")}
        there = sorted((int(m[1]) for name in names if (m := _COMMIT.fullmatch(name))), reverse=True)
        there = [version for version in there if version <= table.version()]
        identity = str(table.metadata().id)
        commits = [self._commit(store, (uri, version, identity)) for version in _unbroken(there, limit)]
        oldest = _oldest(there, (int(m[1]) for name in names if (m := _CHECKPOINT.fullmatch(name))))
        return Log(tuple(walk(commits, _files(table), paths, oldest)))

    def _commit(self, store: fs.PyFileSystem, key: tuple[str, int, str]) -> Commit:
        if (known := self._read.get(key)) is not None:
            return known
        with store.open_input_file(f"{_LOG}/{key[1]:020}.json") as file:
            commit = parse(key[1], file.read().decode())
        while len(self._read) >= self.at_most:
            self._read.pop(next(iter(self._read)))
        self._read[key] = commit
        return commit


def _unbroken(versions: Sequence[int], limit: int | None) -> list[int]:
    """The newest ones, up to where one is missing: nothing before it can be undone to."""
    taken: list[int] = []
    for version in versions:
        if taken and version != taken[-1] - 1:
            break
        taken.append(version)
        if limit is not None and len(taken) >= limit:
            break
    return taken


def _oldest(versions: Sequence[int], checkpoints: Iterable[int]) -> int:
    """First version that can be built: from the log's beginning, or from its first checkpoint."""
    if not versions or versions[-1] == 0:
        return 0
    return min((each for each in checkpoints if each >= versions[-1] - 1), default=versions[0])


def _files(table: DeltaTable) -> list[File]:
    actions = pa.table(table.get_add_actions(flatten=True))
    columns = [actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records")]
    return [File(unquote(path), size, rows) for path, size, rows in zip(*columns, strict=True)]
