"""Several things are watched, each at its own pace: how does none of them keep the others waiting, or die unseen?

Each watch has a thread and a round: look, and say what was seen. A round that fails is told once and tried again, because a
room that watches must not stop. The heart beats for all of them: while one hangs in a round, it does not.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from controlplane.contract.facts import Fact
    from controlplane.contract.reporting import Heart

HANGS_AFTER_S = 20.0
"""Longer than any round waits for a broker, a Delta log or an address that does not answer."""
_LOOKED_AT_EVERY_S = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """Something that is looked at again and again.

    `look` is one round: it returns the facts to report, and may raise what it cannot help.
    """

    name: str
    every_s: float
    look: Callable[[], Iterable[Fact]]


class Round:
    """One watch on a thread of its own, until `stopping` is set."""

    def __init__(self, watch: Watch, tell: Callable[[Iterable[Fact]], None], stopping: threading.Event) -> None:
        self.watch = watch
        self.has_looked = False
        """At least one round has ended, whether or not it failed."""
        self._tell, self._stopping = tell, stopping
        self._looks_since: float | None = None
        self._failed: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {watch.name}", daemon=True)
        self._thread.start()

    def hangs(self, now_s: float) -> bool:
        """Has its round taken longer than any should?"""
        since = self._looks_since
        return since is not None and now_s - since > HANGS_AFTER_S

    def join(self, within_s: float) -> None:
        """Wait for its thread."""
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._looks_since = began
            self._failed = look_once(self.watch, self._tell, self._failed)
            self._looks_since, self.has_looked = None, True
            self._stopping.wait(max(0.05, self.watch.every_s - (time.monotonic() - began)))


def look_once(watch: Watch, tell: Callable[[Iterable[Fact]], None], failed_before: str | None = None) -> str | None:
    """One round; says why it has failed, None if it has not. The same failure is written into the log once."""
    try:
        tell(watch.look())
    except Exception as error:  # noqa: BLE001 (a room that watches must not stop)
        failed = f"{type(error).__name__}: {error}"
        if failed != failed_before:
            _log.exception("watch %s has failed, and is tried again every %g s", watch.name, watch.every_s)
        return failed
    return None


def run(
    watches: Sequence[Watch],
    tell: Callable[[Iterable[Fact]], None],
    heart: Heart,
    ready: Callable[[], None],
    stopping: threading.Event,
) -> None:
    """Run every watch until `stopping` is set; `ready` is called when each has looked once."""
    rounds = [Round(watch, tell, stopping) for watch in watches]
    is_ready = False
    while not stopping.wait(_LOOKED_AT_EVERY_S):
        if not any(each.hangs(time.monotonic()) for each in rounds):
            heart.beat()
        if not is_ready and all(each.has_looked for each in rounds):
            is_ready = True
            ready()
    for each in rounds:
        each.join(3)
