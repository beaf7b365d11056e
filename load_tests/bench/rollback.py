"""Is a rollback safe, whenever the process that carries it out is killed?

Again and again the lake is rolled back to the same version and replays what came after it. Each time the process is killed at
another stage. Every second one is then undone, and so is that killed. After each, every table and every view has to be what pandas
makes of all flights that were sent, and route and live must have been left alone.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load_tests.bench.journeys import Journeys, journeys_in

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS = ("route", "live", "lake", "ledger")
Report = dict[str, Any]


def measure(flights: int, told: Callable[[str], None]) -> Report:
    """One rollback for each of its stages.

    Args:
        flights: how many; the lake is rolled back to half of them.
        told: takes progress.
    """
    with tempfile.TemporaryDirectory() as folder, journeys_in(Path(folder)) as journeys:
        told(f"{flights:,} flights")
        journeys.send(flights // 2)
        journeys.settles(set(range(flights // 2)))
        version = journeys.version()
        journeys.send(flights - flights // 2)
        everything = set(range(flights))
        journeys.settles(everything)
        before = {part: journeys.platform.pid(part) for part in _PARTS}
        keys = [each["key"] for each in journeys.asked(version=version)["plan"]["stages"]]
        rounds = [_round(journeys, version, key, everything, told, undone=at % 2 == 1) for at, key in enumerate(keys)]
        rounds.append(_cancelled(journeys, version, everything, told))
        after = {part: journeys.platform.pid(part) for part in _PARTS}
        return {"flights": flights, "version": version, "rounds": rounds, "left_alone": before == after}


def _round(  # noqa: PLR0913 (what a round is)
    journeys: Journeys, version: int, key: str, everything: set[int], told: Callable[[str], None], *, undone: bool
) -> Report:
    began = time.monotonic()
    planned = journeys.asked(version=version)
    journeys.confirmed(planned)
    journeys.reaches(planned["id"], "done", killed_at=(key,))
    if undone:
        back = journeys.reaches(journeys.post(f"operations/{planned['id']}/undo")["id"], "planned", "failed")
        journeys.confirmed(back)
        journeys.reaches(back["id"], "done", killed_at=(key,))
    return _told(
        journeys, everything, time.monotonic() - began, told, killed_at=key, ended="undone" if undone else "done"
    )


def _cancelled(journeys: Journeys, version: int, everything: set[int], told: Callable[[str], None]) -> Report:
    """Held where everything is rolled back, then cancelled, and killed while it takes that back."""
    began = time.monotonic()
    planned = journeys.asked(version=version, then="hold")
    journeys.confirmed(planned)
    journeys.reaches(planned["id"], "paused")
    journeys.post(f"operations/{planned['id']}/cancel")
    if (child := journeys.wait(journeys.child, "somebody takes it back")) is not None:
        child.kill()
    journeys.reaches(planned["id"], "cancelled")
    return _told(journeys, everything, time.monotonic() - began, told, killed_at="clean-up", ended="cancelled")


def _told(journeys: Journeys, everything: set[int], took_s: float, told: Callable[[str], None], **what: str) -> Report:
    difference = None
    try:
        journeys.settles(everything)
        journeys.agrees(everything, live=everything)
    except (AssertionError, TimeoutError) as error:
        difference = " ".join(str(error).split())[:300]
    told(f"killed at {what['killed_at']}, {what['ended']}: {took_s:.0f} s: {difference or 'equal to pandas'}")
    return {**what, "took_s": round(took_s, 1), "difference": difference}
