"""Is a rollback safe, whenever the process that carries it out is killed?

It dies at every stage, when the stage has done its work and nobody has heard of it yet (`mortal`). So does its undo, one that is
held until it is resumed, and one that is cancelled there. After each, every table and every view has to be what pandas makes of all
flights that were sent, and route and live must have been left alone.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load_tests.bench.journeys import Journeys, journeys_in
from load_tests.bench.mortal import ALL

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS = ("route", "live", "ledger")
Report = dict[str, Any]


def measure(flights: int, told: Callable[[str], None]) -> Report:
    """A rollback, its undo, one that is held and one that is cancelled.

    Args:
        flights: how many; the lake is rolled back to half of them.
        told: takes progress.
    """
    with tempfile.TemporaryDirectory() as folder, journeys_in(Path(folder), (ALL,)) as journeys:
        told(f"{flights:,} flights")
        journeys.send(flights // 2)
        journeys.settles(set(range(flights // 2)))
        version = journeys.version()
        journeys.send(flights - flights // 2)
        everything = set(range(flights))
        journeys.settles(everything)
        before = {part: journeys.platform.pid(part) for part in _PARTS}
        rounds = [
            _round(journeys, name, act, everything, told)
            for name, act in (
                ("rolled back", lambda: _done(journeys, journeys.asked(version=version))),
                ("undone", lambda: _done(journeys, _undo(journeys))),
                ("held", lambda: _held(journeys, version, "resume", "done")),
                ("cancelled", lambda: _held(journeys, version, "cancel", "cancelled")),
            )
        ]
        after = {part: journeys.platform.pid(part) for part in _PARTS}
        return {"flights": flights, "version": version, "rounds": rounds, "left_alone": before == after}


def _done(journeys: Journeys, planned: Report) -> str:
    journeys.confirmed(planned)
    return str(journeys.reaches(planned["id"], "done")["id"])


def _undo(journeys: Journeys) -> Report:
    last = journeys.get("operations", state="done", limit=1)["items"][0]["id"]
    return journeys.reaches(journeys.post(f"operations/{last}/undo")["id"], "planned")


def _held(journeys: Journeys, version: int, then: str, state: str) -> str:
    planned = journeys.asked(version=version, then="hold")
    journeys.confirmed(planned)
    journeys.reaches(planned["id"], "paused")
    journeys.kill("lake")  # it comes back, and finds that it is held
    journeys.post(f"operations/{planned['id']}/{then}")
    return str(journeys.reaches(planned["id"], state)["id"])


def _round(
    journeys: Journeys, name: str, act: Callable[[], str], everything: set[int], told: Callable[[str], None]
) -> Report:
    began = time.monotonic()
    number = act()
    took_s, difference = time.monotonic() - began, None
    try:
        journeys.settles(everything)
        journeys.agrees(everything, live=everything)
    except (AssertionError, TimeoutError) as error:
        difference = " ".join(str(error).split())[:300]
    killed_at = journeys.deaths(number)
    told(f"{name}, killed {len(killed_at)} times, {took_s:.0f} s: {difference or 'equal to pandas'}")
    return {"what": name, "killed_at": killed_at, "took_s": round(took_s, 1), "difference": difference}
