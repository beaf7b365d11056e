"""What do rooms answer through the control plane? `/api/v1/<prefix>/...` is asked of the room that has the answer.

So the console and every command know one address, and what may be asked is decided here: a room takes the parts' token only, and
hears for whom it is asked. A room that does not answer is 503, with a sentence.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from fastapi import APIRouter, HTTPException, Request, Response

from controlplane.contract.access import STREAMS_HEADER, USER_HEADER, authorization, needs_by
from controlplane.contract.waiting import CLIENT_CLOSED, GoneAwayError, while_waited_for
from controlplane.service.access.forwarded import forwarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fastapi import FastAPI

_TIMEOUT_S = 30.0
_KEPT_HEADERS = ("cache-control", "content-security-policy")
_METHODS = ["GET", "POST", "DELETE"]
_ONLY_READ = ("sql",)
"""Rooms where what is asked by POST changes nothing either, and is given up when nobody waits for it."""


def add_forwarded(api: FastAPI, rooms: Mapping[str, str], token: str) -> None:
    """Forward each prefix to its room.

    Args:
        api: where to add them.
        rooms: prefix -> address of the room, which has the same paths.
        token: by which parts know each other.
    """
    client = httpx.AsyncClient(headers=authorization(token), timeout=_TIMEOUT_S)

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    router = APIRouter(lifespan=closing)
    for prefix, address in rooms.items():
        _add(router, client, prefix, address.rstrip("/"))
    api.include_router(router)


def _add(router: APIRouter, client: httpx.AsyncClient, prefix: str, address: str) -> None:
    @router.api_route(f"/api/v1/{prefix}", methods=_METHODS)
    @router.api_route(f"/api/v1/{prefix}/{{_path:path}}", methods=_METHODS)
    @needs_by(forwarded)
    async def forward(request: Request) -> Response:
        try:
            asking = client.request(
                request.method,
                f"{address}{request.url.path}",
                params=request.query_params,
                content=await request.body(),
                headers=_told(request),
            )
            is_given_up = request.method == "GET" or prefix in _ONLY_READ
            answer = await (while_waited_for(request.receive, asking) if is_given_up else asking)
        except GoneAwayError as error:
            raise HTTPException(CLIENT_CLOSED, "nobody waits for the answer any more") from error
        except httpx.HTTPError as error:
            raise HTTPException(503, f"{prefix} does not answer ({type(error).__name__}); see Overview") from error
        return Response(
            answer.content,
            answer.status_code,
            headers={name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers},
            media_type=answer.headers.get("content-type", "application/json"),
        )


def _told(request: Request) -> dict[str, str]:
    """What a room hears of who asks; of a part that asks for itself nothing."""
    told = {"content-type": request.headers.get("content-type", "application/json")}
    principal, action = request.state.principal, forwarded(request).action
    if principal.is_service or action is None:
        return told
    return {**told, USER_HEADER: principal.name, STREAMS_HEADER: ",".join(principal.streams(action))}
