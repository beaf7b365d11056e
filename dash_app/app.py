"""How is the console put together? One Dash application on FastAPI, one callback: from the address to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dash import Dash, Input, Output, dcc, html
from fastapi import Response

from controlplane.contract.metrics.meter import METER
from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import CONSOLE
from controlplane.contract.operations import PLAN_HOLDS_S
from dash_app.door.door import Door
from dash_app.pages.alerts import alerts_page
from dash_app.pages.audit import audit_page
from dash_app.pages.backfills import backfills_page
from dash_app.pages.elements import message
from dash_app.pages.frame import banner, frame
from dash_app.pages.lag import lag_page
from dash_app.pages.lake import lake_page
from dash_app.pages.ledger import ledger_page
from dash_app.pages.live import live_page
from dash_app.pages.operations import operation_page, operations_page
from dash_app.pages.overview import overview_page
from dash_app.pages.quality import quality_page
from dash_app.pages.quarantine import quarantine_page
from dash_app.pages.scaling import scaling_page
from dash_app.pages.schemas import schemas_page
from dash_app.pages.spark import spark_page
from dash_app.pages.sql import sql_page
from dash_app.pages.trials import trial_page, trials_page

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dash_app.data import ConsoleData
    from dash_app.door.known import Sessions


_OURS = ("/healthz", "/metrics")
_PAGES = (
    "live",
    "audit",
    "sql",
    "alerts",
    "lake",
    "ledger",
    "quality",
    "quarantine",
    "schemas",
    "lag",
    "spark",
    "scaling",
    "backfills",
    "operations",
    "trials",
)
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
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    server: Any = app.server
    if type(server).__name__ != "FastAPI":
        raise RuntimeError(f"the console needs Dash's FastAPI backend, not {type(server).__name__}")
    port: dict[str, Any] = {
        "data-push-port": "" if data.push_port is None else str(data.push_port),
        "data-plan-holds": str(PLAN_HOLDS_S),
    }
    app.layout = html.Div(
        [
            dcc.Location(id="location"),
            banner(),
            html.Div(id="frame"),
            html.Div(id="help", hidden=True),
        ],
        id="console",
        **port,
    )

    @app.callback(Output("frame", "children"), Input("location", "pathname"))
    def show(path: str | None) -> Component:
        shown = page(data, path or "/")
        METER.add("tidegate_console_pages_total", _name(path or "/"))
        return shown

    def healthy() -> dict[str, str]:
        return {"status": "ok"}

    exposition = exposition_of(CONSOLE)

    def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    server.get("/healthz", include_in_schema=False)(healthy)
    # Its annotation is a name of this module only, and FastAPI would look for it elsewhere.
    server.get("/metrics", include_in_schema=False, response_model=None)(metrics)

    server.add_middleware(Door, push_port=data.push_port, sessions=sessions)
    _arrange(server)
    # Dash finds the assets at the first request of `/` only: whoever opened another page first would get none.
    app._setup_server()  # type: ignore[no-untyped-call]  # noqa: SLF001
    return app


def _arrange(server: Any) -> None:  # noqa: ANN401 (Dash's server is untyped)
    """Dash answers every path with the console, so ours is asked first; FastAPI's own pages are nobody's business."""
    kept = [route for route in server.router.routes if getattr(route, "path", "") not in _NOT_SERVED]
    ours = [route for route in kept if getattr(route, "path", "") in _OURS]
    server.router.routes[:] = ours + [route for route in kept if route not in ours]


def page(data: ConsoleData, path: str) -> Component:
    """The page at an address."""
    return frame(data.streams, _page(data, path))


def _name(path: str) -> str:
    """A page's name in the metrics: anybody may ask for any address, and there must not be a series for each."""
    first = next((part for part in path.split("/") if part), "overview")
    return first if first in (*_PAGES, "overview") else "other"


def _page(data: ConsoleData, path: str) -> Component:  # noqa: C901, PLR0911, PLR0912 (a row a page)
    match [part for part in path.split("/") if part]:
        case []:
            return overview_page(data.streams)
        case ["live", *rest]:
            return live_page(data.streams, rest[0] if rest else next(iter(data.streams), ""))
        case ["alerts", *rest]:
            return alerts_page(rest[0] if rest else None)
        case ["backfills", *rest]:
            return backfills_page(data.streams, rest[0] if rest else None)
        case ["lag", *_]:
            return lag_page()
        case ["lake", *rest]:
            return lake_page(data.streams, rest[0] if rest else None)
        case ["ledger", *rest]:
            return ledger_page(data.streams, rest[0] if rest else None)
        case ["sql"]:
            return sql_page()
        case ["audit"]:
            return audit_page()
        case ["trials"]:
            return trials_page(data.streams)
        case ["trials", name]:
            return trial_page(unquote(name))
        case ["operations"]:
            return operations_page()
        case ["operations", name]:
            return operation_page(unquote(name))
        case ["quality", *rest]:
            return quality_page(data.streams, rest[0] if rest else None)
        case ["quarantine", *rest]:
            return quarantine_page(data.streams, rest[0] if rest else None)
        case ["schemas", *rest]:
            return schemas_page(data.streams, rest[0] if rest else None)
        case ["scaling"]:
            return scaling_page()
        case ["spark", *rest]:
            return spark_page(data.streams, unquote(rest[0]) if rest else None)
        case _:
            return message("No such page", f"{path} is not a page of the console.")
