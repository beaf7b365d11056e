"""Who asks? By the parts' token, by the folder's own, by a user's token, or by a session's cookie; in this order.

Who shows a token that does not hold is nobody, even if a cookie is there too: what was meant is what counts.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from controlplane.contract.access import (
    TOKEN_BEGINS_WITH,
    USER_HEADER,
    Grant,
    Principal,
    Role,
)
from controlplane.contract.push import BEARER
from controlplane.service.access.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from starlette.requests import HTTPConnection

    from controlplane.service.access.sessions import Session, Sessions
    from controlplane.service.access.tokens import Tokens
    from controlplane.service.access.users import User, Users

SERVICE = Principal(name="service", is_service=True, by="service")
LOCAL = "local:"
_NAME = re.compile(r"[^A-Za-z0-9._@-]")


@dataclass(frozen=True)
class Known:
    """Who asks, and the session by which they are known, if it is one."""

    principal: Principal
    session: Session | None = None


class Authenticator(Protocol):
    """Says who asks."""

    async def known(self, connection: HTTPConnection) -> Known | None:
        """None: nobody that is known."""

    async def until_unknown(self, connection: HTTPConnection) -> None:
        """Return when who opened the connection is known no more."""


@dataclass(frozen=True)
class AnyoneIs:
    """Takes everybody for one principal: for tests of what comes behind the guard."""

    principal: Principal = SERVICE
    service_token: str = ""

    async def known(self, connection: HTTPConnection) -> Known | None:  # noqa: ARG002 (the port's)
        """See `Authenticator`."""
        return Known(self.principal)

    async def until_unknown(self, connection: HTTPConnection) -> None:  # noqa: ARG002 (the port's)
        """See `Authenticator`: it never is."""
        await asyncio.Event().wait()


def owner(name: str) -> Principal:
    """Who owns the data folder: may do everything."""
    return Principal(name=f"{LOCAL}{_NAME.sub('', name)[:60] or 'owner'}", grants=(Grant(role=Role.ADMIN),), by="local")


def named(users: Users, name: str) -> Principal | None:
    """Who asks later in the name of whoever has said so, such as a schedule; None: they may not any more."""
    if name.startswith(LOCAL):
        return owner(name.removeprefix(LOCAL))
    user = users.find(name)
    return None if user is None or user.is_disabled else user.principal("schedule")


def _token_of(connection: HTTPConnection) -> str | None:
    """The token that is shown: in the header, or as a WebSocket's subprotocol; empty if it is not one, None if there is none."""
    said = connection.headers.get("authorization")
    if said is not None:
        scheme, _, shown = said.partition(" ")
        return shown.strip() if scheme.lower() == "bearer" else ""
    offered: list[str] = connection.scope.get("subprotocols", [])
    return next((each.removeprefix(BEARER) for each in offered if each.startswith(BEARER)), None)


def _may_come_in(name: str, users: Mapping[str, User]) -> bool:
    return name.startswith(LOCAL) or (name in users and not users[name].is_disabled)


class Credentials:
    """What somebody may show.

    Args:
        users: whose rights are looked up at each request, so that a change counts at once.
        sessions: by cookie.
        tokens: of users.
        service_token: of the parts; empty: none.
        local_token: of the folder; empty: none.
        cookie: name of the session's.
        now: the clock.
    """

    def __init__(  # noqa: PLR0913 (what may be shown)
        self,
        users: Users,
        sessions: Sessions,
        tokens: Tokens,
        *,
        service_token: str,
        local_token: str,
        cookie: str,
        now: Callable[[], datetime],
    ) -> None:
        self._users, self._sessions, self._tokens = users, sessions, tokens
        self._service, self._local, self._now = service_token.encode(), local_token.encode(), now
        self._cookie = cookie
        self._watched = Watched(self._still_known)

    async def known(self, connection: HTTPConnection) -> Known | None:
        """See `Authenticator`."""
        shown = _token_of(connection)
        if shown is not None:
            return await self._by_token(shown, connection) if shown else None
        cookie = connection.cookies.get(self._cookie)
        return None if not cookie else await asyncio.to_thread(self._by_cookie, cookie)

    async def until_unknown(self, connection: HTTPConnection) -> None:
        """See `Authenticator`: looked at every few seconds, and at once when a session was ended here."""
        token = _token_of(connection)
        secret = connection.cookies.get(self._cookie, "") if token is None else token
        if token is not None and not token.startswith(TOKEN_BEGINS_WITH):
            # A token of a file holds for as long as this process does.
            await asyncio.Event().wait()
        await self._watched.until_unknown(secret)

    def has_ended(self) -> None:
        """Tell those who wait that somebody may be known no more. Called in the loop's own thread."""
        self._watched.look()

    def _still_known(self, secrets: Collection[str]) -> Collection[str]:
        """Those of many cookies and users' tokens by which somebody is known."""
        now = self._now()
        by = {secret: token.user for secret, token in self._tokens.among(secrets, now).items()}
        by |= {each.cookie: each.user for each in self._sessions.among(secrets, now)}
        users = self._users.among(set(by.values()))
        return [secret for secret, name in by.items() if _may_come_in(name, users)]

    async def _by_token(self, shown: str, connection: HTTPConnection) -> Known | None:
        given = shown.encode()
        if self._service and hmac.compare_digest(given, self._service):
            return Known(SERVICE)
        if self._local and hmac.compare_digest(given, self._local):
            return Known(owner(connection.headers.get(USER_HEADER, "")))
        if not shown.startswith(TOKEN_BEGINS_WITH):
            return None
        return await asyncio.to_thread(self._by_users_token, shown)

    def _by_users_token(self, shown: str) -> Known | None:
        token = self._tokens.find(shown, self._now())
        user = None if token is None else self._users.find(token.user)
        return None if user is None or user.is_disabled else Known(user.principal("token"))

    def _by_cookie(self, cookie: str) -> Known | None:
        session = self._sessions.find(cookie, self._now())
        if session is None:
            return None
        if session.user.startswith(LOCAL):
            return Known(owner(session.user.removeprefix(LOCAL)).model_copy(update={"by": "session"}), session)
        user = self._users.find(session.user)
        return None if user is None or user.is_disabled else Known(user.principal("session"), session)
