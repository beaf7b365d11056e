"""`/api/v1/tables/...`: what is in the lake, for whoever asks over HTTP.

Served by the worker of operations, forwarded by the control plane. A question takes memory and cores: few are answered at once, the
others are told to ask again, and whoever waits too long is told so. What was begun can't be stopped, so it keeps its place until
it is done.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query

from pipeline.lakeview.refused import BusyError, LakeRefusedError
from pipeline.lakeview.rows import moment_of
from pipeline.lakeview.tables import LakeView

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.settings import Settings

T = TypeVar("T")
_AT_ONCE = 2
_WAITS_S, _WITHIN_S = 4.0, 22.0
_ROWS = Annotated[int, Query(ge=1, le=1000)]
_Version = Annotated[int | None, Query(ge=0)]


def router(settings: Settings) -> APIRouter:
    """Every path about tables."""
    view, turns, paths = LakeView(settings), _Turns(), APIRouter()

    @paths.get("/api/v1/tables/{stream}")
    async def tables(stream: str) -> list[dict[str, Any]]:
        """Tables of a stream with their newest version."""
        return await turns.take(partial(view.tables, stream))

    @paths.get("/api/v1/tables/{stream}/{table}/history")
    async def history(stream: str, table: str, limit: _ROWS = 200, before: _Version = None) -> dict[str, Any]:
        """Versions, the newest first."""
        return await turns.take(partial(view.history, stream, table, limit, before))

    @paths.get("/api/v1/tables/{stream}/{table}/rows")
    async def rows(  # noqa: PLR0913 (each is a parameter of the question)
        stream: str,
        table: str,
        version: _Version = None,
        at: Annotated[str | None, Query(max_length=40)] = None,
        where: Annotated[str | None, Query(max_length=2000)] = None,
        limit: _ROWS = 100,
    ) -> dict[str, Any]:
        """Rows as of a version or a time."""
        if version is not None and at is not None:
            raise HTTPException(422, "give a version or a time, not both")
        return await turns.take(lambda: view.rows(stream, table, version, moment_of(at) if at else None, where, limit))

    @paths.get("/api/v1/tables/{stream}/{table}/diff")
    async def diff(
        stream: str, table: str, before: Annotated[int, Query(ge=0)], after: Annotated[int, Query(ge=0)]
    ) -> dict[str, Any]:
        """What differs between two versions."""
        return await turns.take(partial(view.difference, stream, table, before, after))

    return paths


class _Turns:
    """So many questions at once, each on a thread."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    async def take(self, ask: Callable[[], T]) -> T:
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._asked, ask), _WAITS_S + _WITHIN_S)
        except TimeoutError as error:
            raise HTTPException(504, f"not read within {_WITHIN_S:.0f} s; ask for less") from error
        except LakeRefusedError as error:
            raise HTTPException(error.status, str(error)) from error

    def _asked(self, ask: Callable[[], T]) -> T:
        if not self._free.acquire(timeout=_WAITS_S):
            raise BusyError("others read the lake right now; ask again in a few seconds")
        try:
            return ask()
        finally:
            self._free.release()
