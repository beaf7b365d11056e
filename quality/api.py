"""What does this room answer?"""

from __future__ import annotations

from fastapi import FastAPI

from controlplane.contract.rooms import PagesRefused


def create_api() -> FastAPI:
    """The HTTP application."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    api.add_middleware(PagesRefused)

    @api.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    return api
