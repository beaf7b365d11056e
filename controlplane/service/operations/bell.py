"""How does one who waits for a change hear of it at once? It is rung from any thread; those who wait are on the hub's loop.

Who waits holds a connection open, and a server that stops waits for those: so it is closed when the server begins to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Bell:
    """Wakes everyone who waits."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal may close it while its own thread has the lock
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.rung = 0
        self.is_closed = False

    def ring(self) -> None:
        """Wake them; from any thread."""
        with self._lock:
            waiting, self.rung = tuple(self._waiting), self.rung + 1
        for loop, event in waiting:
            with contextlib.suppress(RuntimeError):  # a loop that has ended has nobody who waits
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Nobody waits any more; from any thread, and from a signal's."""
        self.is_closed = True
        self.ring()

    async def wait(self, within_s: float) -> None:
        """Until it is rung, or the time is over; closed: not at all."""
        me = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self.is_closed:
                return
            self._waiting.add(me)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(me[1].wait(), within_s)
        finally:
            with self._lock:
                self._waiting.discard(me)
