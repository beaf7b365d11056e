"""How does the control plane hear of an operation, and the operation of what operators want?

A thread says once a second what has changed, and every five seconds at least that the operation is still at work, which keeps its
lease. What cannot be said (the control plane starts anew) is kept and said later. When the lease is lost somebody else is at work,
or will be: then this process must not write anything more, so it ends at once.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from controlplane.contract.operations import Wish, WorkerSays
from pipeline.operate.client import AwayError, LeaseLostError, until_answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.operations import StageProgress
    from pipeline.operate.client import ControlPlane

_EVERY_S = 1.0
_AT_LEAST_EVERY_S = 5.0
_LINES_AT_MOST = 500
_log = logging.getLogger(__name__)


class Telling:
    """What has changed and is not said yet; every method may be called from any thread."""

    def __init__(self, plane: ControlPlane, number: str, lease: str, lost: Callable[[str], None]) -> None:
        """`lost` is told why the operation is no longer this process's."""
        self._plane, self._number, self._lease, self._lost = plane, number, lease, lost
        self._lock = threading.Lock()
        self._saying = threading.Lock()
        self._stages: dict[str, StageProgress] = {}
        self._lines: list[str] = []
        self._waits: str | None = None
        self._closing = threading.Event()
        self._said_at = time.monotonic()
        self.wish = Wish.RUN
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)

    def start(self) -> None:
        """Begin to say what changes."""
        self._thread.start()

    def stage(self, progress: StageProgress) -> None:
        """How far a stage is."""
        with self._lock:
            self._stages[progress.key] = progress

    def log(self, text: str) -> None:
        """A line of the operation's log."""
        _log.info("%s", text)
        with self._lock:
            self._lines = [*self._lines[-_LINES_AT_MOST:], text]

    def waits_for(self, why: str | None) -> None:
        """What holds it up; None: nothing."""
        with self._lock:
            self._waits = why or ""

    def say(self, *stages: StageProgress, **what: Any) -> None:  # noqa: ANN401 (fields of `WorkerSays`)
        """Say something now, with all that waits; tried again until the control plane takes it.

        Args:
            stages: what is said of these in the same breath.
            what: fields of `WorkerSays`.

        Raises:
            AwayError: if it does not in ten minutes.
        """
        until_answered(lambda: self._say(*stages, **what), _EVERY_S)

    def flush(self) -> None:
        """Say what waits now, if the control plane is there; else later, as ever."""
        try:
            self._say()
        except AwayError as error:
            _log.warning("the control plane does not hear of this operation: %s", error)

    def close(self) -> None:
        """Say nothing more."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_AT_LEAST_EVERY_S)

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_S):
            with self._lock:
                has_news = bool(self._stages or self._lines or self._waits is not None)
            if not has_news and time.monotonic() - self._said_at < _AT_LEAST_EVERY_S:
                continue
            self.flush()

    def _say(self, *more: StageProgress, **what: Any) -> None:  # noqa: ANN401 (the same)
        with self._saying:
            with self._lock:
                stages, lines, waits = self._stages, self._lines, self._waits
                self._stages, self._lines, self._waits = {}, [], None
            progress = tuple({**stages, **{each.key: each for each in more}}.values())
            told = WorkerSays(
                worker=self._lease, **{"stages": progress, "log": tuple(lines), "waits_for": waits, **what}
            )
            try:
                self.wish = self._plane.said(self._number, told)
                self._said_at = time.monotonic()
            except AwayError:
                with self._lock:
                    self._stages = {**stages, **self._stages}
                    self._lines = [*lines, *self._lines]
                    self._waits = waits if self._waits is None else self._waits
                raise
            except LeaseLostError as error:
                self._lost(str(error))
