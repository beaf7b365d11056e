"""`/api/v1/sql`: ask, what can be asked, and what was asked before.

Served by the worker of operations, forwarded by the control plane, which also puts each query on the record. Few run at once, and
one that nobody waits for is stopped.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import ValidationError

from controlplane.contract.folders import load_streams
from controlplane.contract.names import serving_relations
from controlplane.contract.queries import PATH, Engine, QueryAsked, QueryRan, QueryTables
from controlplane.contract.rooms import asked_by, may_touch
from controlplane.contract.waiting import CLIENT_CLOSED, GoneAwayError, while_waited_for
from pipeline.sql import clickhouse, lake
from pipeline.sql.clickhouse import ClickHouse
from pipeline.sql.history import History
from pipeline.sql.judge import judged
from pipeline.sql.lake import Lake
from pipeline.sql.refused import AwayError, NotYoursError, QueryRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from fastapi import FastAPI

    from controlplane.contract.queries import QueryAnswer
    from controlplane.contract.settings import Settings
    from pipeline.sql.judge import Judged

_AT_ONCE = {Engine.CLICKHOUSE: 4, Engine.LAKE: 2}
_WAITS_S = 4.0
_TABLES_WITHIN_S = 8.0


def router(settings: Settings) -> APIRouter:
    """Every path of SQL."""
    desk = Desk(settings)

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.close()

    paths = APIRouter(lifespan=closing)

    @paths.post(PATH)
    async def ask(request: Request) -> dict[str, Any]:
        """Run a query; 422 says why it is not run."""
        try:
            asked = QueryAsked.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        try:
            answer = await while_waited_for(request.receive, desk.ask(asked, request))
        except QueryRefusedError as error:
            raise HTTPException(error.status, str(error)) from error
        except GoneAwayError as error:
            raise HTTPException(CLIENT_CLOSED, "nobody waits for the answer any more") from error
        return answer.model_dump(mode="json")

    @paths.get(f"{PATH}/tables")
    async def tables(request: Request) -> dict[str, Any]:
        """What each engine has, and the limits."""
        return (await desk.tables(request)).model_dump(mode="json")

    @paths.get(f"{PATH}/history")
    async def history(request: Request, limit: int = 100) -> list[dict[str, Any]]:
        """What who asks has asked before, the newest first."""
        found = await asyncio.to_thread(desk.history.of, asked_by(request.headers), max(1, limit))
        return [each.model_dump(mode="json") for each in found]

    return paths


class Desk:
    """Where queries are taken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lake = Lake(settings)
        password = settings.sql_password.get_secret_value()
        self._clickhouse = ClickHouse(settings.clickhouse, settings.sql_user, password)
        self._free = {engine: asyncio.Semaphore(count) for engine, count in _AT_ONCE.items()}
        self.history = History(settings.data / "sql" / "history.sqlite")

    async def close(self) -> None:
        """Let go of connections."""
        await self._clickhouse.close()

    async def ask(self, asked: QueryAsked, request: Request) -> QueryAnswer:
        """Run a query, and keep that it was asked."""
        began = time.monotonic()
        ran = QueryRan(at=datetime.now(UTC), engine=asked.engine, sql=asked.sql, as_of=asked.as_of)
        reason: str | None = "nobody waited for the answer"
        rows: int | None = None
        try:
            answer = await self._run(asked, request)
            reason, rows = None, len(answer.rows)
        except QueryRefusedError as error:
            reason = str(error)
            raise
        finally:
            ended = {"reason": reason, "rows": rows, "elapsed_s": time.monotonic() - began}
            who = asked_by(request.headers)
            await asyncio.shield(asyncio.to_thread(self.history.add, who, ran.model_copy(update=ended)))
        return answer

    async def _run(self, asked: QueryAsked, request: Request) -> QueryAnswer:
        statement = await asyncio.to_thread(judged, asked.sql, asked.engine)
        free = self._free[asked.engine]
        try:
            await asyncio.wait_for(free.acquire(), _WAITS_S)
        except TimeoutError as error:
            raise AwayError(
                f"{_AT_ONCE[asked.engine]} queries of {asked.engine} run already; ask again soon"
            ) from error
        try:
            if asked.engine is Engine.LAKE:
                return await self._lake.run(asked, statement, lambda stream: may_touch(request.headers, stream))
            if asked.as_of:
                raise QueryRefusedError("as_of: only the lake has versions; ask engine `lake`")
            await asyncio.to_thread(self._refuse_others, statement, request)
            return await self._clickhouse.run(asked, statement)
        finally:
            free.release()

    def _refuse_others(self, statement: Judged, request: Request) -> None:
        """Who has no right to every stream reads only tables of their own streams, and none of ClickHouse's."""
        if may_touch(request.headers, ""):
            return
        if statement.verb == "SHOW":
            raise NotYoursError("SHOW is for who may read every stream; the list of tables has what is yours")
        own = self._relations(request)
        for table in statement.tables:
            if table.database not in ("", "default") or table.name not in own:
                raise NotYoursError(f"{table.name}: no table of a stream that you may read")

    def _relations(self, request: Request) -> set[str]:
        found = set[str]()
        for stream in load_streams(self._settings.stream_roots):
            if may_touch(request.headers, stream.name):
                for rollup in (None, *stream.rollups):
                    found.update(serving_relations(stream.name, rollup))
        return found

    async def tables(self, request: Request) -> QueryTables:
        """What can be asked; an engine that does not say within some seconds has a reason instead."""
        own = None if may_touch(request.headers, "") else await asyncio.to_thread(self._relations, request)
        sources: dict[Engine, Awaitable[Any]] = {
            Engine.CLICKHOUSE: self._clickhouse.tables(),
            Engine.LAKE: asyncio.to_thread(self._lake.tables, lambda stream: may_touch(request.headers, stream)),
        }
        engines, reasons = {}, {}
        for engine, source in sources.items():
            try:
                found = await asyncio.wait_for(source, _TABLES_WITHIN_S)
                engines[engine] = tuple(
                    each for each in found if own is None or engine is Engine.LAKE or each.name in own
                )
            except (QueryRefusedError, TimeoutError) as error:
                engines[engine], reasons[engine] = (), str(error) or f"no answer within {_TABLES_WITHIN_S:g} s"
        limits = {Engine.CLICKHOUSE: clickhouse.LIMITS, Engine.LAKE: lake.LIMITS}
        return QueryTables(engines=engines, reasons=reasons, limits=limits)
