"""What do all users of a run share? What is due, what was answered, and the time axis."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from load_tests.users.schedule import Schedule
from load_tests.users.tally import Tally

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings
    from pipeline.loads.folder import LoadRun

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
        self._began = time.monotonic() - (time.time() - self.run.started_ms / 1000)

    def now_s(self) -> float:
        """Seconds on the run's time axis."""
        return time.monotonic() - self._began
