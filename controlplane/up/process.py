"""How is a part's process started, watched and stopped, so that none outlives the platform?

Each runs in a session of its own, so that a Ctrl-C in the terminal reaches only the supervisor, and asks the kernel for
a SIGTERM when the supervisor dies, however it dies (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path  # noqa: TC003 (used at run time)
from typing import TYPE_CHECKING

import psutil

from controlplane.contract.priority import session_gives_way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.up.part import Part

_PR_SET_PDEATHSIG = 1
_LOG_ROTATED_OVER_BYTES = 20 * 2**20
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class PartProcess:
    """A started part."""

    def __init__(self, part: Part, env: Mapping[str, str], log: Path, notify: Path) -> None:
        self._notify_path = notify
        self._notify = _listen(notify)
        _rotate(log)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                part.argv,
                env={**env, **part.env, "NOTIFY_SOCKET": str(notify)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (the hook calls prctl and nothing else)
            )
        self.pid = self._popen.pid

    def give_way(self, nice: int, session_nice: int = 0) -> None:
        """Lower the priority of every thread it has, new ones inherit it; and of its session."""
        if session_nice:
            session_gives_way(session_nice, of=self.pid)
        for member in self._family():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                for thread in member.threads():
                    os.setpriority(os.PRIO_PROCESS, thread.id, nice)

    def said(self) -> list[dict[str, str]]:
        """What the process has told by sd_notify since the last call, as variable -> value, a dict a message."""
        told: list[dict[str, str]] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._notify.recv(4096).decode("utf-8", "replace").splitlines()
                told.append(dict(line.split("=", 1) for line in lines if "=" in line))
        return told

    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._popen.poll()

    def memory_bytes(self) -> int | None:
        """Resident memory of the process and its children; None when it is gone."""
        family = self._family()
        return sum(_resident(member) for member in family) if family else None

    def _family(self) -> list[psutil.Process]:
        """The process and its children; empty when it is gone."""
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself; its children are its own to stop."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.terminate()

    def wait(self, timeout_s: float) -> bool:
        """Has it ended within the time?"""
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to what is left of its session; also after a clean end, for children that stayed behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._notify.close()
        self._notify_path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(path))
    channel.setblocking(False)
    return channel


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_ROTATED_OVER_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
