"""Does each part still answer? Asked from threads, so that one that hangs holds up neither the others nor the supervisor.

A part with an address is asked by its probe. The others say so themselves, by sd_notify's `WATCHDOG=1`, together with
what they wait for, if they do. A process that was stopped by a signal says nothing, and the kernel says why.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from controlplane.up.part import Part

_ASK_EVERY = timedelta(seconds=1)
_THREADS = 4


@dataclass
class _Asked:
    at: datetime
    answer: Future[bool]


class Probes:
    """Probes under way and when each was answered last; a process is known by its part and process id."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="probe")
        self._asked: dict[str, tuple[int, _Asked]] = {}

    def has_answered(self, part: Part, pid: int, now: datetime) -> bool:
        """Has the process answered since this was last asked? Asks again when it is time."""
        if part.probe is None:
            return False
        known_pid, asked = self._asked.get(part.name, (None, None))
        if asked is None or known_pid != pid:
            self._ask(part, pid, now)
            return False
        if not asked.answer.done() or now - asked.at < _ASK_EVERY:
            return False
        self._ask(part, pid, now)
        return asked.answer.result()

    def _ask(self, part: Part, pid: int, now: datetime) -> None:
        if part.probe is not None:
            self._asked[part.name] = (pid, _Asked(now, self._pool.submit(part.probe)))

    def close(self) -> None:
        """Wait for the probes under way."""
        self._pool.shutdown()


def is_stopped(pid: int) -> bool:
    """Was the process stopped by a signal?"""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False
