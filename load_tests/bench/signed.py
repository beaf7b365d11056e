"""Who is signed in to what a test or a benchmark serves or starts? An admin, by a real session; parts by their token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from controlplane.commands.credentials import local
from controlplane.contract.access import SESSION_COOKIE, Grant, Role, authorization, session_cookie
from controlplane.service.access.access import Access, Terms
from controlplane.service.access.hashes import csrf_of, new_secret
from controlplane.service.database import create_all, engine_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controlplane.contract.settings import Settings

NAME = "ana"


@dataclass(frozen=True)
class Signed:
    """A control plane's access, and one user who is signed in."""

    access: Access
    cookie: str
    """The session of the user."""

    @property
    def headers(self) -> dict[str, str]:
        """Of a part."""
        return authorization(self.access.service_token)

    @property
    def as_page(self) -> dict[str, str]:
        """Of a page of the console that the user has open."""
        return {"Cookie": f"{SESSION_COOKIE}={self.cookie}", "X-Tidegate-CSRF": csrf_of(self.cookie)}


def signed(folder: Path, grants: Sequence[Grant] = (Grant(role=Role.ADMIN),)) -> Signed:
    """An access of its own in a folder, with one user who has these rights and is signed in."""
    engine = engine_of(f"sqlite:///{folder / 'access.sqlite'}")
    create_all(engine)
    access = Access(engine, Terms(), lambda: datetime.now(UTC), new_secret(), new_secret())
    access.users.add(NAME, grants, "a test", access.now())
    return Signed(access, access.sessions.begin(NAME, "127.0.0.1", access.now()).cookie)


def session_of(settings: Settings) -> str:
    """A session of who owns the data folder of a platform that runs; what a browser needs to open its console.

    Raises:
        httpx.HTTPError: if the control plane does not answer, or does not know the folder's token.
    """
    answer = httpx.post(f"{settings.api}/api/v1/session/local", headers=local(settings.data), timeout=10)
    name = session_cookie(settings.api)
    return f"{name}={answer.raise_for_status().cookies[name]}"
