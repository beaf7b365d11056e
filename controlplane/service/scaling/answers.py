"""What does the control plane answer of scaling, and what may an operator say to it?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ValidationError

from controlplane.contract.access import Action, needs
from controlplane.contract.scaling import ScaleAsked, ScaleOrdered, ScalingPolicy
from controlplane.contract.wants import PATH, wanted_path
from controlplane.service.access.guard import asked_for
from controlplane.service.scaling.kept import TARGETS
from controlplane.service.scaling.observe import executors_of, not_scaled
from controlplane.service.scaling.plan import planned

if TYPE_CHECKING:
    from controlplane.service.service import Service

Given = TypeVar("Given", bound=BaseModel)


def add_scaling(api: FastAPI, service: Service) -> None:
    """Add `GET`, `PUT`, `POST` and `DELETE` below `/api/v1/scaling`."""
    _state(api, service)
    _policies(api, service)
    _orders(api, service)


def _state(api: FastAPI, service: Service) -> None:
    @api.get(PATH)
    @needs(Action.READ)
    async def scaling() -> dict[str, Any]:
        """Every target: policy, order, executors, the last decision and the last changes."""
        return service.scaling().model_dump(mode="json")

    @api.get(wanted_path("{target}"))
    @needs(Action.READ)
    async def wanted(target: str) -> dict[str, Any]:
        """What a target is to have now; its part asks every second."""
        _require_target(target)
        return service.scaler.wanted(target, datetime.now(UTC)).model_dump(mode="json")


def _policies(api: FastAPI, service: Service) -> None:
    @api.put(f"{PATH}/{{target}}/policy")
    @needs(Action.APPROVE)
    async def put(target: str, request: Request) -> dict[str, Any]:
        """Set a target's policy; 422 names the first mistake."""
        _require_target(target)
        policy = _read(ScalingPolicy, await request.body())
        await asyncio.to_thread(service.scaler.kept.set_policy, target, policy)
        service.scale()
        return policy.model_dump(mode="json")


def _orders(api: FastAPI, service: Service) -> None:
    @api.post(f"{PATH}/{{target}}/scale", status_code=201)
    @needs(Action.OPERATE)
    async def scale(target: str, request: Request, response: Response, *, dry_run: bool = False) -> dict[str, Any]:
        """Order a number of executors; a dry run says what would change and what stands against it."""
        _require_target(target)
        now = datetime.now(UTC)
        asked = _read(ScaleAsked, await request.body())
        order = _ordered(target, asked, asked_for(request, asked.by), now)
        executors, reason = executors_of(service.known, target, now)
        if (why := not_scaled(target, executors)) is not None:
            raise HTTPException(409, why)
        if dry_run:
            response.status_code = 200
            wanted = service.scaler.wanted(target, now).executors
            policy = service.scaler.kept.policy(target)
            return planned(order, executors, reason, wanted, policy).model_dump(mode="json")
        await asyncio.to_thread(service.scaler.kept.set_order, order)
        service.scale()
        return order.model_dump(mode="json")

    @api.delete(f"{PATH}/{{target}}/scale", status_code=204)
    @needs(Action.OPERATE)
    async def release(target: str) -> Response:
        """Give a target back to the autoscaler."""
        _require_target(target)
        if service.scaler.kept.order(target, datetime.now(UTC)) is None:
            raise HTTPException(404, f"no order holds for {target}: the autoscaler has it")
        await asyncio.to_thread(service.scaler.kept.end_order, target)
        service.scale()
        return Response(status_code=204)


def _ordered(target: str, asked: ScaleAsked, by: str, now: datetime) -> ScaleOrdered:
    until = None if asked.lasts is None else now + asked.lasts
    return ScaleOrdered(target=target, executors=asked.executors, at=now, until=until, by=by)


def _require_target(target: str) -> None:
    if target not in TARGETS:
        raise HTTPException(404, f"{target!r} is not scaled; there is: {', '.join(TARGETS)}")


def _read(form: type[Given], body: bytes) -> Given:
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise HTTPException(422, f"{where}: {what}" if where else what) from error
