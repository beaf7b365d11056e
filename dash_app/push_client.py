"""Where does a page of the console get the client of the hub? Here: the same file that the wall board is built with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

PATH = "/push-client.js"
"""As `assets/hub.js` asks for it; anybody may who is signed in."""
_FILE = Path(__file__).parent / "board" / "client.js"


def add_push_client(server: Any) -> None:  # noqa: ANN401 (Dash's server is untyped)
    """Serve it; a browser asks each time whether it is another one."""
    script = _FILE.read_bytes()
    headers = {"ETag": f'"{hashlib.sha256(script).hexdigest()[:16]}"', "Cache-Control": "no-cache"}

    async def client(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(script, media_type="text/javascript", headers=headers)

    server.add_route(PATH, client, methods=["GET"], include_in_schema=False)
