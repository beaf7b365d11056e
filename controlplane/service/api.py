"""What does the control plane answer? Facts in, state out, and one WebSocket for whoever watches."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import ValidationError
from starlette.middleware.cors import CORSMiddleware

from controlplane.contract.access import Action, needs
from controlplane.contract.facts import FACTS
from controlplane.service.access.access import Access
from controlplane.service.access.answers import add_session
from controlplane.service.access.guard import Guard
from controlplane.service.access.openid_answers import add_openid
from controlplane.service.access.people import add_people
from controlplane.service.answers import add_answers
from controlplane.service.audit.answers import add_audit
from controlplane.service.audit.recorded import Recorded
from controlplane.service.forwarded import add_forwarded
from controlplane.service.lag_answers import add_lag
from controlplane.service.latency_answers import add_latency
from controlplane.service.observations.answers import add_observations
from controlplane.service.operations.answers import add_operations
from controlplane.service.operations.worker_answers import add_worker
from controlplane.service.order_answers import add_orders
from controlplane.service.problem_json import add_problems
from controlplane.service.push import add_push
from controlplane.service.quality_answers import add_quality
from controlplane.service.scaling.answers import add_scaling
from controlplane.service.schema_answers import add_schemas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from controlplane.service.access.known import AnyoneIs
    from controlplane.service.service import Service

_log = logging.getLogger(__name__)


def _complain(task: asyncio.Task[None]) -> None:
    """A task of ours never ends by itself: if one does, somebody must hear of it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a task of the hub has ended", exc_info=error)


def create_api(service: Service, rooms: Mapping[str, str] | None = None, *, access: Access | AnyoneIs) -> FastAPI:
    """The HTTP and WebSocket application.

    Args:
        service: what it answers from.
        rooms: prefix below `/api/v1` -> address of the room that answers there.
        access: who may ask for what.
    """

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await service.restore()
        if service.schedules is not None:
            await asyncio.to_thread(service.schedules.start)
        work = [service.push_overview(), service.push_ledger(), service.push_lake(), service.push_quality()]
        work += [service.push_lag(), service.push_spark(), service.push_scaling(), service.keep_scaling()]
        work += [service.push_operations()] if service.operations is not None else []
        work += [*map(service.push_live, service.streams), service.keep(), service.keep_observations()]
        work += [service.push_latency(), service.push_incidents()]
        work += [service.keep_record(), service.keep_promises(), service.probe.run()]
        tasks = [asyncio.create_task(each) for each in work]
        for task in tasks:
            task.add_done_callback(_complain)
        yield
        for task in tasks:
            task.cancel()
        if service.schedules is not None:
            await asyncio.to_thread(service.schedules.close)
        await asyncio.to_thread(service.save)
        if service.keeper is not None:
            await asyncio.to_thread(service.keeper.write)

    authenticator = access.credentials if isinstance(access, Access) else access
    guards = [Depends(Guard(authenticator, service.may_open))]
    api = FastAPI(
        title="Tidegate", docs_url=None, redoc_url=None, openapi_url=None, lifespan=running, dependencies=guards
    )
    # Added before all others is inside of them: whoever asks for a right belongs above this line, and is recorded as well.
    api.add_middleware(Recorded, audit=service.audit)
    # The console's pages come from another port: a browser lets them read answers only if they are named here.
    api.add_middleware(
        CORSMiddleware,
        allow_origins=service.origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
    )
    add_problems(api)
    _facts(api, service)
    add_answers(api, service)
    add_observations(api, service.past)
    add_audit(api, service.record)
    add_schemas(api, service)
    add_orders(api, service)
    add_quality(api, service)
    add_lag(api, service)
    add_latency(api, service)
    add_scaling(api, service)
    if service.operations is not None and service.schedules is not None:
        add_worker(api, service.operations)
        add_operations(api, service.operations, service.schedules)
    add_forwarded(api, rooms or {}, access.service_token)
    if isinstance(access, Access):
        add_session(api, access, service.audit)
        add_people(api, access, service.audit)
        if access.openid is not None:
            add_openid(api, access, access.openid, service.audit)
    add_push(api, service.hub, authenticator)
    return api


def _facts(api: FastAPI, service: Service) -> None:
    @api.post("/api/v1/facts", status_code=204)
    @needs(Action.REPORT)
    async def take(request: Request) -> Response:
        """Fold facts; 422 names the first mistake."""
        try:
            service.fold(FACTS.validate_json(await request.body()))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return Response(status_code=204)
