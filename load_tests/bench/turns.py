"""What does work cost others? It is frozen and let go in turns, so that both are of the same minutes of the same run.

A time before and a time after differ by more than the work: tables have grown, caches are warmer, maintenance has begun.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

_SETTLES_MS = 2000.0
"""So long after a turn has begun, what is seen is of neither."""


class Turns:
    """Processes, frozen every other time. As a context: at its end they are let go."""

    def __init__(self, processes: Callable[[], Sequence[psutil.Process]], every_s: float) -> None:
        """Nothing is frozen until the first process is there.

        Args:
            processes: that do the work; asked anew at each turn.
            every_s: how long a turn is, seconds.
        """
        self._processes, self._every_ms = processes, every_s * 1000
        self._begun: list[tuple[float, bool]] = []
        self._frozen: Sequence[psutil.Process] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._let_go()

    def beat(self) -> None:
        """Begin the next turn when it is time."""
        now = time.time() * 1000
        if self._begun and now < self._begun[-1][0] + self._every_ms:
            return
        there = self._processes()
        if not self._begun and not there:
            return
        is_frozen = bool(self._begun) and not self._begun[-1][1]
        if is_frozen:
            self._freeze(there)
        else:
            self._let_go()
        self._begun.append((now, is_frozen))

    def was_frozen(self, at_ms: float) -> bool | None:
        """Was it frozen then? None if it had not begun, or a turn had just begun.

        Args:
            at_ms: milliseconds of the epoch.
        """
        turn = bisect_right(self._begun, at_ms, key=lambda each: each[0]) - 1
        if turn < 0 or at_ms < self._begun[turn][0] + _SETTLES_MS:
            return None
        return self._begun[turn][1]

    def _freeze(self, processes: Sequence[psutil.Process]) -> None:
        self._frozen = processes
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def _let_go(self) -> None:
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._frozen = ()


def jvms_below(pid: int | None) -> list[psutil.Process]:
    """The Java processes that a process has started, and those that these have."""
    with suppress(psutil.NoSuchProcess):
        return [] if pid is None else [each for each in psutil.Process(pid).children(recursive=True) if _is_jvm(each)]
    return []


def _is_jvm(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.name() == "java"
    return False
