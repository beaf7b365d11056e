"""What does the control plane answer about operations? `/api/v1/operations`, as its OpenAPI document says.

What takes time (planning, running) is answered at once by 202 and the operation; `GET .../{id}?wait=15&since=...` returns as soon
as it is otherwise.
"""

from __future__ import annotations

import asyncio
from datetime import datetime  # noqa: TC003 (FastAPI reads annotations)
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import Field

from controlplane.contract.access import Action, needs
from controlplane.contract.frozen import Frozen
from controlplane.contract.operations import PATH, Kind, LogLine, Operation, OperationAsked, OperationState
from controlplane.service.operations.asking import asks
from controlplane.service.operations.refusal import mistaken
from controlplane.service.operations.rights import confirming, require, require_confirming
from controlplane.service.operations.schedule_answers import add_schedules
from controlplane.service.operations.store import Sought
from controlplane.service.problem_json import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from controlplane.contract.access import Principal
    from controlplane.service.operations.desk import Desk
    from controlplane.service.operations.schedules import Schedules

WAITS_AT_MOST_S = 20
_LOOK_AGAIN_S = 1.0
"""Another control plane on the same database rings no bell here."""
_PAGE_AT_MOST = 500
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": described, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, described in {
        403: "No right to do that.",
        404: "There is no such operation.",
        409: "Not as things are: a conflict, a stale plan, a state in which it cannot be done.",
        422: "Asked for wrongly; names the field.",
    }.items()
}


class OperationPage(Frozen):
    """Some operations, newest first, without plans and results."""

    items: tuple[Operation, ...]
    next: str | None = Field(None, description="`cursor` of the page that follows; null: this is the last.")


class LogPage(Frozen):
    """Some lines of a log, oldest first."""

    items: tuple[LogLine, ...]
    next: str | None = Field(None, description="`cursor` for what comes after these, now or later.")


class Confirmation(Frozen):
    """Who confirms says which plan, and types its word."""

    fingerprint: str
    confirmation: str


def add_operations(api: FastAPI, desk: Desk, schedules: Schedules) -> None:
    """Add the API of operations, and its OpenAPI document."""
    router = APIRouter(prefix=PATH, tags=["operations"], responses=_PROBLEMS)
    add_schedules(router, desk, schedules)
    _lists(router, desk)
    _one(router, desk)
    _steps(router, desk)
    api.include_router(router)
    _document(api, router)


def _document(api: FastAPI, router: APIRouter) -> None:
    @api.get("/api/v1/openapi.json", include_in_schema=False)
    @needs(Action.READ)
    async def openapi() -> dict[str, Any]:
        """The API of operations and schedules, as OpenAPI has it."""
        said = get_openapi(
            title="Tidegate: operations",
            version="1",
            description="What operators do: ask for a plan, confirm it, follow it, undo it.",
            routes=router.routes,
        )
        said["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return said


def _lists(router: APIRouter, desk: Desk) -> None:
    @router.post("", status_code=202)
    @needs(Action.PLAN, later=True)
    def ask(
        request: Request,
        response: Response,
        asked: OperationAsked,
        dry_run: Annotated[bool, Query(description="Only plan: it cannot be confirmed.")] = False,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Operation:
        """Have an operation planned; nothing is done yet."""
        by = asks(request)
        require(by, Action.PLAN, desk.stream_of(asked))
        operation = desk.ask(asked, by, dry_run=dry_run, key=idempotency_key)
        response.headers["location"] = f"{PATH}/{operation.id}"
        return operation

    @router.get("")
    @needs(Action.READ)
    def listed(
        state: Annotated[list[OperationState] | None, Query()] = None,
        kind: Kind | None = None,
        stream: str | None = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_AT_MOST)] = 50,
        cursor: str | None = None,
    ) -> OperationPage:
        """The newest operations first; stages only of those that have not ended."""
        sought = Sought(tuple(state or ()), kind, stream)
        found, following = desk.store.page(sought, limit, number_of(cursor))
        return OperationPage(items=tuple(found), next=None if following is None else str(following))


def _one(router: APIRouter, desk: Desk) -> None:
    @router.get("/{number}")
    @needs(Action.READ)
    async def one(
        number: str,
        wait: Annotated[float, Query(ge=0, le=WAITS_AT_MOST_S, description="Seconds, until it is otherwise.")] = 0,
        since: Annotated[datetime | None, Query(description="The `changed_at` that is known.")] = None,
    ) -> Operation:
        """One operation, with its plan and its stages."""
        if since is not None and since.tzinfo is None:
            raise mistaken("since: give a zone, such as 2026-01-31T12:00:00Z")
        return await changed_since(desk, number, since, wait)

    @router.get("/{number}/log")
    @needs(Action.READ)
    def log(
        number: str, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=_PAGE_AT_MOST)] = 200
    ) -> LogPage:
        """What was said of it, oldest first."""
        desk.store.one(number)
        lines = desk.store.lines(number, number_of(cursor) or 0, limit)
        return LogPage(items=tuple(lines), next=str(lines[-1].number) if lines else cursor)


def _steps(router: APIRouter, desk: Desk) -> None:
    @router.post("/{number}/confirm", status_code=202)
    @needs(Action.OPERATE, later=True)
    def confirm(request: Request, number: str, given: Confirmation) -> Operation:
        """Have a plan done."""
        by = asks(request)
        require_confirming(by, desk.store.one(number))
        return desk.confirm(number, given.fingerprint, given.confirmation, by)

    @router.post("/{number}/undo", status_code=202)
    @needs(Action.PLAN, later=True)
    def undo(
        request: Request,
        response: Response,
        number: str,
        dry_run: bool = False,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Operation:
        """Have the operation planned that undoes this one."""
        by = asks(request)
        require(by, Action.PLAN, desk.store.one(number).stream)
        operation = desk.undo(number, by, dry_run=dry_run, key=idempotency_key)
        response.headers["location"] = f"{PATH}/{operation.id}"
        return operation

    def step(name: str, described: str, does: Callable[[str, Principal], Operation]) -> None:
        @needs(Action.OPERATE, later=True)
        def taken(request: Request, number: str) -> Operation:
            by, operation = asks(request), desk.store.one(number)
            if by.name != operation.by:
                require(by, confirming(operation.kind, operation.undoes), operation.stream)
            return does(number, by)

        taken.__doc__ = described
        router.post(f"/{{number}}/{name}", status_code=202, name=name, operation_id=f"{name}_operation")(taken)

    step("pause", "Have it rest between two pieces of work.", desk.pause)
    step("resume", "Have it go on.", desk.resume)
    step("cancel", "Have it end, and what it has left taken back.", desk.cancel)


async def changed_since(desk: Desk, number: str, since: datetime | None, wait_s: float) -> Operation:
    """An operation as soon as it is otherwise, or the time is over."""
    until, first = monotonic() + wait_s, None
    while True:
        operation = await asyncio.to_thread(desk.store.one, number)
        first = first or operation
        is_news = operation.changed_at > since if since is not None else operation.state is not first.state
        left = until - monotonic()
        if is_news or left <= 0 or operation.state.has_ended or desk.bell.is_closed:
            return operation
        await desk.bell.wait(min(left, _LOOK_AGAIN_S))


def number_of(cursor: str | None) -> int | None:
    """What a cursor stands for.

    Raises:
        RefusedError: 422, if it is none of ours.
    """
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:  # noqa: PLR2004 (a 64-bit number)
        raise mistaken(f"cursor: {cursor!r} is none; take `next` of a page before")
    return int(cursor)
