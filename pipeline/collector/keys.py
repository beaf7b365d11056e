"""Who may send what? The control plane knows; it is asked again every few seconds, so that a key taken back is refused soon.

A key that was good goes on for some minutes while the control plane is away, because events matter more; one that nobody has seen
before has to wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from pipeline.collector.answers import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

_FRESH_S = 3.0
"""For so long an answer is not asked for again."""
_HOLDS_S = 8.0
"""For so long it is used while it is asked for again."""
_AWAY_S = 300.0
"""For so long it is used while the control plane is away."""
_AGAIN_S = 1.0
_REMEMBERED = 1_000
_TIMEOUT_S = 2.0
_AT_ONCE = 8
_log = logging.getLogger(__name__)


@dataclass
class Holder:
    """Whom the control plane knows by a key."""

    name: str | None
    """None: nobody."""
    streams: frozenset[str]
    """To which they may send; `*`: to every one."""
    said_at: float


class Keys:
    """What the control plane has said of keys; used in one event loop."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._known: OrderedDict[bytes, Holder] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[None]] = {}
        self._away_at = -_AGAIN_S
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def sender(self, authorization: str, stream: str) -> str:
        """Who sends to that stream.

        Raises:
            RefusedError: 401 for nobody, 403 for somebody who may not, 503 if the control plane can't be asked.
        """
        if not authorization.lower().startswith("bearer "):
            raise RefusedError(401, "show a key: `Authorization: Bearer tg_...` (`tidegate users key` makes one)")
        holder = await self._holder(authorization)
        if holder.name is None:
            raise RefusedError(401, "this key holds no more, or never has: `tidegate users key` makes one")
        if not holder.streams & {"*", stream}:
            may = ", ".join(sorted(holder.streams)) or "no stream"
            raise RefusedError(403, f"{holder.name} may not send to {stream}: it may send to {may}")
        return holder.name

    async def _holder(self, authorization: str) -> Holder:
        digest = hashlib.sha256(authorization.encode()).digest()
        age_s = self._age_s(digest)
        if age_s > _FRESH_S:
            asking = self._asked(digest, authorization)
            if age_s > _HOLDS_S:
                await asyncio.wait([asking])
        if self._age_s(digest) > _AWAY_S:
            raise RefusedError(503, "the control plane can't be asked whose key this is", retry_after_s=2)
        self._known.move_to_end(digest)
        return self._known[digest]

    def _age_s(self, digest: bytes) -> float:
        known = self._known.get(digest)
        return float("inf") if known is None else self._clock() - known.said_at

    def _asked(self, digest: bytes, authorization: str) -> asyncio.Task[None]:
        """Whoever asks for the same key meanwhile waits for the same answer."""
        if digest not in self._asking:
            self._asking[digest] = asyncio.create_task(self._ask(digest, authorization))
            self._asking[digest].add_done_callback(lambda _: self._asking.pop(digest))
        return self._asking[digest]

    async def _ask(self, digest: bytes, authorization: str) -> None:
        if self._clock() - self._away_at < _AGAIN_S:
            return
        try:
            async with self._at_once:
                answer = await self._client.get("/api/v1/session", headers={"Authorization": authorization})
            said = _said(answer, self._clock())
        except (httpx.HTTPError, ValueError, KeyError) as error:
            _log.warning("the control plane can't be asked whose a key is: %s", error or type(error).__name__)
            self._away_at = self._clock()
            return
        self._known[digest] = said
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _said(answer: httpx.Response, now: float) -> Holder:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return Holder(None, frozenset(), now)
    said: dict[str, Any] = answer.raise_for_status().json()
    return Holder(str(said["name"]), frozenset(said["may"]["produce"]), now)


def client_of(api: str) -> httpx.AsyncClient:
    """Of a control plane."""
    return httpx.AsyncClient(base_url=api, timeout=_TIMEOUT_S)
