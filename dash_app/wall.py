"""What does the console serve of the wall board? One page at `/live`, and what it is made of below `/live/assets`.

The board is TypeScript (`dash_app/board`), built into `dash_app/board_built`, which is committed: nothing here needs Node. Its page
is the same for everybody and knows nothing of the data: the streams there are, what is promised of each, and where the hub is. It
runs no script but its own, and may connect to nothing but the console and the hub.
"""

from __future__ import annotations

import hashlib
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from controlplane.contract.streams import StreamDefinition
    from dash_app.data import ConsoleData

PAGE, ASSETS, VERSION = "/live", "/live/assets/{name}", "/live/assets/version"
PATHS = (PAGE, VERSION, ASSETS)
BUILT = Path(__file__).parent / "board_built"
_THEMES = ("light", "dark")
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_FOR_EVER = "public, max-age=31536000, immutable"


def add_wall(server: Any, data: ConsoleData) -> None:  # noqa: ANN401 (Dash's server is untyped)
    """Serve the board of these streams."""
    page, headers = _page(data), _headers(data.push_port)
    version = version_of(page)
    files = {path.name: path.read_bytes() for path in (BUILT / "assets").iterdir()}

    async def board(request: Request) -> Response:
        said = request.query_params.get("theme", "")
        theme = said if said in _THEMES else "system"
        return Response(
            page.replace("{{theme}}", theme).replace("{{version}}", version), media_type="text/html", headers=headers
        )

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            return PlainTextResponse("no such file", 404)
        return Response(files[name], media_type=_TYPES[Path(name).suffix], headers={"Cache-Control": _FOR_EVER})

    async def which(_: Request) -> Response:
        return PlainTextResponse(version, headers={"Cache-Control": "no-store"})

    for path, answer in ((PAGE, board), (VERSION, which), (ASSETS, asset)):
        server.add_route(path, answer, methods=["GET"], include_in_schema=False)


def version_of(page: str) -> str:
    """Of the page as it is served: it names its files by what is in them, and the streams."""
    return hashlib.sha256(page.encode()).hexdigest()[:16]


def told(data: ConsoleData) -> dict[str, Any]:
    """What the page knows: `BoardConfig` in `board/src/config.ts`."""
    return {"push_port": data.push_port, "streams": [_stream(each) for each in data.streams.values()]}


def _stream(stream: StreamDefinition) -> dict[str, Any]:
    """The first rollup is the main one, and its first measure what it is about: the console draws that the largest, too."""
    rollup = None
    for name, first in list(stream.rollups.items())[:1]:
        measure, how = next(iter(first.measures.items()))
        rollup = {
            "name": name,
            "title": first.title,
            "measure": measure,
            "function": how.function,
            "unit": how.unit,
        }
    freshness = stream.service_levels.freshness.total_seconds()
    return {"name": stream.name, "title": stream.title, "rollup": rollup, "freshness_s": freshness}


def _page(data: ConsoleData) -> str:
    page = (BUILT / "index.html").read_text()
    return page.replace("{{config}}", escape(json.dumps(told(data), separators=(",", ":"))))


def _headers(push_port: int | None) -> dict[str, str]:
    hub = (
        "" if push_port is None else "".join(f" {scheme}://*:{push_port}" for scheme in ("ws", "wss", "http", "https"))
    )
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{hub}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
