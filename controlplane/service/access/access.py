"""Everything about who may come in, put together; and signing in itself: at most so often, and always taking as long.

Five wrong passwords in five minutes lock a name for the rest of them, whoever asks; thirty lock an address. A one-time link of an
admin, or the folder's owner, still gets in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.access import SESSION_COOKIE
from controlplane.service.access.known import Credentials
from controlplane.service.access.links import Links
from controlplane.service.access.sessions import Sessions
from controlplane.service.access.tokens import Tokens
from controlplane.service.access.tries import Tries
from controlplane.service.access.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from controlplane.service.access.openid import OpenId
    from controlplane.service.access.sessions import Session
    from controlplane.service.access.users import User

WITHIN = timedelta(minutes=5)
BY_NAME, BY_ADDRESS = 5, 30
_AT_ONCE = 2
"""Passwords that are verified at the same time: each takes 64 MiB."""


class TooOftenError(Exception):
    """Too many tries; says how long to wait."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"too many tries: wait {max(1, round(wait.total_seconds()))} s, or ask an admin for a link")
        self.wait = wait


class WrongError(Exception):
    """A wrong name or a wrong password: which of them is not said."""


@dataclass(frozen=True)
class Terms:
    """How long sessions hold, and who the console is."""

    idle: timedelta = timedelta(hours=12)
    lasts: timedelta = timedelta(days=7)
    console: str = "http://127.0.0.1:8050"
    cookie: str = SESSION_COOKIE

    @property
    def is_secure(self) -> bool:
        """Is the cookie for https only?"""
        return self.console.startswith("https:")


@dataclass
class Access:
    """Users, sessions, tokens, links.

    Args:
        engine: the control plane's database.
        terms: how long sessions hold, and who the console is.
        now: the clock.
        service_token: by which parts know each other; empty: none is taken.
        local_token: by which the folder's owner is known; empty: none is taken.
        openid: the provider at which one can sign in too.
    """

    engine: Engine
    terms: Terms
    now: Callable[[], datetime]
    service_token: str = ""
    local_token: str = ""
    openid: OpenId | None = None
    users: Users = field(init=False)
    sessions: Sessions = field(init=False)
    tokens: Tokens = field(init=False)
    links: Links = field(init=False)
    credentials: Credentials = field(init=False)

    def __post_init__(self) -> None:
        self.users, self.tokens, self.links = Users(self.engine), Tokens(self.engine), Links(self.engine)
        self.sessions = Sessions(self.engine, self.terms.idle, self.terms.lasts)
        self.credentials = Credentials(
            self.users,
            self.sessions,
            self.tokens,
            service_token=self.service_token,
            local_token=self.local_token,
            cookie=self.terms.cookie,
            now=self.now,
        )
        self._by_name, self._by_address = Tries(BY_NAME, WITHIN), Tries(BY_ADDRESS, WITHIN)
        self._verifying = asyncio.Semaphore(_AT_ONCE)

    async def sign_in(self, name: str, password: str, address: str) -> tuple[User, Session]:
        """A session for a name and its password.

        Raises:
            TooOftenError: if there were too many tries; then the password is not looked at.
            WrongError: if it is not the password of such a user.
        """
        self._take(f"name {name.lower()}", f"address {address}")
        async with self._verifying:
            user = await asyncio.to_thread(self.users.by_password, name, password, self.now())
        if user is None:
            raise WrongError("the name or the password is wrong, or this user may not sign in")
        self._by_name.forgive(f"name {name.lower()}")
        self._by_address.forgive(f"address {address}")
        return user, await asyncio.to_thread(self.sessions.begin, user.name, address, self.now())

    def take(self, address: str) -> None:
        """Count a try that names nobody, such as a link's.

        Raises:
            TooOftenError: if there were too many.
        """
        self._take(None, f"address {address}")

    def _take(self, name: str | None, address: str) -> None:
        wait = self._by_address.take(address, self.now())
        if not wait and name is not None:
            wait = self._by_name.take(name, self.now())
        if wait:
            raise TooOftenError(wait)
