"""Who may ask a room that answers HTTP? The control plane and other parts, but no page of a browser, and nobody else.

Pages and people ask the control plane, which knows who they are and what they may. It asks on with the parts' token and says for
whom (`asked_by`). A browser says from which page a request comes; other programs say nothing, and show the token.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from controlplane.contract.access import STREAMS_HEADER, USER_HEADER

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""An ASGI application."""
OPEN = ("/healthz", "/metrics")
"""What Prometheus and supervisors ask for; it names no event and no user."""


class OnlyParts:
    """ASGI middleware: 403 for whatever has an Origin, 401 for whoever has not the parts' token.

    Args:
        app: what is guarded.
        token: the parts' token; empty: nobody has it, so only `OPEN` is answered.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See ASGI."""
        said = dict(scope.get("headers", ()))
        if b"origin" in said:
            await _refuse(send, 403, "this room answers no pages: ask the control plane")
        elif scope["type"] == "lifespan" or scope.get("path") in OPEN or self._shows_it(said):
            await self._app(scope, receive, send)
        else:
            await _refuse(send, 401, "this room answers other parts only (TIDEGATE_TOKEN_FILE): ask the control plane")

    def _shows_it(self, said: Mapping[bytes, bytes]) -> bool:
        return self._expected is not None and hmac.compare_digest(said.get(b"authorization", b""), self._expected)


def asked_by(headers: Mapping[str, str], otherwise: str = "operator") -> str:
    """For whom the control plane asks; `otherwise` for a part that asks for itself."""
    return headers.get(USER_HEADER) or otherwise


def may_touch(headers: Mapping[str, str], stream: str) -> bool:
    """May who asks do this to that stream? For what a room knows and the path does not say, such as whose a replay is."""
    allowed: Iterable[str] = headers.get(STREAMS_HEADER, "*").split(",")
    return any(each.strip() in ("*", stream) for each in allowed)


async def _refuse(send: Send, status: int, why: str) -> None:
    said = json.dumps({"title": "refused", "status": status, "detail": why}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": said})
