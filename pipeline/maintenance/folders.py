"""What lies about? Checkpoints that lake has set aside, and temporary files of Spark processes that are gone.

A process that is killed leaves its temporary files. They are nobody's when they were last written before the process that
has their place now was started; while nothing is known of that process, they are left alone.
"""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.contract.facts import Extent, MaintenanceStage
from pipeline.maintenance.plan import Leftover

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ASIDE = re.compile(r"(?P<stream>[a-z][a-z0-9_]*)-aside-(?P<at>\d{8}T\d{6})")
_TEMPORARY = ("blockmgr-*", "spark-*")


def set_aside(checkpoint_root: str, stream: str) -> list[Leftover]:
    """Checkpoints of a stream that were set aside; none on storage that is not a local folder."""
    root = Path(checkpoint_root)
    found = []
    for folder in sorted(root.glob(f"*/{stream}-aside-*")):
        named = _ASIDE.fullmatch(folder.name)
        if named is None or named["stream"] != stream or folder.is_symlink() or not folder.is_dir():
            continue
        at = datetime.strptime(named["at"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        found.append(_leftover(MaintenanceStage.CHECKPOINT, folder, at))
    return found


def orphans(scratch: Path, started: Mapping[str, datetime]) -> list[Leftover]:
    """Temporary files of Spark processes that are gone.

    Args:
        scratch: folder of all parts' temporary files.
        started: part -> when the process that it has now was started.
    """
    found = []
    for part, began in sorted(started.items()):
        for pattern in _TEMPORARY:
            for folder in sorted((scratch / f"{part}-process").glob(pattern)):
                at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
                if at < began and folder.is_dir() and not folder.is_symlink():
                    found.append(_leftover(MaintenanceStage.SCRATCH, folder, at))
    return found


def started(data: Path) -> dict[str, datetime]:
    """Part -> when its process was started, as the supervisor wrote it down; empty when none runs."""
    try:
        written = json.loads((data / "up.json").read_text())
    except (OSError, ValueError):
        return {}
    began = ((part["part"], part.get("started_at"), part.get("pid")) for part in written["parts"])
    return {name: datetime.fromisoformat(at) for name, at, pid in began if at is not None and _lives(pid)}


def _lives(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


def delete(path: str) -> None:
    """Delete a folder with all that is in it; one that is gone already is no error.

    Raises:
        OSError: if a file cannot be deleted.
    """
    if Path(path).exists():
        shutil.rmtree(path)


def extent(folder: Path) -> Extent:
    """Files below a folder."""
    return _sum(each.lstat().st_size for each in folder.rglob("*") if each.is_file())


def _sum(sizes: Iterable[int]) -> Extent:
    found = list(sizes)
    return Extent(files=len(found), bytes=sum(found))


def _leftover(kind: MaintenanceStage, folder: Path, since: datetime) -> Leftover:
    return Leftover(kind, str(folder), extent(folder), since)
