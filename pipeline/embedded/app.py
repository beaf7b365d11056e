"""How does a request over HTTP become a query?

A bare ASGI application: it reads a request, runs it on a thread, and answers whole when the result is small, in chunks
when it is large. Inserts have threads of their own, so that slow reads never keep them waiting.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from controlplane.contract.metrics.meter import METER
from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import CLICKHOUSE
from pipeline.embedded.asked import Request, read_request
from pipeline.embedded.body import Bodies, Gone
from pipeline.embedded.errors import ACCESS_DENIED, UNKNOWN_EXCEPTION, ServerError, refusal
from pipeline.embedded.reply import Reply
from pipeline.embedded.run import Run
from pipeline.embedded.users import BI, read_only, user_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from pipeline.embedded.engine import Engine

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)

_VERBS = ("SELECT", "INSERT", "CREATE", "ALTER", "DROP", "WITH", "SHOW", "DESCRIBE", "OPTIMIZE", "SYSTEM")
"""Those that have a series of their own."""
_READERS, _WRITERS = 12, 8
_READ_INLINE = 64 * 1024
"""Bytes; reading a smaller body on a thread costs more than it saves."""


class Front:
    """ClickHouse's HTTP interface on an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bodies = Bodies()
        self._readers = ThreadPoolExecutor(_READERS, "reader")
        self._writers = ThreadPoolExecutor(_WRITERS, "writer")
        self._stoppers = ThreadPoolExecutor(2, "stopper")
        self._runs: set[Run] = set()
        self._exposition = exposition_of(CLICKHOUSE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = Reply(send, self._engine.timezone)
        try:
            await self._answer(scope, receive, reply)
        except ServerError as error:
            await reply.fail(error)
        except Gone:
            return
        except Exception as error:  # noqa: BLE001 (the client must hear of it, whatever it was)
            _log.exception("a request failed in a way that nobody foresaw")
            await reply.fail(refusal(UNKNOWN_EXCEPTION, f"{type(error).__name__}: {error}"))

    def close(self) -> None:
        """Stop what is running and wait until it has."""
        for run in tuple(self._runs):
            run.stop()
        for pool in (self._readers, self._writers, self._stoppers):
            pool.shutdown()

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        _refuse_browsers(headers)
        body = await self._bodies.receive(receive, headers)
        try:
            if scope["path"] in ("/ping", "/replicas_status") or _asks_nothing(scope):
                await reply.text("Ok.\n")
            elif scope["path"] == "/metrics":
                await reply.text(self._exposition().decode(), content_type=CONTENT_TYPE)
            elif scope["path"] != "/":
                await reply.text(f"There is no handle {scope['path']}; statements go to /, and /ping says Ok.\n", 404)
            else:
                await self._run(await self._read(scope, headers, body), receive, reply)
        finally:
            self._bodies.release(len(body))

    async def _read(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> Request:
        asked = (scope["method"], scope["query_string"].decode("latin-1"), headers, body)
        user = user_of(headers, asked[1])
        if len(body) <= _READ_INLINE:
            request = read_request(*asked)
        else:
            request = await asyncio.get_running_loop().run_in_executor(self._writers, read_request, *asked)
        return read_only(request, self._engine.table_functions) if user == BI else request

    async def _run(self, request: Request, receive: Receive, reply: Reply) -> None:
        reply.describe(request)
        run = Run(self._engine, request)
        self._runs.add(run)
        gone = asyncio.create_task(_disconnected(receive))
        began = time.monotonic()
        try:
            first = await self._take(run, gone)
            if run.is_complete:
                await reply.whole(first, run.figures, request.packing)
            else:
                await self._stream(run, first, gone, reply)
        finally:
            gone.cancel()
            _measure(run, time.monotonic() - began)
            await self._end(run)

    async def _stream(self, run: Run, first: bytes, gone: asyncio.Task[None], reply: Reply) -> None:
        await reply.begin(run.request.packing)
        await reply.chunk(first)
        while not run.is_complete and not gone.done():
            await reply.chunk(await self._take(run, gone))
        await reply.end()

    async def _take(self, run: Run, gone: asyncio.Task[None]) -> bytes:
        pool = self._writers if run.request.statement.verb == "INSERT" else self._readers
        taking = asyncio.get_running_loop().run_in_executor(pool, run.take)
        waited: set[asyncio.Future[Any]] = {taking, gone}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done() and run.request.statement.only_reads:
            await asyncio.get_running_loop().run_in_executor(self._stoppers, run.stop)
        return await taking

    async def _end(self, run: Run) -> None:
        """Also reached when the server stops and this task is cancelled, with the query still running."""
        self._runs.discard(run)
        if not run.is_complete:
            await asyncio.get_running_loop().run_in_executor(self._stoppers, _give_up, run)


def _measure(run: Run, took_s: float) -> None:
    """A result that was not taken to its end has failed, or nobody waited for it."""
    verb = run.request.statement.verb
    verb = verb.lower() if verb in _VERBS else "other"
    METER.add("tidegate_clickhouse_requests_total", verb, "done" if run.is_complete else "failed")
    METER.observe("tidegate_clickhouse_request_seconds", verb, value=took_s)
    for direction in ("read", "written"):
        METER.add("tidegate_clickhouse_rows_total", direction, by=run.figures[f"{direction}_rows"])


def _give_up(run: Run) -> None:
    run.stop()
    run.close()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _asks_nothing(scope: Scope) -> bool:
    return scope["path"] == "/" and scope["method"] in ("GET", "HEAD") and not scope["query_string"]


def _refuse_browsers(headers: Mapping[str, str]) -> None:
    """Any page that a browser shows may send a request to loopback, and this server knows no passwords."""
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise refusal(ACCESS_DENIED, "requests made by pages in a browser are not answered")
