"""What does the worker answer? That it is there, its numbers, and what is read of the lake and of ClickHouse.

The control plane forwards `/api/v1/tables/...` and `/api/v1/sql/...` here: reading a version takes memory and cores that the hub's
process must not lack. Operations themselves are asked for at the control plane; this process leases them from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Response

from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import OPERATIONS
from controlplane.contract.rooms import OnlyParts
from pipeline.lakeview import serve as lakeview
from pipeline.loads import serve as loads
from pipeline.sql import serve as sql
from pipeline.trial import serve as trials

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.settings import Settings
    from pipeline.trial.asked import SuiteCheck

ROUTERS: tuple[Callable[[Settings], APIRouter], ...] = (lakeview.router, sql.router, loads.router)
"""What makes each router; paths are whole, such as `/api/v1/tables/{stream}`."""


def create_api(settings: Settings, suite_check: SuiteCheck) -> FastAPI:
    """The HTTP application.

    Args:
        settings: where everything is.
        suite_check: mistakes in a sent folder's suites that only Great Expectations can name.
    """
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    api.add_middleware(OnlyParts, token=settings.service_token)

    @api.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    exposition = exposition_of(OPERATIONS)

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    api.include_router(trials.router(settings, suite_check))
    for make in ROUTERS:
        api.include_router(make(settings))
    return api
