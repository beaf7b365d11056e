"""What does the control plane answer about schemas? Versions and who is on them; and whether it would take another one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.responses import JSONResponse

from controlplane.contract.access import Action, needs
from controlplane.service.registry import NotASchemaError, RegistryAwayError, read_schema
from controlplane.service.schemas import judged, registered, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.registry import SchemaRegistry
    from controlplane.service.schemas import Judged, SchemasShown
    from controlplane.service.service import Service

    Judge = Callable[[SchemaRegistry, StreamDefinition, dict[str, Any]], Judged]

P = ParamSpec("P")
T = TypeVar("T")
_AT_MOST_BYTES = 1_000_000
_LISTED: Any = {
    "stream": True,
    "title": True,
    "subjects": {
        "__all__": {"subject": True, "hop": True, "mode": True, "versions": {"__all__": {"version", "id"}}},
    },
}


def add_schemas(api: FastAPI, service: Service) -> None:
    """Add what is under `/api/v1/schemas`."""

    @api.get("/api/v1/schemas")
    @needs(Action.READ)
    async def schemas() -> list[dict[str, Any]]:
        """Of every stream: its subjects' modes, versions and ids."""
        return await _asked(_listed, service)

    @api.get("/api/v1/schemas/{stream}")
    @needs(Action.READ)
    async def schema(stream: str) -> dict[str, Any]:
        _require(service, stream)
        return await _asked(_shown, service, stream)

    @api.post("/api/v1/schemas/{stream}/check")
    @needs(Action.PLAN)
    async def check(stream: str, request: Request) -> Response:
        """Would it be accepted? 409 when not; the body says why."""
        return await _judgement(service, stream, request, judged)

    @api.post("/api/v1/schemas/{stream}")
    @needs(Action.APPROVE)
    async def register(stream: str, request: Request) -> Response:
        """Make it the newest version; 409 when it is refused, and the body says why."""
        return await _judgement(service, stream, request, registered)


def _listed(service: Service) -> list[dict[str, Any]]:
    found = (_shown_now(service, name) for name in service.streams)
    return [each.model_dump(mode="json", include=_LISTED) for each in found]


def _shown(service: Service, stream: str) -> dict[str, Any]:
    return _shown_now(service, stream).model_dump(mode="json")


def _shown_now(service: Service, stream: str) -> SchemasShown:
    return shown(_registry(service), service.known, service.streams[stream], datetime.now(UTC))


async def _judgement(service: Service, stream: str, request: Request, judge: Judge) -> Response:
    _require(service, stream)
    text = await request.body()
    if len(text) > _AT_MOST_BYTES:
        raise HTTPException(413, f"a schema may have {_AT_MOST_BYTES} bytes at most")

    def decide() -> Judged:
        return judge(_registry(service), service.streams[stream], read_schema(text))

    decision = await _asked(decide)
    return JSONResponse(decision.model_dump(mode="json"), status_code=200 if decision.accepted else 409)


def _registry(service: Service) -> SchemaRegistry:
    if service.registry is None:
        raise RegistryAwayError("this control plane was started without a schema registry")
    return service.registry


def _require(service: Service, stream: str) -> None:
    if stream not in service.streams:
        raise HTTPException(404, f"there is no stream {stream!r}")


async def _asked(ask: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Asked on another thread, because the registry may take its time."""
    try:
        return await asyncio.to_thread(ask, *arguments, **named)
    except RegistryAwayError as error:
        raise HTTPException(503, str(error)) from error
    except NotASchemaError as error:
        raise HTTPException(422, str(error)) from error
