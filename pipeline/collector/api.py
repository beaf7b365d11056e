"""What does the collector answer? `POST /v1/streams/{stream}/events`: 202 when Kafka has them for good, else why not.

Cheap questions come first: whose key it is, whether anything more may wait. Small bodies are judged where they are read, because a
thread costs more than they do; large ones in a thread, so that nobody else waits.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from controlplane.contract.metrics.meter import METER
from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import COLLECTOR
from controlplane.contract.names import Hop, topic
from pipeline.collector.answers import Record, RefusedError
from pipeline.collector.commit import STARTING
from pipeline.collector.events.body import judged, read
from pipeline.collector.events.example import example_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.metrics.meter import Sample
    from pipeline.collector.answers import Judged, Limits
    from pipeline.collector.behind import Behind
    from pipeline.collector.events.schemas import Schemas, Versions
    from pipeline.collector.keys import Keys
    from pipeline.collector.waiting import Waiting

PATH = "/v1/streams/{stream}/events"
_SMALL_BYTES = 32 * 1024
_READ_WITHIN_S = 30.0
_GONE = 499
"""Who asked went away."""
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tidegate"'}


@dataclass
class Collector:
    """Takes requests."""

    keys: Keys
    schemas: Schemas
    waiting: Waiting
    behind: Behind
    limits: Limits
    _judging: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "judging"))

    async def versions(self, request: Request, stream: str) -> tuple[str, Versions]:
        """Who asks for a stream, and its schemas.

        Raises:
            RefusedError: 401, 403, 404, 503.
        """
        sender = await self.keys.sender(request.headers.get("authorization", ""), stream)
        if stream not in self.schemas.streams:
            raise RefusedError(404, f"there is no stream {stream!r}; there are: {', '.join(self.schemas.streams)}")
        if (versions := self.schemas.of(stream)) is None:
            raise RefusedError(503, f"nothing is known of the schemas of {stream} yet", retry_after_s=2)
        return sender, versions

    async def take(self, request: Request, stream: str, *, partial: bool) -> dict[str, Any]:
        """Take the events of a request.

        Raises:
            RefusedError: if they are not taken, or with `partial` if none is.
        """
        sender, versions = await self.versions(request, stream)
        self.behind.require_near(stream)
        self.waiting.require_room()
        held = _Held(self.waiting)
        try:
            found = await self._judged(request, versions, held)
            held.take(max(0, sum(len(value) for _, value in found.fitting) - held.size))  # Avro may have been packed
            METER.add("tidegate_collector_events_total", stream, "mistaken", by=found.mistaken)
            if found.mistaken and not (partial and found.fitting):
                raise _mistaken(found)
            raw = topic(stream, Hop.RAW)
            records = [Record(raw, key, value, sender) for key, value in found.fitting]
            await asyncio.wrap_future(self.waiting.offer(records))
        finally:
            self.waiting.let_go(held.size)
        METER.add("tidegate_collector_events_total", stream, "taken", by=len(records))
        return {"taken": len(records), **({"mistakes": found.mistakes} if found.mistaken else {})}

    async def _judged(self, request: Request, versions: Versions, held: _Held) -> Judged:
        packed = request.headers.get("content-encoding", "").strip().lower()
        try:
            async with asyncio.timeout(_READ_WITHIN_S):
                body = await read(request.stream(), packed, self.limits, held)
        except TimeoutError:
            raise RefusedError(408, f"the body has not come in {_READ_WITHIN_S:.0f} s") from None
        except ClientDisconnect:
            raise RefusedError(_GONE, "whoever asked went away") from None
        arguments = (body, request.headers, versions, self.limits)
        if len(body) <= _SMALL_BYTES:
            return judged(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._judging, judged, *arguments)

    def numbers(self) -> Iterator[Sample]:
        """What Prometheus is told when it asks."""
        yield "tidegate_collector_waiting_events", (), float(self.waiting.events)


class _Held:
    """What a request holds of the memory for bodies."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting, self.size = waiting, 0

    def take(self, size: int) -> None:
        self._waiting.hold(size)
        self.size += size


def create_api(collector: Collector) -> FastAPI:
    """The HTTP application."""
    api = FastAPI(title="Tidegate's collector", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    exposition = exposition_of(COLLECTOR, collector.numbers)

    @api.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        if request.method == "POST":
            _count(collector, request.path_params.get("stream", ""), error.status)
        return _refusal(error)

    @api.get("/healthz", include_in_schema=False)
    async def healthy() -> JSONResponse:
        """It has begun; that the broker went away later is no fault of it."""
        return JSONResponse({"status": "ok"}) if collector.waiting.was_open else _refusal(STARTING)

    @api.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    @api.post(PATH, status_code=202)
    async def events(stream: str, request: Request, partial: bool = False) -> JSONResponse:  # noqa: FBT001, FBT002 (of the query)
        """Take events: one as JSON, an array, lines of JSON, or Avro. All or none, unless `partial`."""
        answer = await collector.take(request, stream, partial=partial)
        _count(collector, stream, 202)
        return JSONResponse(answer, 202)

    @api.get("/v1/streams/{stream}")
    async def described(stream: str, request: Request) -> dict[str, Any]:
        """The schema by which JSON is judged, the ids of all that Avro may be written by, and an event as an example."""
        _, versions = await collector.versions(request, stream)
        newest = versions.newest
        return {
            "stream": stream,
            "schema_id": newest.id,
            "schema_ids": list(versions.by_id),
            "schema": newest.schema,
            "example": example_of(newest.schema),
            "send_to": PATH.format(stream=stream),
            "events_at_most": collector.limits.events,
            "bytes_at_most": collector.limits.bytes,
        }

    return api


def _count(collector: Collector, stream: str, status: int) -> None:
    known = stream if stream in collector.schemas.streams else ""
    METER.add("tidegate_collector_requests_total", known, str(status))


def _mistaken(found: Judged) -> RefusedError:
    more = {"events": found.sent, "mistaken": found.mistaken, "mistakes": found.mistakes}
    return RefusedError(400, f"{found.mistaken} of {found.sent} events do not fit: none was taken", more=more)


def _refusal(error: RefusedError) -> JSONResponse:
    """As RFC 9457 has it."""
    headers = dict(_CHALLENGE) if error.status == 401 else {}  # noqa: PLR2004 (HTTP's)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    said = {"title": "not taken", "status": error.status, "detail": error.detail, **error.more}
    return JSONResponse(said, error.status, headers, "application/problem+json")
