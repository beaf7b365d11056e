"""How does the API say that something cannot be done? As RFC 9457 has it (`application/problem+json`), wherever it comes from.

`detail` is the sentence for people, and always a string; `type` is what a program tells problems apart by.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from controlplane.service.operations.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"
_TYPES = "urn:tidegate:problem:"


class Problem(BaseModel):
    """What is wrong, and what to do."""

    type: str = Field("about:blank", description="What a program tells problems apart by.")
    title: str = Field(description="Of the status, in words.")
    status: int
    detail: str = Field(description="What is wrong, where, and what to do: a sentence for people.")
    instance: str = Field(description="The path that was asked for.")


def add_problems(api: FastAPI) -> None:
    """Have every error of the API answered as a problem."""

    @api.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return problem(request, error.status, error.detail, error.kind)

    @api.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        return problem(request, error.status_code, error.detail, headers=error.headers)

    @api.exception_handler(RequestValidationError)
    async def mistaken(request: Request, error: RequestValidationError) -> Response:
        said = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(said), "mistaken")


def problem(
    request: Request, status: int, detail: str, kind: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that says so."""
    said = Problem(
        type="about:blank" if kind is None else f"{_TYPES}{kind}",
        title=_title(status),
        status=status,
        detail=str(detail),
        instance=request.url.path,
    )
    return Response(said.model_dump_json(), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    """A status that the standard has no word for is one all the same, such as 499: whoever asked is gone."""
    known = {each.value for each in HTTPStatus}
    return HTTPStatus(status).phrase if status in known else "Refused"
