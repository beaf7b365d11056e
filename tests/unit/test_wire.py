"""What does the hub need of the inside of uvicorn's WebSocket?

If this fails after an update of uvicorn, `controlplane/service/wire.py` must follow it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.websockets import WebSocket
from uvicorn.server import ServerState

from controlplane.service.wire import UVICORN, Wire, wire_of

if TYPE_CHECKING:
    from collections.abc import Callable

ASKED = (
    b"GET /api/v1/push HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
PACKET = b"\x81\x02hi"


class Transport(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """It stays open."""
        return False


def connected(look: Callable[[Wire, Transport], None]) -> None:
    """With a wire that the application has found below its WebSocket, as the hub does."""

    async def run() -> None:
        found: asyncio.Future[Wire | None] = asyncio.get_running_loop().create_future()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            websocket = WebSocket(scope, receive, send)
            await websocket.accept()
            found.set_result(wire_of(websocket))
            await websocket.receive()

        config = uvicorn.Config(application, ws=Wire, lifespan="off", **UVICORN)
        config.load()
        state, transport = ServerState(), Transport()
        wire = Wire(config=config, server_state=state, app_state={})
        wire.connection_made(transport)
        wire.data_received(ASKED)
        assert await asyncio.wait_for(found, 5) is wire
        look(wire, transport)
        for task in state.tasks:
            task.cancel()
        wire.stop_keepalive()

    asyncio.run(run())


def test_a_packet_goes_to_the_transport_as_it_is() -> None:
    def look(wire: Wire, transport: Transport) -> None:
        assert transport.written[0].startswith(b"HTTP/1.1 101 ")
        assert b"Extensions" not in transport.written[0], "a compressed packet is for one client alone"
        assert wire.write(PACKET)
        assert transport.written[-1] == PACKET

    connected(look)


def test_a_transport_that_is_full_takes_none_until_it_is_free() -> None:
    def look(wire: Wire, transport: Transport) -> None:
        wire.pause_writing()
        assert not wire.write(PACKET)
        wire.resume_writing()
        assert wire.write(PACKET)
        assert transport.written.count(PACKET) == 1

    connected(look)


def test_who_is_given_up_is_told_why_and_gets_nothing_more() -> None:
    def look(wire: Wire, transport: Transport) -> None:
        wire.give_up(1013, "too slow")
        assert transport.written[-1][:1] == b"\x88"
        assert transport.written[-1].endswith(b"too slow")
        assert not wire.write(PACKET)

    connected(look)
