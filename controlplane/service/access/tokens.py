"""Whose API token is this? A user's own, for programs: shown once, kept as a hash, ended by its time or by its user."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import AwareDatetime
from sqlalchemy import insert, select, update

from controlplane.contract.access import TOKEN_BEGINS_WITH
from controlplane.contract.frozen import Frozen
from controlplane.service.access import tables
from controlplane.service.access.hashes import hash_of, new_secret
from controlplane.service.access.users import WRITES
from controlplane.service.database import writing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine, Row

_NOTED_EVERY = timedelta(minutes=1)


class Token(Frozen):
    """A token without its secret."""

    id: str
    user: str
    title: str
    made_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    seen_at: AwareDatetime | None = None

    def holds(self, now: datetime) -> bool:
        """Is it neither over nor taken back?"""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Tokens:
    """The tokens of all users."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, user: str, title: str, expires_at: datetime | None, now: datetime) -> tuple[Token, str]:
        """A new one, and its secret, which is not kept."""
        secret = new_secret(TOKEN_BEGINS_WITH)
        made = Token(id=uuid4().hex[:12], user=user, title=title, made_at=now, expires_at=expires_at)
        with writing(self._engine, WRITES) as connection:
            connection.execute(insert(tables.tokens).values(hash=hash_of(secret), **made.model_dump()))
        return made, secret

    def of(self, user: str | None) -> Sequence[Token]:
        """A user's, or everybody's, the newest first."""
        asked = select(tables.tokens).order_by(tables.tokens.c.made_at.desc())
        if user is not None:
            asked = asked.where(tables.tokens.c.user == user)
        with self._engine.connect() as connection:
            return [_token(each) for each in connection.execute(asked)]

    def find(self, secret: str, now: datetime) -> Token | None:
        """The token that a secret is of, which counts as a use; None when there is none, or it holds no more."""
        return self.among([secret], now).get(secret)

    def among(self, secrets: Collection[str], now: datetime) -> Mapping[str, Token]:
        """The tokens of many secrets that hold, by secret, which counts as a use of each."""
        by_hash = {hash_of(secret): secret for secret in secrets}
        hashes = tables.tokens.c.hash
        with self._engine.connect() as connection:
            rows = connection.execute(select(tables.tokens).where(hashes.in_(by_hash))).all()
        held = {row.hash: token for row in rows if (token := _token(row)).holds(now)}
        if unnoted := [each for each, token in held.items() if _is_unnoted(token, now)]:
            with writing(self._engine, WRITES) as connection:
                connection.execute(update(tables.tokens).where(hashes.in_(unnoted)).values(seen_at=now))
        return {by_hash[each]: token for each, token in held.items()}

    def revoke(self, token: str, user: str | None, now: datetime) -> bool:
        """Take one back; False when there is none that is still held (of that user)."""
        columns = tables.tokens.c
        which = (columns.id == token) & columns.revoked_at.is_(None)
        if user is not None:
            which &= columns.user == user
        with writing(self._engine, WRITES) as connection:
            return connection.execute(update(tables.tokens).where(which).values(revoked_at=now)).rowcount > 0


def _is_unnoted(token: Token, now: datetime) -> bool:
    return token.seen_at is None or now - token.seen_at >= _NOTED_EVERY


def _token(row: Row[Any]) -> Token:
    return Token(**{name: getattr(row, name) for name in Token.model_fields})
