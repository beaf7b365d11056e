"""What does the control plane answer to the worker? Work when there is some, and what operators want of what it is at work on."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request, Response

from controlplane.contract.access import Action, needs
from controlplane.contract.operations import LEASE_PATH, PATH, Heard, LeaseAsked, Leased, WorkerSays

if TYPE_CHECKING:
    from fastapi import FastAPI

    from controlplane.service.operations.desk import Desk

_LOOK_AGAIN_S = 2.0
"""A lease that has expired rings no bell."""


def add_worker(api: FastAPI, desk: Desk) -> None:
    """Add what a worker asks; before the routes of single operations, whose paths look alike."""
    router = APIRouter(tags=["worker"], include_in_schema=False)

    @router.post(LEASE_PATH, response_model=None)
    @needs(Action.REPORT)
    async def lease(request: Request, asked: LeaseAsked) -> Leased | Response:
        """Work, or 204 when there was none for as long as the worker can wait."""
        until = monotonic() + asked.wait_s
        while True:
            # A worker that was killed while it waited must not take from its successor, which has the same name.
            if await request.is_disconnected():
                return Response(status_code=204)
            found = await asyncio.to_thread(desk.lease, asked.worker, asked.holds, asked.does)
            if found is not None:
                return Response(found.model_dump_json(), media_type="application/json")
            if (left := until - monotonic()) <= 0 or desk.bell.is_closed:
                return Response(status_code=204)
            await desk.bell.wait(min(left, _LOOK_AGAIN_S))

    @router.post(f"{PATH}/{{number}}/said")
    @needs(Action.REPORT)
    def said(number: Annotated[str, Path()], says: WorkerSays) -> Heard:
        """Take in what it tells; 409 when the operation is no longer its."""
        return Heard(wish=desk.heard(number, says))

    api.include_router(router)
