"""What is asked about trials, beside their operations? A folder is sent, a result is read, what was kept is discarded."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import ValidationError
from starlette.responses import JSONResponse

from controlplane.contract.folders import load_streams
from controlplane.contract.rooms import asked_by, may_touch
from controlplane.contract.trials import FOLDERS_PATH, MOST_BYTES, FolderSent
from pipeline.trial.asked import RESULT, scratch_of
from pipeline.trial.sent import FolderRefusedError, take

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings
    from pipeline.trial.asked import SuiteCheck

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENCODED = 2
"""Base64 and JSON make a folder a third longer, and more."""


def router(settings: Settings, check: SuiteCheck) -> APIRouter:
    """`/api/v1/trials/...`."""
    api = APIRouter()

    @api.post(FOLDERS_PATH, status_code=201)
    async def send(request: Request) -> Response:
        """Keep a changed folder; 422 names every mistake by file and field."""
        sent = _sent(await request.body())
        _require_right(request, sent.stream)

        def taken() -> Any:  # noqa: ANN401 (JSON)
            streams = {each.name: each for each in load_streams(settings.stream_roots)}
            return take(sent, streams, settings.trials_root, check).model_dump(mode="json")

        try:
            return JSONResponse(await asyncio.to_thread(taken), 201)
        except FolderRefusedError as error:
            mistakes = [each.model_dump() for each in error.mistakes]
            return JSONResponse({"detail": str(error), "mistakes": mistakes}, 422)

    @api.get("/api/v1/trials/{trial}")
    async def result(trial: str) -> Any:  # noqa: ANN401 (JSON)
        """What a trial found, as it was kept."""
        file = _folder(settings, trial) / RESULT
        try:
            return json.loads(await asyncio.to_thread(file.read_bytes))
        except FileNotFoundError as error:
            raise HTTPException(404, f"trial {trial} keeps no result: it has not ended, or it was discarded") from error

    @api.delete("/api/v1/trials/{trial}", status_code=204)
    async def discard(trial: str, request: Request) -> Response:
        """Remove what a trial keeps; one that still runs is cancelled instead."""
        folder = _folder(settings, trial)
        if not folder.is_dir():
            raise HTTPException(
                404, f"trial {trial} keeps nothing: there is none of that id, or it was discarded before"
            )
        if not (folder / RESULT).is_file():
            raise HTTPException(409, f"trial {trial} has not ended; `tidegate operations cancel {trial}` ends it")
        kept = await asyncio.to_thread((folder / RESULT).read_bytes)
        _require_right(request, str(json.loads(kept).get("stream")))
        await asyncio.to_thread(shutil.rmtree, folder)
        return Response(status_code=204)

    return api


def _sent(body: bytes) -> FolderSent:
    if len(body) > _ENCODED * MOST_BYTES:
        raise HTTPException(413, f"a folder may have {MOST_BYTES:,} bytes at most")
    try:
        return FolderSent.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _require_right(request: Request, stream: str) -> None:
    if not may_touch(request.headers, stream):
        raise HTTPException(403, f"{asked_by(request.headers)} may not do that to {stream}")


def _folder(settings: Settings, trial: str) -> Any:  # noqa: ANN401 (a path)
    if not _ID.fullmatch(trial) or trial == "folders":
        raise HTTPException(404, f"{trial!r} is no trial's id")
    return scratch_of(settings, trial)
