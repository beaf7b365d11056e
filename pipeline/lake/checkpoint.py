"""May the lake go on from Spark's checkpoint, or where else does it begin?

The table is the truth: its newest commit names the offsets up to which it has every event. A checkpoint is good if it is
whole and says the same, or is one batch ahead (that batch was begun and not written). One that is deleted, damaged, or
of another time is set aside, and the query begins anew where the table ends. Only where neither can be trusted is the
start refused, with what to do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pipeline.lake.offsets import ends_in, last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EARLIEST = -2
"""Spark's number for a partition's beginning."""
Ends = dict[int, int]
"""Partition -> end offset (exclusive)."""


class CheckpointRefusedError(Exception):
    """The lake cannot begin without losing or doubling events; says what to do."""


class Files(Protocol):
    """A checkpoint's files."""

    def read(self, name: str) -> str | None:
        """Text of a file by its path in the checkpoint; None when there is none.

        Raises:
            OSError: if it is there and cannot be read.
        """

    def numbers(self, folder: str) -> list[int]:
        """Numbers that are names of files in a folder, ascending; empty when there is no folder."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says: up to where its newest batch goes, and the one before."""

    begun: Ends
    before: Ends
    is_new: bool
    """Nothing was ever committed by it."""


@dataclass(frozen=True)
class Start:
    """How the query starts."""

    offsets: Ends | None
    """Where a new checkpoint begins; None is the beginning of the topic, or where the checkpoint that is kept says."""
    set_aside: str | None = None
    """Why the checkpoint that is there is not used; None to keep it."""


def look(files: Files) -> Checkpoint | str | None:
    """What a checkpoint says; None when there is none; a sentence when it is damaged."""
    try:
        return _look(files)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"


def _look(files: Files) -> Checkpoint | None:
    identity, batches, commits = files.read("metadata"), files.numbers("offsets"), files.numbers("commits")
    if identity is None and not batches and not commits:
        return None
    json.loads(identity or "")["id"]
    if not batches:
        return Checkpoint({}, {}, is_new=True)
    newest = batches[-1]
    begun = ends_in(files.read(f"offsets/{newest}"))
    before = ends_in(files.read(f"offsets/{newest - 1}" if newest else "sources/0/0"))
    if commits:
        json.loads(last_line(files.read(f"commits/{commits[-1]}")))
    if commits and commits[-1] not in (newest, newest - 1):
        raise ValueError(f"its newest batch is {newest}, its newest commit {commits[-1]}")
    if newest and not commits:
        raise ValueError(f"its newest batch is {newest} and it has no commit")
    return Checkpoint(begun, before, is_new=not commits)


def decide(found: Checkpoint | str | None, held: Ends | None, *, has_table: bool, where: str) -> Start:
    """Where to begin.

    Args:
        found: what `look` says.
        held: up to where the table's newest commit says that it has every event; None when no commit says so.
        has_table: is there a table?
        where: the checkpoint's path, for what is refused.

    Raises:
        CheckpointRefusedError: if neither the table nor the checkpoint can be trusted.
    """
    if has_table and held is None:
        raise CheckpointRefusedError(
            "none of the table's commits names the source offsets that it holds, so where to go on is unknown; "
            "roll the table back to a version that this platform wrote, or move it away to have it written anew"
        )
    if isinstance(found, str):
        return Start(held, set_aside=f"it is damaged ({found})")
    if found is None:
        return Start(held)
    if held is None:
        if found.is_new:
            return Start(None)
        raise CheckpointRefusedError(
            f"the checkpoint says that batches were written, but the table is gone; put the table back, or delete {where} "
            "to have everything written again that the topic still holds"
        )
    if found.begun and not (_says(found.begun, held) or _says(found.before, held)):
        return Start(held, set_aside="the table ends elsewhere: the checkpoint is older, or of another table")
    return Start(held, set_aside="it has no batch, and the table has events") if not found.begun else Start(None)


def _says(ends: Ends, held: Ends) -> bool:
    """The same, but that a partition may be named by only one of them while it is empty."""
    return all(ends.get(each, 0) == held.get(each, 0) for each in ends.keys() | held.keys())


def starting_offsets(topic: str, ends: Ends | None, partitions: Iterable[int]) -> str:
    """Spark's option: every partition must be named, also one that the topic has gained since."""
    if ends is None:
        return "earliest"
    return json.dumps({topic: {str(each): ends.get(each, EARLIEST) for each in partitions}})


class HadoopFiles:
    """Through Hadoop, so that a checkpoint may be on S3."""

    def __init__(self, session: Any, path: str) -> None:  # noqa: ANN401 (Py4J has no types)
        self._jvm = session._jvm  # noqa: SLF001
        self._root = path
        self._path = self._jvm.org.apache.hadoop.fs.Path
        self._files = self._path(path).getFileSystem(session._jsc.hadoopConfiguration())  # noqa: SLF001

    def read(self, name: str) -> str | None:
        """See `Files`."""
        from py4j.protocol import Py4JJavaError

        path = self._path(f"{self._root}/{name}")
        if not self._files.exists(path):
            return None
        try:
            opened = self._files.open(path)
            try:
                return str(self._jvm.org.apache.commons.io.IOUtils.toString(opened, "UTF-8"))
            finally:
                opened.close()
        except Py4JJavaError as error:
            raise OSError(f"{name}: {error.java_exception}") from error

    def numbers(self, folder: str) -> list[int]:
        """See `Files`."""
        path = self._path(f"{self._root}/{folder}")
        if not self._files.exists(path):
            return []
        names = (status.getPath().getName() for status in self._files.listStatus(path))
        return sorted(int(name) for name in names if name.isdigit())

    def set_aside(self, suffix: str) -> str:
        """Move the whole checkpoint away; where to."""
        target = f"{self._root}-{suffix}"
        if not self._files.rename(self._path(self._root), self._path(target)):
            raise OSError(f"{self._root} cannot be moved to {target}")
        return target


class LocalFiles:
    """In a folder of this machine, without a JVM."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> str | None:
        """See `Files`."""
        try:
            return (self._root / name).read_text()
        except FileNotFoundError:
            return None

    def numbers(self, folder: str) -> list[int]:
        """See `Files`."""
        found = self._root / folder
        return sorted(int(each.name) for each in found.iterdir() if each.name.isdigit()) if found.is_dir() else []

    def set_aside(self, suffix: str) -> str:
        """Move the whole checkpoint away; where to."""
        return str(self._root.rename(self._root.with_name(f"{self._root.name}-{suffix}")))


def files_at(root: str, session: Callable[[], Any]) -> LocalFiles | HadoopFiles:
    """A checkpoint's files, below a folder or a URL.

    Args:
        root: where.
        session: a Spark session, asked for only where the root is no folder of this machine.
    """
    parts = urlsplit(root)
    return LocalFiles(Path(parts.path)) if parts.scheme in ("", "file") else HadoopFiles(session(), root)
