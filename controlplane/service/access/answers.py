"""How does a page sign in, and who is signed in? `/api/v1/session`: a refusal takes as long as a success, and says no more."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import Field

from controlplane.contract.access import Action, open_to_all, signed_in
from controlplane.contract.frozen import Frozen
from controlplane.service.access.access import Access, TooOftenError, WrongError
from controlplane.service.access.hashes import csrf_of
from controlplane.service.access.links import LinkError
from controlplane.service.access.read import read
from controlplane.service.access.users import NAME

if TYPE_CHECKING:
    from controlplane.contract.access import Principal
    from controlplane.service.access.sessions import Session
    from controlplane.service.audit.port import Audit

PATH = "/api/v1/session"
_LONGEST = 200


class _SignIn(Frozen):
    name: str = Field(max_length=_LONGEST)
    password: str = Field(max_length=_LONGEST)


class _Look(Frozen):
    once: str = Field(max_length=_LONGEST)


class _Link(_Look):
    name: str | None = Field(None, pattern=NAME)
    password: str = Field(min_length=10, max_length=_LONGEST)


def add_session(api: FastAPI, access: Access, audit: Audit) -> None:
    """Add what is under `/api/v1/session`."""
    _state(api, access)
    _sign_in(api, access, audit)
    _links(api, access, audit)
    _end(api, access, audit)


def _state(api: FastAPI, access: Access) -> None:
    @api.get(PATH)
    @signed_in
    async def session(request: Request) -> dict[str, Any]:
        """Who asks, what they may, and what a page has to show beside its cookie."""
        return _shown(request.state.principal, request.state.session)

    @api.get(f"{PATH}/ways")
    @open_to_all
    async def ways() -> dict[str, Any]:
        """How one can sign in here."""
        users = await asyncio.to_thread(access.users.all)
        issuer = None if access.openid is None else urlsplit(access.openid.provider.issuer).hostname
        return {"password": True, "has_users": bool(users), "openid": issuer}

    @api.post(f"{PATH}/local", status_code=201)
    @signed_in
    async def local(request: Request, response: Response) -> dict[str, Any]:
        """A session for the owner of the data folder, who shows the folder's own token: for tools that open a browser."""
        principal: Principal = request.state.principal
        if principal.by != "local":
            raise HTTPException(403, "only the owner of the data folder opens a session by a token")
        made = await asyncio.to_thread(access.sessions.begin, principal.name, address_of(request), access.now())
        set_cookie(response, access, made)
        return _shown(principal, made)


def _sign_in(api: FastAPI, access: Access, audit: Audit) -> None:
    @api.post(PATH, status_code=201)
    @open_to_all
    async def sign_in(request: Request, response: Response) -> dict[str, Any]:
        """Sign in by name and password: 401 when they do not fit, 429 after too many tries."""
        asked, address = read(_SignIn, await request.body()), address_of(request)
        try:
            user, made = await access.sign_in(asked.name, asked.password, address)
        except TooOftenError as error:
            raise refused(error) from error
        except WrongError as error:
            await record(audit, asked.name[:80], "none", address, error)
            raise refused(error) from error
        await record(audit, user.name, "password", address)
        set_cookie(response, access, made)
        return _shown(user.principal("session"), made)


def _links(api: FastAPI, access: Access, audit: Audit) -> None:
    @api.post(f"{PATH}/link/look")
    @open_to_all
    async def look(request: Request) -> dict[str, Any]:
        """Whose a one-time link is; it is not used up by that."""
        asked = read(_Look, await request.body())
        try:
            access.take(address_of(request))
            link = await asyncio.to_thread(access.links.look, asked.once, access.now())
        except (LinkError, TooOftenError) as error:
            raise refused(error) from error
        return {"user": link.user}

    @api.post(f"{PATH}/link", status_code=201)
    @open_to_all
    async def use(request: Request, response: Response) -> dict[str, Any]:
        """Use a one-time link up: it sets the password, and signs in. 403 when it was used before."""
        asked, address = read(_Link, await request.body()), address_of(request)
        try:
            access.take(address)
            user = await asyncio.to_thread(access.links.use, asked.once, asked.name, asked.password, access.now())
        except (LinkError, TooOftenError) as error:
            raise refused(error) from error
        await asyncio.to_thread(access.sessions.end_of, user.name)
        access.credentials.has_ended()
        made = await asyncio.to_thread(access.sessions.begin, user.name, address, access.now())
        await record(audit, user.name, "link", address)
        set_cookie(response, access, made)
        return _shown(user.principal("session"), made)


def _end(api: FastAPI, access: Access, audit: Audit) -> None:
    @api.delete(PATH, status_code=204)
    @signed_in
    async def end(request: Request) -> Response:
        """Sign out: the session ends, and with it every WebSocket that was opened by it."""
        session: Session | None = request.state.session
        if session is not None:
            await asyncio.to_thread(access.sessions.end, session.cookie)
            access.credentials.has_ended()
            await record(audit, session.user, "session", address_of(request), action="session.end")
        response = Response(status_code=204)
        response.delete_cookie(access.terms.cookie, path="/")
        return response


async def record(  # noqa: PLR0913 (what an entry says)
    audit: Audit, actor: str, by: str, address: str, error: Exception | None = None, *, action: str = "session.begin"
) -> None:
    """Put a sign-in on the record, or why it was refused."""
    outcome, reason = ("ok", None) if error is None else ("refused", str(error))
    await asyncio.to_thread(audit.record, actor, by, action, actor, outcome=outcome, reason=reason, address=address)


def set_cookie(response: Response, access: Access, session: Session) -> None:
    """Give the browser its session: not for scripts, not for other sites."""
    response.set_cookie(
        access.terms.cookie, session.cookie, expires=session.ends_at, path="/", httponly=True, samesite="strict",
        secure=access.terms.is_secure,
    )  # fmt: skip


def address_of(request: Request) -> str:
    """From where somebody asks."""
    return request.client.host if request.client else "unknown"


def refused(error: Exception) -> HTTPException:
    """What a page is told."""
    if isinstance(error, TooOftenError):
        return HTTPException(429, str(error), headers={"Retry-After": str(math.ceil(error.wait.total_seconds()))})
    return HTTPException(401 if isinstance(error, WrongError) else 403, str(error))


def _shown(principal: Principal, session: Session | None) -> dict[str, Any]:
    return {
        "name": principal.name,
        "by": principal.by,
        "grants": [each.model_dump(mode="json") for each in principal.grants],
        "may": {str(action): list(principal.streams(action)) for action in Action},
        "csrf": None if session is None else csrf_of(session.cookie),
        "ends_at": None if session is None else session.ends_at.isoformat(),
    }
