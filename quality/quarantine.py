"""What is answered about quarantine? Groups, records, and work on them: `/api/v1/quarantine/...`.

Errors are a sentence in `detail`, 422 with the field that is wrong.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow.compute as pc
from confluent_kafka import KafkaException
from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import Field, ValidationError

from controlplane.contract.frozen import Frozen
from controlplane.contract.replays import Selection, WorkAsked
from controlplane.contract.rooms import asked_by, may_touch
from quality.inbox.inbox import listed
from quality.inbox.index import counts_of, groups, page, trend
from quality.replay.work import WorkRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controlplane.contract.replays import Work
    from quality.inbox.inbox import Inbox
    from quality.replay.work import Desk

_SHOWN_AT_ONCE = 50
_SHOWN_AT_MOST = 500
_TREND_OF = timedelta(hours=1)
"""At least, when no time is chosen."""
_OWN = ("cursor", "limit")
_Model = TypeVar("_Model", bound=Frozen)


class _Run(Frozen):
    rate: float | None = Field(None, gt=0, le=1_000_000)
    """Records a second; None: as fast as can be."""


class _Settled(Frozen):
    operation: str = Field(min_length=1, max_length=60)
    by: str = Field(max_length=100)
    ids: tuple[str, ...] = Field(max_length=10_000)


def add_quarantine(api: FastAPI, desks: Mapping[str, Desk]) -> None:
    """Add every path.

    Args:
        api: where to add them.
        desks: stream -> its inbox and work.
    """
    router = APIRouter(prefix="/api/v1/quarantine")
    _add_inbox(router, desks)
    _add_record(router, desks)
    _add_work(router, desks)
    api.include_router(router)


def _add_inbox(router: APIRouter, desks: Mapping[str, Desk]) -> None:
    @router.get("/streams")
    async def streams() -> list[dict[str, Any]]:
        """How many there are of each stream, and of which kind."""
        now = datetime.now(UTC)
        kept = [await asyncio.to_thread(desk.inbox.kept, now) for desk in desks.values()]
        return [each.model_dump(mode="json") for each in kept]

    @router.get("/streams/{stream}/groups")
    async def grouped(stream: str, request: Request) -> dict[str, Any]:
        """Records by reason and rules, with counts over time; a filter is given by the fields of `Selection`."""
        inbox = _desk(desks, stream).inbox
        selection = _selection(request)
        return await asyncio.to_thread(_groups, inbox, selection, datetime.now(UTC))

    @router.get("/streams/{stream}/records")
    async def records(
        stream: str, request: Request, cursor: str | None = None, limit: int = _SHOWN_AT_ONCE
    ) -> dict[str, Any]:
        """A page of records, the newest first; `next` is the cursor of the page behind it."""
        inbox = _desk(desks, stream).inbox
        if not 1 <= limit <= _SHOWN_AT_MOST:
            raise HTTPException(422, f"limit: give 1 to {_SHOWN_AT_MOST}")
        selection = _selection(request)
        try:
            return await asyncio.to_thread(_page, inbox, selection, limit, cursor)
        except ValueError as error:
            raise HTTPException(422, f"cursor: {cursor!r} is none that was given out") from error


def _groups(inbox: Inbox, selection: Selection, now: datetime) -> dict[str, Any]:
    rows = inbox.chosen(selection)
    first = pc.min(rows["rejected_at"]).as_py() or now
    since = selection.since or min(first, now - _TREND_OF)
    until = selection.until or now
    lines = trend(rows, since, until)
    return {
        "stream": inbox.stream.name,
        "at": now.isoformat(),
        "counts": counts_of(rows),
        "groups": [
            {**each.model_dump(mode="json"), "trend": lines.get((each.hop, each.reason, each.rules), [])}
            for each in groups(rows)
        ],
        "trend_since": since.isoformat(),
        "trend_until": until.isoformat(),
        "reason": inbox.unknown,
    }


def _page(inbox: Inbox, selection: Selection, limit: int, cursor: str | None) -> dict[str, Any]:
    found, behind = page(inbox.chosen(selection), limit, cursor)
    return {"records": [listed(each) for each in found], "next": behind, "reason": inbox.unknown}


def _add_record(router: APIRouter, desks: Mapping[str, Desk]) -> None:
    @router.get("/streams/{stream}/records/{record}")
    async def record(stream: str, record: str) -> dict[str, Any]:
        """All that is known of a record: what it says, and what was done with it."""
        found = await asyncio.to_thread(_desk(desks, stream).inbox.record, record)
        if found is None:
            raise HTTPException(404, f"{stream} has no turned-away record {record!r}")
        return found

    @router.get("/streams/{stream}/settled")
    async def settled(stream: str) -> list[str]:
        """Ids of records that were replayed or discarded: whoever reads the table leaves them out."""
        done = await asyncio.to_thread(_desk(desks, stream).inbox.markers.ids)
        return [each for ids in done.values() for each in ids]

    @router.post("/streams/{stream}/settled")
    async def settle(stream: str, request: Request) -> dict[str, int]:
        """Mark records as replayed that an operation has brought in another way; those that have a marker keep it."""
        desk = _desk(desks, stream)
        if asked_by(request.headers, ""):
            raise HTTPException(403, "only an operation marks records that it has brought in; replay or discard them")
        given = _read(_Settled, await request.body())
        try:
            return {"marked": await asyncio.to_thread(desk.settle, given.ids, given.operation, given.by)}
        except (KafkaException, TimeoutError) as error:
            raise HTTPException(503, f"nothing was marked, ask again: {error}") from error

    @router.get("/streams/{stream}/diverted")
    async def diverted(stream: str) -> list[dict[str, Any]]:
        """Micro-batches that lake's gate diverted, the newest first: they are released, not replayed."""
        return await asyncio.to_thread(_desk(desks, stream).inbox.diverted)


def _add_work(router: APIRouter, desks: Mapping[str, Desk]) -> None:
    @router.get("/replays")
    async def works() -> list[dict[str, Any]]:
        """All work, the newest first, without examples."""
        found = [work for desk in desks.values() for work in list(desk.works.values())]
        found.sort(key=lambda each: each.at, reverse=True)
        return [each.model_dump(mode="json", exclude={"examples"}) for each in found]

    @router.get("/replays/{work}")
    async def work(work: str) -> dict[str, Any]:
        return _work(desks, work)[1].model_dump(mode="json")

    @router.post("/streams/{stream}/replays", status_code=202)
    async def plan(stream: str, request: Request) -> dict[str, Any]:
        """Plan a replay or a discard (`WorkAsked`); nothing is done to a record before it is run."""
        desk = _desk(desks, stream)
        asked = _read(WorkAsked, await request.body())
        asked = asked.model_copy(update={"by": asked_by(request.headers, asked.by)})
        return (await asyncio.to_thread(desk.ask, asked)).model_dump(mode="json")

    @router.post("/replays/{work}/run", status_code=202)
    async def run(work: str, request: Request) -> dict[str, Any]:
        """Do what was planned; 409 when it is not planned, or has been done."""
        desk = _allowed(request, *_work(desks, work))
        given = _read(_Run, await request.body() or b"{}")
        try:
            return (await asyncio.to_thread(desk.run, work, given.rate)).model_dump(mode="json")
        except WorkRefusedError as error:
            raise HTTPException(409, str(error)) from error

    @router.post("/replays/{work}/cancel", status_code=202)
    async def cancel(work: str, request: Request) -> dict[str, Any]:
        """Do no more of it; what was done stays done."""
        desk = _allowed(request, *_work(desks, work))
        try:
            return (await asyncio.to_thread(desk.cancel, work)).model_dump(mode="json")
        except WorkRefusedError as error:
            raise HTTPException(409, str(error)) from error


def _desk(desks: Mapping[str, Desk], stream: str) -> Desk:
    if stream not in desks:
        raise HTTPException(404, f"there is no stream {stream!r}; there are: {', '.join(desks)}")
    return desks[stream]


def _work(desks: Mapping[str, Desk], work: str) -> tuple[Desk, Work]:
    for desk in desks.values():
        if work in desk.works:
            return desk, desk.works[work]
    raise HTTPException(404, f"there is no replay {work!r}; GET /api/v1/quarantine/replays lists them")


def _allowed(request: Request, desk: Desk, work: Work) -> Desk:
    if not may_touch(request.headers, work.stream):
        raise HTTPException(403, f"{asked_by(request.headers)} may not do that to {work.stream}")
    return desk


def _selection(request: Request) -> Selection:
    given: dict[str, Any] = {
        name: value for name, value in request.query_params.items() if name not in (*_OWN, "ids") and value != ""
    }
    if ids := request.query_params.getlist("ids"):
        given["ids"] = tuple(ids)
    return _checked(lambda: Selection.model_validate(given, strict=False))


def _read(model: type[_Model], body: bytes) -> _Model:
    return _checked(lambda: model.model_validate_json(body))


def _checked(read: Callable[[], _Model]) -> _Model:
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
