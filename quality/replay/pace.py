"""How fast may a replay send? In transactions of about a second's worth, and never faster than asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1000
"""Records of a transaction, at most."""
_LOOK_EVERY_S = 0.1


class Pace:
    """Keeps to a rate in records a second; None is as fast as can be."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._began, self._sent = time.monotonic(), 0
        self.chunk = CHUNK if rate is None else max(1, min(CHUNK, round(rate)))

    def wait(self, sent: int, stopped: Callable[[], bool]) -> bool:
        """Wait until the next ones may go; true when it was stopped meanwhile."""
        self._sent += sent
        if self._rate is None:
            return False
        until = self._began + self._sent / self._rate
        while (left := until - time.monotonic()) > 0:
            if stopped():
                return True
            time.sleep(min(left, _LOOK_EVERY_S))
        return False
