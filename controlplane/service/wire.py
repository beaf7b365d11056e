"""How is one packet written to a thousand sockets, and how does one end that takes nothing?

A WebSocket of uvicorn encodes each message for each client, in a task of its own that has to be woken. A packet of the hub is
the same to everybody, so it is written to the transport as it is; who can't take it now is left to their own task. A
transport's `close` waits until all is written, which to a client that does not read is never: such a one is aborted.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import asyncio

    from starlette.websockets import WebSocket
    from websockets.http11 import Request

_KEY = "tidegate.wire"
_SEND_BUFFER_BYTES = 131_072
"""Of the kernel, for each client: what is in it is older than what could be sent instead."""
_CLOSED_WITHIN_S = 2.0
CLIENT_MESSAGE_BYTES = 65_536
"""A client's message may be so long."""
UVICORN: dict[str, Any] = {"ws_per_message_deflate": False, "ws_max_size": CLIENT_MESSAGE_BYTES}
"""Compressed is for each client anew, though it is the same to all."""


class Wire(WebSocketsSansIOProtocol):
    """A WebSocket that can be written to at once; for `uvicorn.Config(ws=Wire)`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        if (connected := transport.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    def handle_connect(self, event: Request) -> None:
        """See uvicorn: the application finds this in the scope."""
        super().handle_connect(event)
        if self.response.status_code == 101:  # noqa: PLR2004 (HTTP's)
            cast("dict[str, Any]", self.scope["extensions"])[_KEY] = self

    def write(self, packet: bytes) -> bool:
        """Write a packet now; False when earlier ones still wait, or it is closed."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        self.transport.write(packet)
        return True

    async def free(self) -> None:
        """Return when what was written is taken, or the client has gone."""
        await self.writable.wait()

    def give_up(self, code: int, reason: str) -> None:
        """Close without waiting for a client that may never read again."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.loop.call_later(_CLOSED_WITHIN_S, self.transport.abort)


def wire_of(websocket: WebSocket) -> Wire | None:
    """The wire that is below a WebSocket; None below another server, as in a test without sockets."""
    found = (websocket.scope.get("extensions") or {}).get(_KEY)
    return found if isinstance(found, Wire) else None
