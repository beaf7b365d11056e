"""Who gets the console's pages? Whoever is signed in; everybody else is led to the sign-in, which knows where they were going.

The sign-in is a page of its own, without Dash: it must come up quickly, show nothing of the platform and run no script but its own.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from controlplane.contract.rooms import App, Message, Receive, Send
    from dash_app.door.known import Sessions

SIGN_IN = "/sign-in"
_HERE = Path(__file__).parent
_OPEN = ("/healthz", "/metrics")
_OPEN_BELOW = ("/assets/", "/_dash-component-suites/", "/_favicon.ico")
_SCRIPTS = {f"{SIGN_IN}/page.js": "text/javascript", f"{SIGN_IN}/page.css": "text/css"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src *; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Door:
    """ASGI middleware around the console.

    Args:
        app: the console.
        push_port: port of the control plane; None when the console's own address is its address too.
        sessions: says who is signed in; None lets everybody in, as a test of a page does.
    """

    def __init__(self, app: App, push_port: int | None, sessions: Sessions | None) -> None:
        self._app, self._sessions = app, sessions
        port = "" if push_port is None else str(push_port)
        self._page = (_HERE / "page.html").read_text().replace("{{push_port}}", port)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path = scope.get("path", "")
        if scope["type"] == "http" and (answer := self._own(path)) is not None:
            await answer(scope, receive, send)
        elif (
            scope["type"] != "http"
            or self._sessions is None
            or _is_open(path)
            or await self._sessions.holds(_cookie(scope, self._sessions.cookie))
        ):
            await self._app(scope, receive, send)
        else:
            await _turned_away(scope)(scope, receive, send)

    def _own(self, path: str) -> Response | None:
        if path == SIGN_IN:
            return HTMLResponse(self._page, headers=_HEADERS)
        if path in _SCRIPTS:
            return Response((_HERE / path.removeprefix(f"{SIGN_IN}/")).read_bytes(), media_type=_SCRIPTS[path])
        return None


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def _cookie(scope: Message, name: str) -> str:
    said = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    try:
        found = SimpleCookie(said).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _turned_away(scope: Message) -> Response:
    if scope["method"] not in ("GET", "HEAD") or scope["path"].startswith("/_"):
        return JSONResponse({"detail": "sign in first"}, 401)
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='')}", 303)
