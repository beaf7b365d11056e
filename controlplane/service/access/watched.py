"""Which of those that have a socket open are known no more? All are looked up together: a thousand would else ask a thousand times.

Looked at every few seconds, and at once when a session was ended here. While the database does not answer nobody is let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_log = logging.getLogger(__name__)
_EVERY_S = 5.0


class Watched:
    """Secrets by which somebody is connected. Everything but `still_known` is done in the loop's own thread.

    Args:
        still_known: those of many secrets that hold.
        every_s: how often it is asked.
    """

    def __init__(self, still_known: Callable[[Collection[str]], Collection[str]], every_s: float = _EVERY_S) -> None:
        self._still_known, self._every_s = still_known, every_s
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def until_unknown(self, secret: str) -> None:
        """Return when a secret that held a moment ago does not hold any more."""
        unknown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[secret].add(unknown)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await unknown
        finally:
            self._waiting[secret].discard(unknown)
            if not self._waiting[secret]:
                del self._waiting[secret]

    def look(self) -> None:
        """Look now: somebody may be known no more."""
        self._news.set()

    async def _look(self) -> None:
        while self._waiting:
            news = self._news = asyncio.Event()
            await self._let_go()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), self._every_s)

    async def _let_go(self) -> None:
        asked = tuple(self._waiting)
        try:
            known = await asyncio.to_thread(self._still_known, asked)
        except SQLAlchemyError:
            _log.exception("sessions and tokens of who is connected can't be looked up")
            return
        for secret in set(asked).difference(known):
            for unknown in self._waiting.get(secret, ()):
                if not unknown.done():
                    unknown.set_result(None)
