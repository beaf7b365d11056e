"""Does a table have what it has noted as inserted?

The engine notes an insert's token in the table's log first and gives the part its name a moment later (`MergeTreeSink`, as
of 26.9). Who is killed between the two has noted what is nowhere: the insert that is made again is dropped as a duplicate,
and its rows are lost. So tokens without their part are struck out of the logs before a folder is opened, and a process in
which an insert failed between the two ends, because the engine has the token in its memory too. Of a part that has expired
the token is struck out as well; nobody makes an insert of so long ago again.
"""

from __future__ import annotations

import fcntl
import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LOGS = "store/*/*/deduplication_logs"
_PART = re.compile(r"(?P<partition>[^_]+)_(?P<first>\d+)_(?P<last>\d+)_\d+(_\d+)?")
_NOTED = re.compile(r"1\t(?P<part>[^\t\n]+)\t[^\t\n]+\n")
"""A record that adds; others, and those of another version of the engine, stay as they are."""
_JUST_NOW = 8
"""Records of a table: as many inserts as could have been written beside the one in question."""


def strike_out(folder: Path) -> list[str]:
    """Take back what the logs of a folder have noted and its tables lack; nothing while a process has the folder open.

    Returns:
        the parts' names, each with its table's folder.

    Raises:
        OSError: if the folder cannot be read or written.
    """
    struck: list[str] = []
    for logs in () if _is_open(folder) else sorted(folder.glob(_LOGS)):
        for log, lacking in _lacking(logs).items():
            struck += [f"{logs.parent.name}/{_part(line)}" for line in lacking]
            kept = [line for line in _lines(log) if line not in lacking]
            anew = folder / "deduplication.new"  # not among the logs: the engine reads each file there
            anew.write_text("".join(kept))
            anew.replace(log)
    return struck


def lacks(folder: Path) -> bool:
    """Was something noted just now that is not there? True also for an insert that is just being given its name."""
    return any(_lacking(logs, _JUST_NOW) for logs in folder.glob(_LOGS))


def _is_open(folder: Path) -> bool:
    """The engine holds a lock on a file that says who it is."""
    try:
        with (folder / "status").open() as status:
            fcntl.flock(status, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _lacking(logs: Path, newest: int | None = None) -> dict[Path, set[str]]:
    """Log -> its records of parts that the table does not have; of the newest so many records, or of all."""
    files = sorted(logs.glob("deduplication_log_*.txt"), key=lambda log: int(log.stem.rpartition("_")[2]))
    noted = [(log, line) for log in files for line in _lines(log) if _part(line)]
    spans = _spans(logs.parent)  # looked at after the logs: what they name came before
    found = defaultdict(set)
    for log, line in noted[-newest:] if newest else noted:
        if not _is_held(_part(line), spans):
            found[log].add(line)
    return found


def _lines(log: Path) -> Iterator[str]:
    with log.open() as lines:
        yield from lines


def _part(line: str) -> str:
    found = _NOTED.fullmatch(line)
    return found["part"] if found and _PART.fullmatch(found["part"]) else ""


def _spans(table: Path) -> Mapping[str, Sequence[tuple[int, int]]]:
    """Partition -> first and last block of each of its parts."""
    spans = defaultdict(list)
    for found in filter(None, (_PART.fullmatch(entry.name) for entry in table.iterdir() if entry.is_dir())):
        spans[found["partition"]].append((int(found["first"]), int(found["last"])))
    return spans


def _is_held(part: str, spans: Mapping[str, Sequence[tuple[int, int]]]) -> bool:
    """By itself, or by one that it was merged into."""
    found = _PART.fullmatch(part)
    return found is not None and any(
        first <= int(found["first"]) and int(found["last"]) <= last for first, last in spans.get(found["partition"], ())
    )
