"""Which work has been asked for, and how far is it? In a file each, so that a part that starts again goes on with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import ValidationError

from controlplane.contract.replays import Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_KEPT = 200
_log = logging.getLogger(__name__)


class WorkFiles:
    """All work in a folder: `<id>.json`, and `<id>.ids` with the ids of its records, one a line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> list[Work]:
        """Every piece of work, the oldest first; the oldest beyond 200 are deleted."""
        found = []
        for file in self._folder.glob("*.json"):
            try:
                found.append(Work.model_validate_json(file.read_bytes()))
            except ValidationError as error:
                _log.warning("%s cannot be read and is left out: %s", file, error)
        found.sort(key=lambda each: (each.at, each.id))
        for old in found[:-_KEPT]:
            for ending in (".json", ".ids"):
                (self._folder / f"{old.id}{ending}").unlink(missing_ok=True)
        return found[-_KEPT:]

    def save(self, work: Work) -> None:
        """Keep a piece of work as it is now.

        Raises:
            OSError: if that fails.
        """
        self._replace(f"{work.id}.json", work.model_dump_json().encode())

    def save_ids(self, work: str, ids: Sequence[str]) -> None:
        """Keep which records it is about.

        Raises:
            OSError: if that fails.
        """
        self._replace(f"{work}.ids", "\n".join(ids).encode())

    def ids(self, work: str) -> list[str]:
        """Which records it is about; none before it was planned."""
        file = self._folder / f"{work}.ids"
        return file.read_text().split() if file.exists() else []

    def _replace(self, name: str, content: bytes) -> None:
        partial = self._folder / f"{name}.part"
        partial.write_bytes(content)
        partial.replace(self._folder / name)
