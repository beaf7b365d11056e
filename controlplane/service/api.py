"""What does the control plane answer? Facts in, state out, and one WebSocket for whoever watches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from controlplane.contract.facts import FACTS
from controlplane.service.frames import StreamFrames
from controlplane.service.hub import OVERVIEW, Hub
from controlplane.service.state import Known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from controlplane.contract.push import OverviewFrame
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.frames import Arrived, Query
    from controlplane.service.hub import Client

_OVERVIEW_EVERY_S = 0.25
_OVERVIEW_AT_LEAST_EVERY_S = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger(__name__)


class Service:
    """State, hub and the tasks that feed the hub."""

    def __init__(self, streams: Sequence[StreamDefinition], query: Query, console: str, tick_s: float) -> None:
        self.known = Known()
        self.streams = {stream.name: stream for stream in streams}
        live = {_topic(stream.name, rollup) for stream in streams for rollup in stream.rollups}
        self.hub = Hub(frozenset({OVERVIEW, *live}))
        self._frames = {stream.name: StreamFrames(stream, query) for stream in streams}
        self._console = urlsplit(console)
        self._tick_s = tick_s

    def overview(self) -> OverviewFrame:
        """The overview as known now."""
        titles = {name: stream.title for name, stream in self.streams.items()}
        now = datetime.now(UTC)
        return self.known.overview(
            titles, now, self.hub.latencies.percentiles("event_to_pixel_ms", now.timestamp() * 1000)
        )

    def may_open(self, origin: str | None) -> bool:
        """A browser says from which page it comes; other programs say nothing."""
        if origin is None:
            return True
        asked = urlsplit(origin)
        same_host = asked.hostname == self._console.hostname or {asked.hostname, self._console.hostname} <= set(
            _LOOPBACK
        )
        return same_host and asked.port == self._console.port and asked.scheme == self._console.scheme

    async def push_overview(self) -> None:
        """Publish the overview when it changed, four times a second at most, and once a second anyway."""
        version, pushed_at = (-1, -1), 0.0
        while True:
            now, seen = time.monotonic(), (self.known.version, self.hub.version)
            if OVERVIEW in self.hub.watched() and (seen != version or now - pushed_at > _OVERVIEW_AT_LEAST_EVERY_S):
                version, pushed_at = seen, now
                self.hub.publish(OVERVIEW, self.overview())
            await asyncio.sleep(_OVERVIEW_EVERY_S)

    async def push_live(self, stream: str) -> None:
        """Publish what is new in a stream's watched rollups, every tick."""
        while True:
            began = time.monotonic()
            watched = self._rollups(stream, self.hub.watched())
            if watched:
                full = frozenset(self._rollups(stream, self.hub.wanting_full()))
                arrived = await asyncio.to_thread(self._frames[stream].look)
                await asyncio.gather(*(self._push_rollup(stream, rollup, arrived, full) for rollup in watched))
            await asyncio.sleep(max(0.01, self._tick_s - (time.monotonic() - began)))

    async def _push_rollup(self, stream: str, rollup: str, arrived: Arrived | str, full: frozenset[str]) -> None:
        frame = await asyncio.to_thread(self._frames[stream].frame, rollup, arrived, full=rollup in full)
        if frame is not None:
            self.hub.publish(_topic(stream, rollup), frame)

    def _rollups(self, stream: str, topics: frozenset[str]) -> list[str]:
        return [rollup for rollup in self.streams[stream].rollups if _topic(stream, rollup) in topics]


def _topic(stream: str, rollup: str) -> str:
    return f"live/{stream}/{rollup}"


def create_api(service: Service) -> FastAPI:
    """The HTTP and WebSocket application."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(service.push_overview())]
        tasks += [asyncio.create_task(service.push_live(stream)) for stream in service.streams]
        yield
        for task in tasks:
            task.cancel()

    api = FastAPI(title="Tidegate", docs_url=None, redoc_url=None, openapi_url=None, lifespan=running)
    _facts(api, service)
    _answers(api, service)
    _push(api, service)
    return api


def _facts(api: FastAPI, service: Service) -> None:
    @api.post("/api/v1/facts", status_code=204)
    async def take(request: Request) -> Response:
        """Fold facts; 422 names the first mistake."""
        if not service.may_open(request.headers.get("origin")):
            raise HTTPException(403, "this page may not report facts")
        try:
            service.known.fold(FACTS.validate_json(await request.body()))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return Response(status_code=204)


def _answers(api: FastAPI, service: Service) -> None:
    @api.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/api/v1/streams")
    async def streams() -> list[dict[str, Any]]:
        return [
            stream.model_dump(mode="json", exclude={"avro_schema", "folder"}) for stream in service.streams.values()
        ]

    @api.get("/api/v1/overview")
    async def overview() -> dict[str, Any]:
        return service.overview().model_dump(mode="json")

    @api.get("/api/v1/parts")
    async def parts() -> list[dict[str, Any]]:
        return [part.model_dump(mode="json") for part in service.known.parts()]

    @api.get("/api/v1/ledger")
    async def ledger() -> list[dict[str, Any]]:
        return [each.model_dump(mode="json") for each in service.known.ledgers()]

    @api.get("/api/v1/latency")
    async def latency() -> dict[str, Any]:
        found = service.hub.latencies.all(time.time() * 1000)
        return {name: each.model_dump() for name, each in found.items()}


def _push(api: FastAPI, service: Service) -> None:
    @api.websocket("/api/v1/push")
    async def push(socket: WebSocket) -> None:
        if not service.may_open(socket.headers.get("origin")):
            await socket.close(1008, "this page may not open the hub")
            return
        await socket.accept()
        client = service.hub.join()
        sending = asyncio.create_task(_send(socket, client))
        try:
            while True:
                service.hub.said(client, await socket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            service.hub.leave(client)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending


async def _send(socket: WebSocket, client: Client) -> None:
    """Send what waits; a socket that has gone ends the receiving side, which cleans up."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            for text in await client.take():
                await socket.send_text(text)
