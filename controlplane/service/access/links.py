"""What may a one-time link do? Let one user in once and set their password; the very first makes the first admin.

It is used up in the transaction that sets the password: of two who use it at once, one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from controlplane.contract.access import Grant, Role
from controlplane.service.access import tables
from controlplane.service.access.hashes import hash_of, new_secret
from controlplane.service.access.users import WRITES, NoUserError, count, put, set_password
from controlplane.service.database import writing

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from controlplane.service.access.users import User

HOLDS = timedelta(hours=24)


class LinkError(Exception):
    """It can't be used; says why and what to do."""


@dataclass(frozen=True)
class Link:
    """One that can still be used."""

    user: str | None
    """None: it makes the first admin, who chooses a name."""


class Links:
    """The links that were given out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def first(self, now: datetime) -> str | None:
        """A link that makes the first admin, instead of the one before; None when there is a user already."""
        with writing(self._engine, WRITES) as connection:
            if count(connection):
                return None
            connection.execute(delete(tables.links).where(tables.links.c.user.is_(None)))
            return _put(connection, None, now)

    def of(self, user: str, now: datetime) -> str:
        """A link for a user, instead of the one before.

        Raises:
            NoUserError: if there is no such user, or they are disabled, or a provider signs them in.
        """
        columns = tables.users.c
        with writing(self._engine, WRITES) as connection:
            found = connection.execute(select(tables.users).where(columns.name == user)).one_or_none()
            if found is None or found.is_disabled:
                raise NoUserError(f"there is no user {user!r} who may sign in; `tidegate users ls` lists them")
            if found.issuer is not None:
                raise NoUserError(f"{user} signs in at {found.issuer}: a link is for users with a password")
            connection.execute(delete(tables.links).where(tables.links.c.user == user))
            return _put(connection, user, now)

    def look(self, secret: str, now: datetime) -> Link:
        """What a link would do.

        Raises:
            LinkError: if it can't be used.
        """
        with self._engine.connect() as connection:
            return _link(connection, secret, now)

    def use(self, secret: str, name: str | None, password: str, now: datetime) -> User:
        """Use it up: set the password of its user, or make the first admin with a name.

        Raises:
            LinkError: if it can't be used.
        """
        with writing(self._engine, WRITES) as connection:
            link = _link(connection, secret, now)
            user = link.user or name
            if user is None:
                raise LinkError("choose a name: this link makes the first admin")
            if link.user is None:
                put(connection, user, (Grant(role=Role.ADMIN),), "the first link", now)
            is_it = tables.links.c.hash == hash_of(secret)
            connection.execute(update(tables.links).where(is_it).values(used_at=now))
            made = set_password(connection, user, password, now)
            if made is None:
                raise LinkError(f"{user} may not sign in any more: ask an admin")
        return made


def _put(connection: Connection, user: str | None, now: datetime) -> str:
    secret = new_secret()
    row = {"hash": hash_of(secret), "user": user, "made_at": now, "expires_at": now + HOLDS}
    connection.execute(insert(tables.links).values(**row))
    return secret


def _link(connection: Connection, secret: str, now: datetime) -> Link:
    again = "`tidegate users link NAME` makes another (before there is a user, `tidegate up` prints one)"
    found = connection.execute(select(tables.links).where(tables.links.c.hash == hash_of(secret))).one_or_none()
    if found is None:
        raise LinkError(f"this link is not one that was given out, or a newer one replaces it; {again}")
    if found.used_at is not None:
        raise LinkError(f"this link was used at {found.used_at:%Y-%m-%d %H:%M} UTC, and works once; {again}")
    if now >= found.expires_at:
        raise LinkError(f"this link ended at {found.expires_at:%Y-%m-%d %H:%M} UTC; {again}")
    if found.user is None and count(connection):
        raise LinkError(f"there is an admin already; {again}")
    return Link(found.user)
