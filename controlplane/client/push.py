"""How does a program see what the console sees? An iterator of updates that never ends and never makes old numbers new.

    async with Watch("ws://127.0.0.1:8090/api/v1/push", ["overview"], headers) as watch:
        async for told in watch:
            ...  # told.topic, told.data; watch.age_s(told.topic)

After a lost connection it comes back and goes on where it was. Who takes long over an update gets the newest one next, as the
hub sends no more than is read. The protocol is in ARCHITECTURE.md, "Push protocol".
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from controlplane.client.held import Offset, Told, taken, wait_s
from controlplane.contract.push import PROTOCOL, CloseCode, Painted, Ping, Refresh, Subscribe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping

    from websockets.asyncio.client import ClientConnection

    from controlplane.contract.frozen import Frozen

_SILENT_AFTER_S = 10.0
_OPEN_WITHIN_S = 5.0
_PING_EVERY_S = 5.0
_REFUSED = (CloseCode.SIGNED_OUT, CloseCode.VERSION)


class RefusedError(Exception):
    """The hub does not take this watcher, or one of its topics; trying again would not help. Says why."""


@dataclass(frozen=True)
class State:
    """How the connection is."""

    connection: Literal["connecting", "live", "resuming", "offline"]
    """`resuming`: it is there again, and of some topics only what was told before is known."""
    since_ms: float
    """This clock; of `offline` and `resuming`: since when what is known may be old."""
    reason: str | None = None


class Watch:
    """One watcher of topics.

    Args:
        url: `ws://` or `wss://` of the hub, `/api/v1/push`.
        topics: what to watch; one that the hub does not know is refused.
        headers: that say who asks (`controlplane.contract.access.authorization`).
        on_state: hears of each change of the connection.
        now_ms: the clock, epoch milliseconds.
    """

    def __init__(
        self,
        url: str,
        topics: Iterable[str],
        headers: Mapping[str, str] | None = None,
        on_state: Callable[[State], None] = lambda _: None,
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        self.latest: dict[str, Told] = {}
        """What is known of each topic."""
        self.offset = Offset()
        self.state = State("connecting", now_ms())
        self._url, self._headers, self._on_state, self._now_ms = url, dict(headers or {}), on_state, now_ms
        self._topics = tuple(dict.fromkeys(topics))
        self._epoch: str | None = None
        self._awaited: set[str] = set()
        self._asked: set[str] = set()
        self._asks_painted = True
        self._heard_at_ms: float | None = None
        self._lost_at_ms: float | None = None
        self._tries = 0
        self._socket: ClientConnection | None = None
        self._updates = self._run()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._updates.aclose()

    def __aiter__(self) -> AsyncIterator[Told]:
        """Updates as they come; ends with `RefusedError` only."""
        return self._updates

    def hub_now_ms(self) -> float:
        """What time it is at the hub."""
        return self._now_ms() + self.offset.ms

    def age_s(self, topic: str) -> float | None:
        """How long ago the hub told what is known of a topic; None while nothing is."""
        known = self.latest.get(topic)
        return None if known is None else max(0.0, (self.hub_now_ms() - known.sent_at_ms) / 1000)

    async def painted(self, told: Told) -> None:
        """Somebody has seen it: a picture in the latency from event to pixel. Not told where the hub has enough of these."""
        if self._asks_painted:
            await self._send(Painted(topic=told.topic, seq=told.seq, at_ms=self.hub_now_ms()))

    async def _run(self) -> AsyncGenerator[Told, None]:
        while True:
            try:
                async with contextlib.aclosing(self._connected()) as updates:
                    async for told in updates:
                        yield told
            except (OSError, WebSocketException) as error:
                self._lost(error)
            lost_for_s = (self._now_ms() - (self._lost_at_ms or 0.0)) / 1000
            await asyncio.sleep(wait_s(self._tries, lost_for_s, random.random()))  # noqa: S311 (no secret)
            self._tries += 1

    async def _connected(self) -> AsyncGenerator[Told, None]:
        async with connect(
            self._url,
            additional_headers=self._headers,
            subprotocols=[PROTOCOL],  # type: ignore[list-item]
            open_timeout=_OPEN_WITHIN_S,
            ping_interval=None,
            compression=None,
            max_size=None,
            proxy=None,
        ) as socket:
            self._socket = socket
            pinging = asyncio.create_task(self._ping())
            try:
                while True:
                    async with asyncio.timeout(_SILENT_AFTER_S):
                        message = orjson.loads(await socket.recv())
                    self._heard_at_ms = self._now_ms()
                    if (told := await self._take(message)) is not None:
                        yield told
            finally:
                self._socket = None
                pinging.cancel()

    async def _take(self, message: dict[str, Any]) -> Told | None:
        match message["type"]:
            case "welcome":
                await self._welcome(message)
            case "resumed":
                answers = message["topics"].items()
                self._settle({topic for topic, answer in answers if answer == "current"})
            case "pong":
                self.offset.take(message["ping_at_ms"], message["at_ms"], self._now_ms())
            case "refused":
                raise RefusedError(message["reason"])
            case "update":
                return await self._update(message)
        return None

    async def _welcome(self, message: dict[str, Any]) -> None:
        """Another epoch is another process of the hub, which counts anew."""
        epoch = message.get("epoch")
        self._asks_painted = message.get("asks_painted", True)
        since = {topic: told.seq for topic, told in self.latest.items() if told.epoch == epoch}
        self._epoch, self._asked, self._awaited = epoch, set(), {*self._topics} & self.latest.keys()
        if self._lost_at_ms is not None and self.state.connection != "connecting":
            self._say(State("resuming", self._lost_at_ms))
        more = {"epoch": epoch, "since": since} if since and epoch else {}
        await self._send(Subscribe(topics=self._topics, **more))
        self._settle(set() if self.state.connection == "resuming" else set(self._awaited))

    async def _update(self, message: dict[str, Any]) -> Told | None:
        topic = message["topic"]
        told = taken(self.latest.get(topic), message, self._epoch, self._now_ms())
        if told is None:
            if topic not in self._asked and self._epoch is not None:
                self._asked.add(topic)
                await self._send(Refresh(topic=topic))
            return None
        self._asked.discard(topic)
        self.latest[topic] = told
        self._settle({topic})
        return told

    def _settle(self, fresh: set[str]) -> None:
        """These topics are up to date."""
        self._awaited -= fresh
        if not self._awaited and self.state.connection != "live":
            self._lost_at_ms, self._tries = None, 0
            self._say(State("live", self._now_ms()))

    def _lost(self, error: Exception) -> None:
        """The connection is lost, or could not be made.

        Raises:
            RefusedError: if it was refused for good.
        """
        code, reason = _why(error)
        if code in _REFUSED:
            raise RefusedError(reason) from error
        if self._lost_at_ms is None:
            self._lost_at_ms = self._heard_at_ms or self._now_ms()
        if self.state.connection != "connecting":
            self._say(State("offline", self._lost_at_ms, reason))

    def _say(self, state: State) -> None:
        self.state = state
        self._on_state(state)

    async def _ping(self) -> None:
        while True:
            await self._send(Ping(at_ms=self._now_ms()))
            await asyncio.sleep(_PING_EVERY_S)

    async def _send(self, message: Frozen) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(message.model_dump_json(exclude_none=True))


def _why(error: Exception) -> tuple[int | None, str]:
    """The code by which it was closed, and why in words."""
    if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403):
        return CloseCode.SIGNED_OUT, "nobody is signed in: show a token (`tidegate login`)"
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return error.rcvd.code, error.rcvd.reason or f"closed by the hub ({error.rcvd.code})"
    if isinstance(error, TimeoutError):
        return None, f"the hub is silent for {_SILENT_AFTER_S:.0f} s"
    return None, str(error) or type(error).__name__
