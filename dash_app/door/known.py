"""Is somebody signed in? The control plane knows; what it said of a cookie counts for a few seconds.

While it is away, who was signed in when it was asked last still gets the pages, which have no data in them: whoever is on call
must see that it is away. Nobody else does.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

import httpx

from controlplane.contract.access import SESSION_COOKIE

_ASKED_EVERY_S = 5.0
_TIMEOUT_S = 3.0
_REMEMBERED = 1000


class Sessions(Protocol):
    """Says whether a cookie is of a session."""

    cookie: str
    """Its name."""

    async def holds(self, cookie: str) -> bool:
        """Is it?"""


class AskedSessions:
    """The control plane's sessions.

    Args:
        api: its address.
        cookie: name of a session's.
        client: asks it; by default one of its own.
    """

    def __init__(self, api: str, cookie: str = SESSION_COOKIE, client: httpx.AsyncClient | None = None) -> None:
        self.cookie = cookie
        self._client = client or httpx.AsyncClient(base_url=api, timeout=_TIMEOUT_S)
        self._held: OrderedDict[str, float] = OrderedDict()

    async def holds(self, cookie: str) -> bool:
        """See `Sessions`."""
        if not cookie:
            return False
        if time.monotonic() - self._held.get(cookie, float("-inf")) < _ASKED_EVERY_S:
            return True
        try:
            answer = await self._client.get("/api/v1/session", headers={"Cookie": f"{self.cookie}={cookie}"})
        except httpx.HTTPError:
            return cookie in self._held
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            return cookie in self._held
        if not answer.is_success:
            self._held.pop(cookie, None)
            return False
        self._held[cookie] = time.monotonic()
        self._held.move_to_end(cookie)
        while len(self._held) > _REMEMBERED:
            self._held.popitem(last=False)
        return True
