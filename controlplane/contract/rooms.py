"""Who may ask a room that answers HTTP? The control plane and programs, but no page of a browser.

Pages ask the control plane, which knows the console's origin. A room asked by a page directly could be told anything by
whatever site somebody has open. A browser says from which page a request comes; other programs say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""An ASGI application."""
_SAID = json.dumps({"detail": "this room answers no pages: ask the control plane"}).encode()


class PagesRefused:
    """ASGI middleware: 403 for whatever has an Origin."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if all(name != b"origin" for name, _ in scope.get("headers", ())):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_SAID)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": _SAID})
