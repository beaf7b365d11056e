"""Which parts do not know a stream's folder as it is? They read it when they start; one that was added or changed since is newer.

Suites and reference tables are followed while parts run, and a promoted folder restarts its readers itself: neither is looked at.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controlplane.contract.folders import stream_folders
from controlplane.contract.restarts import READERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_READ_AT_START = ("stream.yaml", "schema.avsc")


def newer_folders(roots: Sequence[Path], parts: Iterable[Mapping[str, Any]]) -> dict[Path, list[str]]:
    """Each stream's folder that was added or changed after a part's start, with these parts.

    Args:
        roots: folders of stream folders, without the promoted ones.
        parts: as the supervisor reports them.
    """
    started = {part["part"]: part["started_at"] for part in parts if part["started_at"] is not None}
    readers = [(name, datetime.fromisoformat(started[name])) for name in READERS if name in started]
    found = {}
    for folder in (folder for root in roots for folder in stream_folders((root,))):
        changed = _changed(folder)
        if older := [name for name, at in readers if at < changed]:
            found[folder] = older
    return found


def _changed(folder: Path) -> datetime:
    """By the moment at which a file came to its place: what is copied may keep an older date."""
    moments = ((folder / name).stat().st_ctime for name in _READ_AT_START if (folder / name).exists())
    return datetime.fromtimestamp(max(moments), UTC)
