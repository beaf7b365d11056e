"""Has somebody changed the files that a part follows, and is he done?

A look costs a `stat` a file. Nobody says when he has finished writing, so a change counts only once two looks in a row
have seen the same. Whoever wants to be sure writes elsewhere and renames: that is never seen half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

SeenFile = tuple[str, int, int, int, int]
"""A file's name, inode, bytes, and times of its last change, of content and of anything."""
Seen = dict[str, SeenFile | None]
"""By what it is: a table's name, or a file's; None: no file."""


def seen(stream: StreamDefinition) -> Seen:
    """What the file system says of the tables that a stream's joins read."""
    return {join.reference: _of_table(stream, join.reference) for join in stream.enrich}


def seen_file(file: Path) -> Seen:
    """What the file system says of one file."""
    try:
        return {file.name: _of(file)}
    except FileNotFoundError:
        return {file.name: None}


def _of_table(stream: StreamDefinition, name: str) -> SeenFile | None:
    try:
        return _of(stream.reference_file(name))
    except FileNotFoundError:
        return None


def _of(file: Path) -> SeenFile:
    found = file.stat()
    return file.name, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Settling:
    """Looks in a row, against what was judged last."""

    def __init__(self, judged: Seen) -> None:
        self._judged = judged
        self._before = judged

    def has_settled(self, now: Seen) -> bool:
        """Is this another state than the one judged last, and the same as at the look before?"""
        is_calm, self._before = now == self._before, now
        return is_calm and now != self._judged

    def judge(self, now: Seen) -> None:
        """This state was taken or refused: it needs no second look."""
        self._judged = now
