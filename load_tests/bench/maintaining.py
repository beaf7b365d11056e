"""A run of maintenance beside a platform, as its own part has it done: `tidegate maintain run`, giving way to everything."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NICE = 19
_STOP_WITHIN_S = 30.0


class Maintaining:
    """The run; it is stopped when the block ends, which is after the stage that it is at."""

    def __init__(self, child: subprocess.Popen[str], said: Path) -> None:
        self._child, self._said = child, said

    def has_ended(self) -> bool:
        """Is it over?"""
        return self._child.poll() is not None

    def stages(self) -> list[str]:
        """What it did, a line each.

        Raises:
            RuntimeError: with its words, if it failed or found nothing to do.
        """
        lines = self._said.read_text().splitlines()
        if self._child.poll() != 0 or lines == ["Nothing is due."]:
            words = "\n".join(lines[-20:])
            raise RuntimeError(f"maintenance ended with code {self._child.returncode}: {words}")
        return lines


@contextmanager
def maintaining(data: Path, stream: str) -> Iterator[Maintaining]:
    """Begin a run on a stream of the platform in a folder."""
    command = [sys.executable, "-P", "-m", "controlplane.cli", "maintain", "run", "--stream", stream]
    with tempfile.NamedTemporaryFile("w", suffix=".log") as said:
        child = subprocess.Popen([*command, "--data", str(data)], stdout=said, stderr=subprocess.STDOUT, text=True)
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
        try:
            yield Maintaining(child, Path(said.name))
        finally:
            child.terminate()
            try:
                child.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
