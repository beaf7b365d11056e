"""How is the console put together? One Dash application on FastAPI, one callback: from the address to the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output
from fastapi import Response

from controlplane.contract.metrics.meter import METER
from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import CONSOLE
from controlplane.contract.operations import PLAN_HOLDS_S
from dash_app.door.door import Door
from dash_app.pages.frame import frame
from dash_app.pages.places import label, page_at
from dash_app.push_client import PATH as PUSH_CLIENT
from dash_app.push_client import add_push_client
from dash_app.wall import PATHS, add_wall

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dash_app.data import ConsoleData
    from dash_app.door.known import Sessions


_OURS = ("/healthz", "/metrics", PUSH_CLIENT, *PATHS)
_FIRST = "theme.js"
"""Runs before the first paint, so Dash must not load it among its own scripts at the end."""
_NOT_SERVED = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")


def create_app(data: ConsoleData, sessions: Sessions | None = None) -> Dash:
    """The console of these streams, for who is signed in.

    Args:
        data: what it is made from.
        sessions: says who is signed in; None: everybody gets the pages (what is in them comes from the control plane, which asks).
    """
    app = Dash(
        "dash_app",
        backend="fastapi",
        title="Tidegate",
        update_title="",
        suppress_callback_exceptions=True,
        serve_locally=True,
        enable_mcp=False,
        assets_ignore=_FIRST.replace(".", r"\."),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    server: Any = app.server
    if type(server).__name__ != "FastAPI":
        raise RuntimeError(f"the console needs Dash's FastAPI backend, not {type(server).__name__}")
    first = f'{{%metas%}}<script src="{_fresh(_FIRST)}"></script>'
    app.index_string = app.index_string.replace("<html>", '<html lang="en">').replace("{%metas%}", first)
    app.layout = frame(data.streams, "" if data.push_port is None else str(data.push_port), str(PLAN_HOLDS_S))

    @app.callback(Output("page", "children"), Input("location", "pathname"))
    def show(path: str | None) -> Component:
        shown = page_at(data.streams, path or "/")
        METER.add("tidegate_console_pages_total", label(path or "/"))
        return shown

    def healthy() -> dict[str, str]:
        return {"status": "ok"}

    exposition = exposition_of(CONSOLE)

    def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    server.get("/healthz", include_in_schema=False)(healthy)
    # Its annotation is a name of this module only, and FastAPI would look for it elsewhere.
    server.get("/metrics", include_in_schema=False, response_model=None)(metrics)

    add_wall(server, data)
    add_push_client(server)
    server.add_middleware(Door, push_port=data.push_port, sessions=sessions)
    _arrange(server)
    # Dash finds the assets at the first request of `/` only: whoever opened another page first would get none.
    app._setup_server()  # type: ignore[no-untyped-call]  # noqa: SLF001
    return app


def _fresh(asset: str) -> str:
    """Its address, another one after each change, as Dash does for its own."""
    return f"/assets/{asset}?m={(Path(__file__).parent / 'assets' / asset).stat().st_mtime}"


def _arrange(server: Any) -> None:  # noqa: ANN401 (Dash's server is untyped)
    """Dash answers every path with the console, so ours is asked first; FastAPI's own pages are nobody's business."""
    kept = [route for route in server.router.routes if getattr(route, "path", "") not in _NOT_SERVED]
    ours = [route for route in kept if getattr(route, "path", "") in _OURS]
    server.router.routes[:] = ours + [route for route in kept if route not in ours]
