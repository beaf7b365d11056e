"""Many watchers in one process, each with a socket and a session of its own; they only look when each update was sent.

    python -P -m load_tests.bench.hub.watching PORT FILE_OF_COOKIES

Says "ready" when all are connected; then, for each line "SECONDS" that it reads, watches for so long and says what came, as JSON. A
client library would take more of the two cores than the hub does, so packets are read by hand: a server's are not masked.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from controlplane.contract.access import SESSION_COOKIE
from controlplane.contract.push import Ping, Subscribe
from load_tests.bench.hub.serving import TOPIC

_PING_EVERY_S = 5.0
_AT_ONCE = 50
_SENT = re.compile(rb'"seq":(\d+),"sent_at_ms":([0-9.]+)')
_HEAD = 300
"""`seq` and `sent_at_ms` are among the first bytes of an update."""
_UPGRADED = b"HTTP/1.1 101"
_PING, _PONG = 0x89, 0x8A
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 126, 126, 127


def packet(body: bytes, opcode: int = 0x81) -> bytes:
    """A client's packet, text if nothing else is said; its mask is zero, which changes nothing."""
    size = (
        bytes([0x80 | len(body)]) if len(body) < _SHORT else bytes([0x80 | _TWO_BYTES]) + struct.pack("!H", len(body))
    )
    return bytes([opcode]) + size + bytes(4) + body


def request(port: int, cookie: str) -> bytes:
    """What opens a WebSocket."""
    lines = (
        "GET /api/v1/push HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Cookie: {SESSION_COOKIE}={cookie}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


SUBSCRIBE = packet(Subscribe(topics=(TOPIC,)).model_dump_json().encode())


class Watched:
    """What all of them have got since it was last asked."""

    def __init__(self) -> None:
        self.delays_ms: list[float] = []
        self.skipped = 0
        self.lost = 0


class Watcher(asyncio.Protocol):
    """One socket."""

    def __init__(self, opening: bytes, watched: Watched, opened: asyncio.Future[None]) -> None:
        self._opening, self._watched, self._opened = opening, watched, opened
        self._buffer = bytearray()
        self._seq: int | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        at_ms = time.time() * 1000
        self._buffer += data
        if not self._opened.done():
            self._open()
        else:
            while (size := self._packet()) is not None:
                if self._buffer[0] == _PING:
                    self._answer(bytes(self._buffer[2:size]))
                else:
                    self._take(bytes(self._buffer[:_HEAD]), at_ms)
                del self._buffer[:size]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's)
        """See asyncio."""
        self._watched.lost += 1
        if not self._opened.done():
            self._opened.set_exception(ConnectionError(bytes(self._buffer[:_HEAD]).decode(errors="replace")))

    def _open(self) -> None:
        head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if found and head.startswith(_UPGRADED) and self.transport is not None:
            self._buffer = bytearray(rest)
            self.transport.write(SUBSCRIBE)
            self._opened.set_result(None)

    def _packet(self) -> int | None:
        """Length of the first packet with its head; None while it is not all there."""
        if len(self._buffer) < 2:  # noqa: PLR2004 (WebSocket's)
            return None
        size, head = self._buffer[1] & 0x7F, 2
        if size == _TWO_BYTES:
            size, head = int.from_bytes(self._buffer[2:4], "big"), 4
        elif size == _EIGHT_BYTES:
            size, head = int.from_bytes(self._buffer[2:10], "big"), 10
        return size + head if len(self._buffer) >= size + head else None

    def _answer(self, asked: bytes) -> None:
        """Who does not answer WebSocket's own ping is taken for gone."""
        if self.transport is not None:
            self.transport.write(packet(asked, _PONG))

    def _take(self, head: bytes, at_ms: float) -> None:
        found = _SENT.search(head)
        if found is None:
            return
        seq = int(found[1])
        if self._seq is not None:
            self._watched.skipped += max(0, seq - self._seq - 1)
        self._seq = seq
        self._watched.delays_ms.append(at_ms - float(found[2]))


async def watch(port: int, cookies: list[str]) -> None:
    """Connect all, then answer what is asked on stdin."""
    loop, watched, turns = asyncio.get_running_loop(), Watched(), asyncio.Semaphore(_AT_ONCE)

    async def connected(cookie: str) -> Watcher:
        async with turns:
            opened: asyncio.Future[None] = loop.create_future()
            opening = request(port, cookie)
            _, made = await loop.create_connection(lambda: Watcher(opening, watched, opened), "127.0.0.1", port)
            await asyncio.wait_for(opened, 60)
            return made

    watchers = await asyncio.gather(*map(connected, cookies))
    pinging = [asyncio.create_task(_ping(each, number / len(watchers))) for number, each in enumerate(watchers)]
    _say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        watched.delays_ms, watched.skipped = [], 0
        await asyncio.sleep(float(line))
        _say(json.dumps({"delays_ms": watched.delays_ms, "skipped": watched.skipped, "lost": watched.lost}))
    for task in pinging:
        task.cancel()


async def _ping(watcher: Watcher, share: float) -> None:
    await asyncio.sleep(share * _PING_EVERY_S)
    while watcher.transport is not None and not watcher.transport.is_closing():
        watcher.transport.write(packet(Ping(at_ms=time.time() * 1000).model_dump_json().encode()))
        await asyncio.sleep(_PING_EVERY_S)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(watch(int(sys.argv[1]), Path(sys.argv[2]).read_text().split()))
