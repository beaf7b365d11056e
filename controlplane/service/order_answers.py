"""How does an operator give a gate an order, and see those that were given? `/api/v1/gates/orders`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import Field, ValidationError

from controlplane.contract.access import Action, needs
from controlplane.contract.frozen import Frozen
from controlplane.contract.gates import GateOrdered, Order, Stage
from controlplane.contract.orders import PATH
from controlplane.service.access.guard import asked_for

if TYPE_CHECKING:
    from controlplane.service.service import Service

_ALLOWED = {
    Stage.INGEST: (Order.RESUME,),
    Stage.LAKE: (Order.RESUME, Order.PASS, Order.DIVERT, Order.RELEASE),
    Stage.ROLLUP: (Order.RESUME, Order.PASS),
    Stage.SERVING: (Order.RESUME,),
}
"""What each stage's gate understands."""


class _Given(Frozen):
    stream: str
    stage: Stage
    order: Order
    subject: str | None = None
    by: str = Field("operator", max_length=100)


def add_orders(api: FastAPI, service: Service) -> None:
    """Add `GET` and `POST /api/v1/gates/orders`."""

    @api.get(PATH)
    @needs(Action.READ)
    async def orders() -> list[dict[str, Any]]:
        """What operators have told gates, oldest first."""
        return [each.model_dump(mode="json") for each in service.orders.orders]

    @api.post(PATH, status_code=201)
    @needs(Action.OPERATE)
    async def order(request: Request) -> dict[str, Any]:
        """Give an order; 422 names what is wrong with it."""
        given = _given(await request.body())
        if given.stream not in service.streams:
            raise HTTPException(404, f"there is no stream {given.stream!r}; there are: {', '.join(service.streams)}")
        if given.order not in _ALLOWED[given.stage]:
            raise HTTPException(
                422, f"{given.stage} takes no {given.order}; it takes: {', '.join(_ALLOWED[given.stage])}"
            )
        if given.order is Order.RELEASE and not given.subject:
            raise HTTPException(422, "subject: say which micro-batch is to be released")
        ordered = GateOrdered(
            stream=given.stream,
            stage=given.stage,
            order=given.order,
            at=datetime.now(UTC),
            subject=given.subject,
            by=asked_for(request, given.by),
        )
        await asyncio.to_thread(service.orders.add, ordered)
        return ordered.model_dump(mode="json")


def _given(body: bytes) -> _Given:
    try:
        return _Given.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
