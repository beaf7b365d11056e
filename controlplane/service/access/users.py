"""Which users are there, and which of them has this password? Kept in the control plane's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from controlplane.contract.access import Grant, Principal, Role
from controlplane.contract.frozen import Frozen
from controlplane.service.access import tables
from controlplane.service.access.hashes import is_password, password_hash
from controlplane.service.database import writing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
"""No colon: `local:...` and `oidc:...` are not chosen."""
WRITES = "access"


class NoUserError(Exception):
    """There is no such user, or there is one already; says which."""


class User(Frozen):
    """A user as others see them."""

    name: str
    grants: tuple[Grant, ...] = Field(...)
    is_disabled: bool = False
    has_password: bool = False
    is_external: bool = False
    """An OpenID provider says who it is."""
    made_at: AwareDatetime
    made_by: str
    seen_at: AwareDatetime | None = None

    def principal(self, by: str) -> Principal:
        """Who asks, when it is this user."""
        return Principal(name=self.name, grants=self.grants, by=by)


class Users:
    """The users; every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> Sequence[User]:
        """By name."""
        with self._engine.connect() as connection:
            return [_user(each) for each in connection.execute(select(tables.users).order_by(tables.users.c.name))]

    def find(self, name: str) -> User | None:
        """One, also a disabled one."""
        return self.among([name]).get(name)

    def among(self, names: Collection[str]) -> Mapping[str, User]:
        """Those of many names that there are, by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(tables.users).where(tables.users.c.name.in_(names))).all()
        return {row.name: _user(row) for row in rows}

    def add(self, name: str, grants: Sequence[Grant], by: str, now: datetime) -> User:
        """A new one, who has no password yet.

        Raises:
            NoUserError: if the name is taken.
        """
        try:
            with writing(self._engine, WRITES) as connection:
                put(connection, name, grants, by, now)
        except IntegrityError as error:
            raise NoUserError(f"there is a user {name!r} already") from error
        return User(name=name, grants=tuple(grants), made_at=now, made_by=by)

    def producer(self, name: str, streams: Sequence[str], by: str, now: datetime) -> User:
        """The user whose keys may send to these streams and do nothing else, added if there is none.

        Raises:
            NoUserError: if the name is of somebody with other rights.
        """
        found, grants = self.find(name), (Grant(role=Role.PRODUCER, streams=tuple(streams)),)
        if found is None:
            return self.add(name, grants, by, now)
        if found.is_disabled or found.grants != grants:
            rights = "disabled" if found.is_disabled else "a user with other rights"
            raise NoUserError(f"{name} is {rights}: take another name, or change it (`tidegate users grant`, `enable`)")
        return found

    def grant(self, name: str, grants: Sequence[Grant]) -> User:
        """Give them these rights instead of those that they have.

        Raises:
            NoUserError: if there is no such user.
        """
        return self._changed(name, grants=_written(grants))

    def disable(self, name: str, *, is_disabled: bool) -> User:
        """Let them in no more, or again.

        Raises:
            NoUserError: if there is no such user.
        """
        return self._changed(name, is_disabled=is_disabled)

    def by_password(self, name: str, password: str, now: datetime) -> User | None:
        """The user, if it is the password and they are let in; takes as long when there is no such user."""
        with self._engine.connect() as connection:
            found = connection.execute(select(tables.users).where(tables.users.c.name == name)).one_or_none()
        is_right = is_password(None if found is None else found.password, password)
        if found is None or not is_right or found.is_disabled:
            return None
        self._changed(name, seen_at=now)
        return _user(found)

    def by_identity(self, issuer: str, subject: str, name: str, grants: Sequence[Grant], now: datetime) -> User | None:
        """A provider's user with today's rights, made at their first sign-in; None if they are disabled here."""
        columns = tables.users.c
        is_theirs = (columns.issuer == issuer) & (columns.subject == subject)
        with writing(self._engine, WRITES) as connection:
            found = connection.execute(select(tables.users).where(is_theirs)).one_or_none()
            if found is None:
                is_taken = connection.execute(select(columns.name).where(columns.name == name)).one_or_none()
                chosen = name if is_taken is None else f"oidc:{subject}"[:80]
                put(connection, chosen, grants, issuer, now, issuer=issuer, subject=subject)
            else:
                changed = {"grants": _written(grants), "seen_at": now}
                connection.execute(update(tables.users).where(is_theirs).values(**changed))
            user = _user(connection.execute(select(tables.users).where(is_theirs)).one())
        return None if user.is_disabled else user

    def _changed(self, name: str, **values: Any) -> User:  # noqa: ANN401 (columns)
        is_it = tables.users.c.name == name
        with writing(self._engine, WRITES) as connection:
            connection.execute(update(tables.users).where(is_it).values(**values))
            found = connection.execute(select(tables.users).where(is_it)).one_or_none()
        if found is None:
            raise NoUserError(f"there is no user {name!r}; `tidegate users ls` lists them")
        return _user(found)


def put(connection: Connection, name: str, grants: Sequence[Grant], by: str, now: datetime, **more: str) -> None:
    """Write a new user's row."""
    row = {"name": name, "grants": _written(grants), "is_disabled": False, "made_at": now, "made_by": by}
    connection.execute(insert(tables.users).values(**row, **more))


def set_password(connection: Connection, name: str, password: str, now: datetime) -> User | None:
    """Give a user a password; None if they are not let in."""
    is_it = (tables.users.c.name == name) & tables.users.c.is_disabled.is_(other=False)
    connection.execute(update(tables.users).where(is_it).values(password=password_hash(password), seen_at=now))
    found = connection.execute(select(tables.users).where(is_it)).one_or_none()
    return None if found is None else _user(found)


def count(connection: Connection) -> int:
    """How many there are."""
    return int(connection.execute(select(func.count()).select_from(tables.users)).scalar_one())


def _written(grants: Sequence[Grant]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in grants]


def _user(row: Row[Any]) -> User:
    return User(
        name=row.name,
        grants=tuple(Grant.model_validate(each) for each in row.grants),
        is_disabled=row.is_disabled,
        has_password=row.password is not None,
        is_external=row.issuer is not None,
        made_at=row.made_at,
        made_by=row.made_by,
        seen_at=row.seen_at,
    )
