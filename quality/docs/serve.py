"""How are Data Docs read? As files below `/api/v1/quality/docs/`, with a policy that lets no page run or load anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import FileResponse

if TYPE_CHECKING:
    from pathlib import Path

    from quality.docs.site import Site

POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'none'; base-uri 'none'"
)
"""Pages have values from the data in them."""
_ENDINGS = (".html", ".css")


def add_docs(api: FastAPI, site: Site) -> None:
    """Add the site's state and its files."""
    router = APIRouter(prefix="/api/v1/quality/docs")

    @router.get("/state")
    async def state() -> dict[str, Any]:
        """When the site was built; a page that asks is one that somebody has open."""
        return await asyncio.to_thread(site.state)

    @router.get("/{path:path}")
    async def page(path: str) -> FileResponse:
        """A file of the newest site."""
        found = await asyncio.to_thread(file_of, site.folder, path)
        if found is None:
            raise HTTPException(404, f"Data Docs have no page {path!r}; begin at index.html")
        return FileResponse(found, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    api.include_router(router)


def file_of(folder: Path | None, path: str) -> Path | None:
    """The page at an address below the site's folder; None when there is none, or it is not inside."""
    if folder is None or "\0" in path:
        return None
    root, found = folder.resolve(), (folder / (path or "index.html")).resolve()
    if not found.is_relative_to(root) or found.suffix not in _ENDINGS or not found.is_file():
        return None
    return found
