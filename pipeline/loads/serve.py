"""`/api/v1/loads/...`: runs of load tests, what they found, how one goes right now. Served by the worker of operations.

A run is begun, paused and cancelled as every operation; here it is only read.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import ValidationError

from controlplane.contract.durations import parse_duration
from controlplane.contract.loads import PATH, LoadAsked, LoadCompared, LoadReport, LoadSecond
from pipeline.loads.findings.compare import compared
from pipeline.loads.findings.html_compared import comparison
from pipeline.loads.findings.numbers import seconds_of, thinned
from pipeline.loads.folder import BRIEF, LoadFolder, loads_root
from pipeline.loads.plan import curve, unit_of
from pipeline.reason import first_line

if TYPE_CHECKING:
    from datetime import timedelta

    from controlplane.contract.settings import Settings

_ID = re.compile(r"[0-9a-f]{8,40}")
_LISTED = 50
_LIVE_ROWS = 600
_NO_SCRIPT = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
Id = Annotated[str, Query(description="Of a run: its operation's.")]


def router(settings: Settings) -> APIRouter:
    """Every path about runs."""
    paths = APIRouter(prefix=PATH)

    @paths.get("")
    async def listed() -> list[dict[str, Any]]:
        """Runs that have a report, the newest first, without their seconds."""
        return await asyncio.to_thread(_listed, settings)

    @paths.get("/curve")
    async def shape(  # noqa: PLR0913 (each is a parameter of the question)
        stream: str, target: str, shape: str, rate: float, lasts: str, users: int
    ) -> dict[str, Any]:
        """What a load would look like over time; 422 says what is wrong with it."""
        try:
            asked = LoadAsked.model_validate(
                {
                    "stream": stream,
                    "target": target,
                    "shape": shape,
                    "rate": rate,
                    "lasts": _duration(lasts),
                    "users": users,
                }
            )
        except ValidationError as error:
            raise HTTPException(422, _mistakes(error)) from error
        return {"curve": curve(asked), "unit": unit_of(asked), "events": asked.events}

    @paths.get("/compare")
    async def compare(before: Id, after: Id) -> LoadCompared:
        """Two runs beside one another."""
        return await asyncio.to_thread(_compared, settings, before, after)

    @paths.get("/compare/report")
    async def compare_page(before: Id, after: Id) -> Response:
        """The same as one HTML file."""
        return _page(comparison(await asyncio.to_thread(_compared, settings, before, after)))

    @paths.get("/{number}")
    async def one(number: str) -> LoadReport:
        """What a run found."""
        return await asyncio.to_thread(_report, settings, number)

    @paths.get("/{number}/seconds")
    async def seconds(number: str) -> list[LoadSecond]:
        """A run second by second, also while it goes on."""
        return await asyncio.to_thread(_seconds, settings, number)

    @paths.get("/{number}/report")
    async def page(number: str) -> Response:
        """The report as one HTML file."""
        file = _folder(settings, number).page
        if not file.exists():
            raise HTTPException(404, f"run {number} has no report: it has not ended")
        return _page(await asyncio.to_thread(file.read_bytes))

    return paths


def _page(content: str | bytes) -> Response:
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": _NO_SCRIPT})


def _duration(text: str) -> timedelta | str:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise HTTPException(422, f"lasts: {error}") from error


def _mistakes(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors())


def _listed(settings: Settings) -> list[dict[str, Any]]:
    files = sorted(loads_root(settings).glob(f"*/{BRIEF}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [json.loads(file.read_bytes()) for file in files[:_LISTED]]


def _folder(settings: Settings, number: str) -> LoadFolder:
    if not _ID.fullmatch(number):
        raise HTTPException(404, f"{number!r} is no run's id; `tidegate load ls` lists them")
    return LoadFolder(settings, number)


def _report(settings: Settings, number: str) -> LoadReport:
    try:
        found = _folder(settings, number).report()
    except ValidationError as error:
        raise HTTPException(404, f"the report of run {number} is of another version: {first_line(error)}") from error
    if found is None:
        raise HTTPException(404, f"run {number} has no report: there is no such run, or it has not ended")
    return found


def _compared(settings: Settings, before: str, after: str) -> LoadCompared:
    return compared(_report(settings, before), _report(settings, after))


def _seconds(settings: Settings, number: str) -> list[LoadSecond]:
    folder = _folder(settings, number)
    if not folder.has_begun:
        raise HTTPException(404, f"run {number} has not begun, or there is none")
    return thinned(seconds_of(folder.run().asked, folder.offered(), folder.observed()), _LIVE_ROWS)
