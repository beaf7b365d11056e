"""What has been done? The last runs, and when each partition was put in order, in one small file in the data folder.

Delta's log forgets after the promise, and reading all of it for one question is dear. The part reports these runs again
every minute, so that a control plane that starts anew, or was away during a run by hand, knows them too.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (pydantic reads it)
from pathlib import Path  # noqa: TC003 (used at run time)

from pydantic import BaseModel

from controlplane.contract.facts import MaintenanceRan  # noqa: TC001 (pydantic reads it)

_RUNS = 100


class Written(BaseModel):
    """The file."""

    runs: tuple[MaintenanceRan, ...] = ()
    """Oldest first."""
    ordered_at: dict[str, dict[str, datetime]] = {}
    """Table id -> partition -> when it was last put in Z-order."""


class Kept:
    """The file, written by whoever holds the lock of maintenance."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "kept.json"

    def read(self) -> Written:
        """What is kept; nothing when the file is missing or not readable: then some work is done once more."""
        try:
            return Written.model_validate_json(self._file.read_bytes())
        except (OSError, ValueError):
            return Written()

    def ordered_at(self) -> dict[tuple[str, str], datetime]:
        """Table id and partition -> when it was last put in Z-order."""
        return {(key, each): at for key, found in self.read().ordered_at.items() for each, at in found.items()}

    def add(self, ran: MaintenanceRan) -> None:
        """Keep what was done."""
        written = self.read()
        self._write(written.model_copy(update={"runs": (*written.runs, ran)[-_RUNS:]}))

    def note_order(self, table_id: str, partition: str, at: datetime) -> None:
        """Keep that a partition is in order."""
        written = self.read()
        found = {**written.ordered_at, table_id: {**written.ordered_at.get(table_id, {}), partition: at}}
        self._write(written.model_copy(update={"ordered_at": found}))

    def _write(self, written: Written) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".part")
        partial.write_text(written.model_dump_json())
        partial.replace(self._file)
