"""What do all users of a run share? What is due, what was answered, and the time axis."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from load_tests.users.schedule import Schedule
from load_tests.users.tally import Tally

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings
    from pipeline.loads.folder import LoadFolder, LoadRun

_BEGINS_IN_S = 2.0
"""So long the platform is looked at before it is loaded: what its lag was then is what it has to be again."""
_EVENTS_AT_ONCE = 500
"""Of a transaction, or a request to the collector."""


@dataclass
class Load:
    """One run, in the process that loads."""

    run: LoadRun
    settings: Settings
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        asked = self.run.asked
        most = _EVENTS_AT_ONCE if asked.target.writes else 1
        self.schedule = Schedule(asked.corners, asked.rate, most)
        self._began = time.monotonic()

    def begin(self, folder: LoadFolder) -> None:
        """Say when second 0 is, now that all is there that takes its time: to start late would be to send late."""
        self._began = time.monotonic() + _BEGINS_IN_S
        self.run = self.run.model_copy(update={"started_ms": (time.time() + _BEGINS_IN_S) * 1000})
        folder.begin(self.run)

    def now_s(self) -> float:
        """Seconds on the run's time axis."""
        return time.monotonic() - self._began
