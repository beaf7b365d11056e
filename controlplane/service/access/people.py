"""Which users and tokens are there? `/api/v1/users` for admins, `/api/v1/tokens` for everybody's own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import Field

from controlplane.contract.access import Action, Grant, needs, signed_in
from controlplane.contract.durations import Duration
from controlplane.contract.frozen import Frozen
from controlplane.service.access.answers import address_of
from controlplane.service.access.read import read
from controlplane.service.access.users import NAME, NoUserError, User

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pydantic import JsonValue

    from controlplane.contract.access import Principal
    from controlplane.service.access.access import Access
    from controlplane.service.audit.port import Audit

    Note = Callable[..., Awaitable[None]]

Done = TypeVar("Done")
USERS, TOKENS = "/api/v1/users", "/api/v1/tokens"


class _Granted(Frozen):
    grants: tuple[Grant, ...] = Field(max_length=100)


class _Added(_Granted):
    name: str = Field(pattern=NAME)


class _Token(Frozen):
    title: str = Field("", max_length=100)
    lasts: Duration | None = Field(None, alias="for")
    """None: until it is taken back."""


class _Key(_Token):
    name: str = Field(pattern=NAME)
    streams: tuple[str, ...] = Field(("*",), min_length=1, max_length=100)


def add_people(api: FastAPI, access: Access, audit: Audit) -> None:
    """Add what is under `/api/v1/users` and `/api/v1/tokens`."""
    note = partial(_note, audit)
    _users(api, access, note)
    _user(api, access, note)
    _keys(api, access, note)
    _tokens(api, access, note)


def _users(api: FastAPI, access: Access, note: Note) -> None:
    @api.get(USERS)
    @needs(Action.ADMINISTER)
    async def users() -> list[dict[str, Any]]:
        """Every user, by name."""
        return [each.model_dump(mode="json") for each in await asyncio.to_thread(access.users.all)]

    @api.post(USERS, status_code=201)
    @needs(Action.ADMINISTER)
    async def add(request: Request) -> dict[str, Any]:
        """Add a user; `once` is the end of the link by which they sign in first."""
        asked, by = read(_Added, await request.body()), request.state.principal.name
        await _tried(lambda: access.users.add(asked.name, asked.grants, by, access.now()), 409)
        await note(request, "user.add", asked.name, grants=_written(asked.grants))
        return {"name": asked.name, "once": await asyncio.to_thread(access.links.of, asked.name, access.now())}

    @api.post(f"{USERS}/first-link", status_code=201)
    @needs(Action.ADMINISTER)
    async def first() -> dict[str, Any]:
        """The link that makes the first admin; 409 when there is a user already."""
        once = await asyncio.to_thread(access.links.first, access.now())
        if once is None:
            raise HTTPException(409, "there are users already; `tidegate users link NAME` makes a link for one")
        return {"once": once}


def _user(api: FastAPI, access: Access, note: Note) -> None:
    @api.put(f"{USERS}/{{name}}/grants")
    @needs(Action.ADMINISTER)
    async def grant(name: str, request: Request) -> dict[str, Any]:
        """Give a user these rights instead of those that they have; it counts from the next request on."""
        grants = read(_Granted, await request.body()).grants
        changed = await _tried(lambda: access.users.grant(name, grants))
        await note(request, "user.grant", name, grants=_written(grants))
        return _shown(changed)

    @api.post(f"{USERS}/{{name}}/link", status_code=201)
    @needs(Action.ADMINISTER)
    async def link(name: str, request: Request) -> dict[str, Any]:
        """A one-time link, by which a user sets a new password."""
        once = await _tried(lambda: access.links.of(name, access.now()))
        await note(request, "user.link", name)
        return {"name": name, "once": once}

    @api.get(f"{USERS}/{{name}}/tokens")
    @needs(Action.ADMINISTER)
    async def tokens(name: str) -> list[dict[str, Any]]:
        """A user's tokens, without their secrets."""
        return [each.model_dump(mode="json") for each in await asyncio.to_thread(access.tokens.of, name)]

    @api.post(f"{USERS}/{{name}}/disable")
    @needs(Action.ADMINISTER)
    async def disable(name: str, request: Request) -> dict[str, Any]:
        """Let a user in no more: sessions and tokens end at once."""
        changed = await _tried(lambda: access.users.disable(name, is_disabled=True))
        await asyncio.to_thread(access.sessions.end_of, name)
        access.credentials.has_ended()
        await note(request, "user.disable", name)
        return _shown(changed)

    @api.post(f"{USERS}/{{name}}/enable")
    @needs(Action.ADMINISTER)
    async def enable(name: str, request: Request) -> dict[str, Any]:
        """Let a user in again."""
        changed = await _tried(lambda: access.users.disable(name, is_disabled=False))
        await note(request, "user.enable", name)
        return _shown(changed)


def _keys(api: FastAPI, access: Access, note: Note) -> None:
    @api.post(f"{USERS}/keys", status_code=201)
    @needs(Action.ADMINISTER)
    async def key(request: Request) -> dict[str, Any]:
        """Make a key by which a program sends events; its secret is shown now and never again."""
        asked, by, now = read(_Key, await request.body()), request.state.principal.name, access.now()
        await _tried(lambda: access.users.producer(asked.name, asked.streams, by, now), 409)
        expires_at = None if asked.lasts is None else now + asked.lasts
        made, secret = await asyncio.to_thread(access.tokens.make, asked.name, asked.title, expires_at, now)
        shown = made.model_dump(mode="json")
        await note(
            request, "key.make", made.id, user=asked.name, streams=list(asked.streams), expires_at=shown["expires_at"]
        )
        return {**shown, "token": secret}


def _tokens(api: FastAPI, access: Access, note: Note) -> None:
    @api.get(TOKENS)
    @signed_in
    async def tokens(request: Request) -> list[dict[str, Any]]:
        """One's own tokens, without their secrets."""
        found = await asyncio.to_thread(access.tokens.of, request.state.principal.name)
        return [each.model_dump(mode="json") for each in found]

    @api.post(TOKENS, status_code=201)
    @signed_in
    async def make(request: Request) -> dict[str, Any]:
        """Make a token of one's own; its secret is shown now and never again."""
        principal: Principal = request.state.principal
        asked, now = read(_Token, await request.body()), access.now()
        if await asyncio.to_thread(access.users.find, principal.name) is None:
            raise HTTPException(409, f"{principal.name} is no user: tokens are of users (`tidegate users add`)")
        if principal.by == "token":
            raise HTTPException(403, "a token makes no tokens: sign in by name and password")
        expires_at = None if asked.lasts is None else now + asked.lasts
        made, secret = await asyncio.to_thread(access.tokens.make, principal.name, asked.title, expires_at, now)
        await note(
            request, "token.make", made.id, title=made.title, expires_at=made.model_dump(mode="json")["expires_at"]
        )
        return {**made.model_dump(mode="json"), "token": secret}

    @api.delete(f"{TOKENS}/{{token}}", status_code=204)
    @signed_in
    async def revoke(token: str, request: Request) -> Response:
        """Take a token back: one's own, or as an admin anybody's."""
        principal: Principal = request.state.principal
        whose = None if principal.may(Action.ADMINISTER) else principal.name
        if not await asyncio.to_thread(access.tokens.revoke, token, whose, access.now()):
            raise HTTPException(404, f"there is no token {token!r} that could be taken back; GET {TOKENS} lists yours")
        access.credentials.has_ended()
        await note(request, "token.revoke", token)
        return Response(status_code=204)


async def _note(audit: Audit, request: Request, action: str, subject: str, **details: JsonValue) -> None:
    """Put it on the record: the middleware keeps nothing of what is asked here, because it may be a secret."""
    by: Principal = request.state.principal
    address = address_of(request)
    await asyncio.to_thread(audit.record, by.name, by.by, action, subject, address=address, details=details)


async def _tried(do: Callable[[], Done], otherwise: int = 404) -> Done:
    try:
        return await asyncio.to_thread(do)
    except NoUserError as error:
        raise HTTPException(otherwise, str(error)) from error


def _written(grants: Sequence[Grant]) -> JsonValue:
    return [each.model_dump(mode="json") for each in grants]


def _shown(user: User) -> dict[str, Any]:
    return user.model_dump(mode="json")
