"""When are Data Docs built, and where are they? A thread that starts the builder when there is something new to read.

Off the way of every event: a child process at the lowest priority, at most once a minute while somebody has the Quality page
open, and once in a quarter of an hour otherwise.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quality.docs.build import STATE

if TYPE_CHECKING:
    from pathlib import Path

WATCHED_EVERY_S = 60.0
UNWATCHED_EVERY_S = 900.0
_WATCHED_FOR_S = 120.0
"""The page asks every 15 s."""
_TICK_S = 2.0
_BUILD_WITHIN_S = 300.0
_SITES_KEPT = 2
"""One that is being read stays for the time of one more."""
_WORDS = 300
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What decides whether the site is built."""

    newest: float | None
    """When the newest result was written, seconds since 1970; None while there is none."""
    built_from: float | None
    """What that was at the last build."""
    since_tried_s: float
    is_watched: bool


def is_due(look: Look) -> bool:
    """Is there something new, and is it time?"""
    if look.newest is None or look.newest == look.built_from:
        return False
    return look.since_tried_s >= (WATCHED_EVERY_S if look.is_watched else UNWATCHED_EVERY_S)


class Site:
    """The newest site below a folder, and what builds it; `start`, then `close`.

    Args:
        results: where result files are.
        root: where sites go, each in a folder of its own.
    """

    def __init__(self, results: Path, root: Path) -> None:
        self._results, self._root = results, root
        self._closing = threading.Event()
        self._asked_at = -_WATCHED_FOR_S
        self._tried_at = -UNWATCHED_EVERY_S
        self._built_from: float | None = None
        self._reason: str | None = None
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="data-docs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a build under way is given up."""
        self._closing.set()
        if (child := self._child) is not None:
            child.kill()
        if self._thread.is_alive():
            self._thread.join(5)

    @property
    def folder(self) -> Path | None:
        """The newest site; None while there is none."""
        sites = self._sites()
        return sites[-1] if sites else None

    def state(self) -> dict[str, Any]:
        """When the site was built and of how many results; `built_at` None with a reason while there is none."""
        self._asked_at = time.monotonic()
        folder = self.folder
        nothing = {"built_at": None, "results": None, "took_s": None, "peak_bytes": None}
        try:
            said = nothing if folder is None else json.loads((folder / STATE).read_text())
        except (OSError, ValueError):
            said = nothing
        why_not = self._reason or ("no gate has judged yet" if self._newest() is None else "being built")
        return {**said, "reason": self._reason if said["built_at"] else why_not}

    def beat(self) -> bool:
        """Build the site if that is due; True when it was built."""
        newest, now = self._newest(), time.monotonic()
        is_watched = now - self._asked_at < _WATCHED_FOR_S
        if not is_due(Look(newest, self._built_from, now - self._tried_at, is_watched)):
            return False
        self._tried_at = now
        self._reason = self._build()
        if self._reason is None:
            self._built_from = newest
            self._forget()
        elif not self._closing.is_set():
            _log.warning("Data Docs: %s", self._reason)
        return self._reason is None

    def _run(self) -> None:
        while not self._closing.wait(_TICK_S):
            try:
                self.beat()
            except OSError as error:
                self._reason = f"they cannot be built: {error}"

    def _build(self) -> str | None:
        """Why it could not be built."""
        self._root.mkdir(parents=True, exist_ok=True)
        site = self._root / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        command = [sys.executable, "-P", "-m", "quality.docs.build", str(self._results.resolve()), str(site.resolve())]
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = self._child.communicate(timeout=_BUILD_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            return f"not built within {_BUILD_WITHIN_S:.0f} s"
        if self._child.returncode == 0:
            return None
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return f"the builder ended with code {self._child.returncode}: {last[0][:_WORDS]}"

    def _newest(self) -> float | None:
        """Each new result makes its folder newer."""
        try:
            return max((each.stat().st_mtime for each in self._results.glob("*/*/")), default=None)
        except OSError:
            return None

    def _sites(self) -> list[Path]:
        return sorted(each for each in self._root.glob("*") if each.is_dir() and each.suffix != ".part")

    def _forget(self) -> None:
        for old in (*self._sites()[:-_SITES_KEPT], *self._root.glob("*.part")):
            shutil.rmtree(old, ignore_errors=True)
