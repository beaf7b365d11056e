"""How is a plan carried out? Stage by stage, one run at a time on the whole platform, and each stage is reported as it ends.

A stage that somebody else's commit made impossible is tried again; one that fails costs none of the others. Told to stop, a
run stops after the stage that it is at: Delta's commits are whole, but what was rewritten would be lost.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.contract.facts import MaintenanceRan
from pipeline.maintenance.act import ChangedMeanwhileError
from pipeline.reason import reason_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.maintenance.act import Acts, Done
    from pipeline.maintenance.stages import Plan, Stage

_TRIES = 4
_AGAIN_AFTER_S = 2.0
_LOOK_AT_LOCK_EVERY_S = 0.2
_log = logging.getLogger(__name__)


Rest = Callable[[float], bool]
"""Waits so many seconds; true: it is to stop instead."""


class StoppedError(Exception):
    """Told to stop before it was this run's turn."""


@contextmanager
def turn(folder: Path, rest: Rest, waits: Callable[[], None]) -> Iterator[None]:
    """Wait for the run before to end, however it was started, and keep the next one out.

    Args:
        folder: maintenance's own, in the data folder.
        rest: between two looks; true gives up waiting.
        waits: called once if there is a run to wait for.

    Raises:
        StoppedError: if `rest` said so first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        has_told = False
        while not _taken(lock.fileno()):
            if not has_told:
                waits()
            has_told = True
            if rest(_LOOK_AT_LOCK_EVERY_S):
                raise StoppedError
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def run(plan: Plan, acts: Acts, report: Callable[[MaintenanceRan], None], stopping: threading.Event) -> int:
    """Carry out a plan's stages in their order; how many were."""
    name = uuid4().hex[:8]
    for number, stage in enumerate(plan.stages):
        if stopping.is_set():
            return number
        report(carried_out(name, stage, acts, stopping.wait))
    return len(plan.stages)


def carried_out(run: str, stage: Stage, acts: Acts, rest: Rest) -> MaintenanceRan:
    """One stage, and what came of it; an error is told in it."""
    began = time.monotonic()
    done, error = _tried(stage, acts, rest)
    return MaintenanceRan(
        at=datetime.now(UTC),
        run=run,
        stream=stage.stream,
        subject=stage.subject,
        stage=stage.kind,
        what=stage.what,
        before=done.before if done else None,
        after=done.after if done else None,
        version=done.version if done else None,
        took_s=round(time.monotonic() - began, 3),
        error=error,
    )


def _tried(stage: Stage, acts: Acts, rest: Rest) -> tuple[Done | None, str | None]:
    error = ""
    for number in range(_TRIES):
        if number and rest(number * _AGAIN_AFTER_S):
            break
        try:
            return acts.perform(stage), None
        except ChangedMeanwhileError as changed:
            error = f"tried {number + 1} times; {changed}"
        except Exception as failure:  # noqa: BLE001 (of one stage; reported as its error)
            reason = reason_of(failure)
            _log.exception("%s of %s failed: %s", stage.kind, stage.subject, reason)
            return None, reason
    return None, error
