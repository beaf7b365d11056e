"""What does this room answer?"""

from __future__ import annotations

from fastapi import FastAPI, Response

from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import QUALITY
from controlplane.contract.rooms import OnlyParts


def create_api(token: str) -> FastAPI:
    """The HTTP application, for who has the parts' token."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    api.add_middleware(OnlyParts, token=token)

    @api.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    exposition = exposition_of(QUALITY)

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    return api
