"""What does the worker do? It leases what waits, plans it in a thread, and runs it in a process of its own.

So Spark's memory goes with the run, and nothing that a kind does can end the worker.
"""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

from controlplane.contract.operations import Does, LeaseAsked, OperationState
from pipeline.operate.client import AwayError, LeaseLostError
from pipeline.operate.kind import RefusedError
from pipeline.operate.telling import Telling
from pipeline.operate.work import Shared, StageWork, scratch
from pipeline.reason import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controlplane.contract.operations import Kind, Leased, Operation
    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from pipeline.operate.client import ControlPlane
    from pipeline.operate.kind import OperationKind

_AT_ONCE = {Does.PLAN: 2, Does.RUN: 2}
"""Plans and runs beside one another; to clean up is a run."""
_WAITS_S = 3.0
_AGAIN_AFTER_S = 1.0
_ENDS_WITHIN_S = 10.0
_log = logging.getLogger(__name__)


class Worker:
    """Leases operations until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        kinds: Mapping[Kind, Callable[[], OperationKind]],
        plane: ControlPlane,
        reporter: Reporter,
        command: Callable[[Leased], list[str]],
    ) -> None:
        """`command` starts the process that runs what was leased (`run_leased`)."""
        self._settings, self._kinds, self._plane, self._reporter = settings, kinds, plane, reporter
        self._command = command
        self._name = f"{socket.gethostname()} {settings.operations}"
        self._lock = threading.Lock()
        self._at_work: dict[str, tuple[Does, threading.Thread]] = {}
        """By lease."""
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._is_away = False

    def run(self, stopping: threading.Event) -> None:
        """Lease and do, until `stopping` is set; then what runs is let go, to be gone on with."""
        while not stopping.is_set():
            leased = self._leased()
            if leased is not None:
                self._begin(leased)
            elif self._is_away or not self._room():
                stopping.wait(_AGAIN_AFTER_S)
        self._stop()

    def _leased(self) -> Leased | None:
        try:
            leased = self._plane.lease(self._asked())
        except Exception as error:  # noqa: BLE001 (nobody would see that a thread has ended: operations would only wait)
            if not self._is_away:
                _log.warning("no work can be leased: %s", reason_of(error))
            self._is_away = True
            return None
        self._is_away = False
        return leased

    def _asked(self) -> LeaseAsked:
        room = self._room()
        with self._lock:
            holds = tuple(self._at_work)
        return LeaseAsked(worker=self._name, holds=holds, does=room, wait_s=_WAITS_S if room else 0)

    def _room(self) -> tuple[Does, ...]:
        with self._lock:
            plans = sum(does is Does.PLAN for does, _ in self._at_work.values())
            runs = len(self._at_work) - plans
        free = (*((Does.PLAN,) if plans < _AT_ONCE[Does.PLAN] else ()),)
        return (*free, Does.RUN, Does.CLEAN_UP) if runs < _AT_ONCE[Does.RUN] else free

    def _begin(self, leased: Leased) -> None:
        does = self._plan if leased.does is Does.PLAN else self._run
        name = f"operation-{leased.operation.id}"
        thread = threading.Thread(target=self._do, args=(does, leased), name=name, daemon=True)
        with self._lock:
            self._at_work[leased.lease] = (leased.does, thread)
        thread.start()

    def _do(self, does: Callable[[Leased, Telling], None], leased: Leased) -> None:
        telling = Telling(self._plane, leased.operation.id, leased.lease, lost=lambda why: _log.debug("%s", why))
        try:
            does(leased, telling)
        except (AwayError, LeaseLostError) as error:
            _log.warning("operation %s: %s", leased.operation.id, error)
        finally:
            telling.close()
            with self._lock:
                self._at_work.pop(leased.lease, None)

    def _plan(self, leased: Leased, telling: Telling) -> None:
        operation = leased.operation
        telling.start()
        shared = Shared(self._settings, self._plane, self._reporter, {}, has_spark=False)
        try:
            plan = self._kind_of(operation)().plan(StageWork(operation, shared))
        except RefusedError as error:
            telling.say(state=OperationState.FAILED, reason=str(error))
        except Exception as error:  # noqa: BLE001 (told, and tried again)
            _log.exception("planning operation %s", operation.id)
            telling.log(f"planning failed: {reason_of(error)}")
            telling.say(state=OperationState.QUEUED, reason=reason_of(error))
        else:
            telling.say(plan=plan)

    def _kind_of(self, operation: Operation) -> Callable[[], OperationKind]:
        if operation.kind not in self._kinds:
            raise RefusedError(f"this worker knows no {operation.kind}")
        return self._kinds[operation.kind]

    def _run(self, leased: Leased, telling: Telling) -> None:
        number = leased.operation.id
        child = subprocess.Popen(self._command(leased), stdin=subprocess.PIPE, start_new_session=True)
        with self._lock:
            self._children[leased.lease] = child
        if self._stopping.is_set():
            child.terminate()
        ended = child.wait()
        with self._lock:
            self._children.pop(leased.lease, None)
        shutil.rmtree(scratch(self._settings, number), ignore_errors=True)
        # What has told its end is no longer leased: then this is not listened to.
        reason = None if self._stopping.is_set() else _how(ended)
        telling.say(state=OperationState.QUEUED, reason=reason)

    def _stop(self) -> None:
        self._stopping.set()
        with self._lock:
            children, threads = list(self._children.values()), [thread for _, thread in self._at_work.values()]
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
        for thread in threads:
            thread.join(_ENDS_WITHIN_S / 2)


def _how(code: int) -> str:
    return f"its process was killed by signal {-code}" if code < 0 else f"its process ended with exit code {code}"
