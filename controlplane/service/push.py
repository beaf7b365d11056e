"""How does a WebSocket become a watcher of the hub, and when does it end?"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketDisconnected

from controlplane.contract.access import Action, needs
from controlplane.contract.metrics.meter import METER
from controlplane.contract.push import PROTOCOL, TAKES_WITHIN_S, CloseCode, schema
from controlplane.service.hub import TooManyError
from controlplane.service.wire import wire_of

if TYPE_CHECKING:
    from typing import Any

    from controlplane.service.access.known import Authenticator
    from controlplane.service.hub import Hub
    from controlplane.service.watcher import Client
    from controlplane.service.wire import Wire

PATH = "/api/v1/push"
_NOT_TEXT = 1003
_OURS = "tidegate.push."


def add_push(api: FastAPI, hub: Hub, authenticator: Authenticator) -> None:
    """Add the WebSocket, and the schema of what travels over it."""

    @api.get(f"{PATH}/schema")
    @needs(Action.READ)
    async def schema_of_push() -> dict[str, Any]:
        """JSON Schema of every message, topic and close code."""
        return schema()

    @api.websocket(PATH)
    @needs(Action.READ)
    async def push(socket: WebSocket) -> None:
        if (why := await _let_in(socket)) is not None:
            await _refuse(socket, CloseCode.VERSION, why)
            return
        wire = wire_of(socket)
        try:
            client = hub.join(_person(socket), *(() if wire is None else (wire.write,)))
        except TooManyError as error:
            await _refuse(socket, CloseCode.TOO_MANY, str(error))
            return
        await _watch(socket, hub, client, wire, authenticator)


def _person(socket: WebSocket) -> str:
    """Whose watcher it is; of a part nobody's."""
    principal = socket.state.principal
    return "" if principal.is_service else str(principal.name)


async def _let_in(socket: WebSocket) -> str | None:
    """Accept it; why it speaks no version of ours, if it does not."""
    versions = [each for each in socket.scope.get("subprotocols", []) if each.startswith(_OURS)]
    # A browser gives up at once when none of what it offers is chosen, and would never hear the reason.
    chosen = PROTOCOL if PROTOCOL in versions else next(iter(versions), None)
    with contextlib.suppress(WebSocketDisconnected):
        await socket.accept(subprotocol=chosen)
    return None if chosen in (None, PROTOCOL) else f"this hub speaks {PROTOCOL}, not {', '.join(versions)[:60]}"


async def _refuse(socket: WebSocket, code: CloseCode, why: str) -> None:
    METER.add("tidegate_hub_closed_total", code.name.lower())
    await _close(socket, code, why)


async def _close(socket: WebSocket, code: int, why: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, WebSocketDisconnected, RuntimeError):
        await socket.close(code, why[:120])


async def _watch(socket: WebSocket, hub: Hub, client: Client, wire: Wire | None, authenticator: Authenticator) -> None:
    beside = [
        asyncio.create_task(_send(socket, client, wire)),
        asyncio.create_task(_close_when_unknown(socket, authenticator)),
    ]
    try:
        while True:
            hub.said(client, await socket.receive_text())
    except (WebSocketDisconnect, WebSocketDisconnected):
        pass
    except KeyError:
        # A message of bytes has no text.
        await _close(socket, _NOT_TEXT, "messages are JSON text")
    finally:
        hub.leave(client)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _close_when_unknown(socket: WebSocket, authenticator: Authenticator) -> None:
    """What was allowed when it was opened may be no more: the session has ended, or the user may not sign in."""
    await authenticator.until_unknown(socket)
    await _refuse(socket, CloseCode.SIGNED_OUT, "the session has ended")


async def _send(socket: WebSocket, client: Client, wire: Wire | None) -> None:
    """Send what waits; a socket that has gone ends the receiving side, which cleans up."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await client.ready()
            if wire is not None and not await _is_free(wire):
                return
            for text in client.taken():
                if wire is not None and not await _is_free(wire):
                    return
                await socket.send_text(text)


async def _is_free(wire: Wire) -> bool:
    try:
        async with asyncio.timeout(TAKES_WITHIN_S):
            await wire.free()
    except TimeoutError:
        METER.add("tidegate_hub_closed_total", CloseCode.TOO_SLOW.name.lower())
        wire.give_up(CloseCode.TOO_SLOW, f"nothing was taken for {TAKES_WITHIN_S:.0f} s")
        return False
    return True
