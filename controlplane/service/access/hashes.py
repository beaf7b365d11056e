"""How is a secret kept? Random ones as SHA-256: there is nothing to guess. Passwords by Argon2id, which makes each guess dear.

A wrong name must take as long as a wrong password: for a name that there is not, a password is verified all the same.
"""

from __future__ import annotations

import functools
import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_BYTES = 32
_HASHER = PasswordHasher()


@functools.cache
def _nobodys() -> str:
    """Of a password that nobody has."""
    return password_hash(secrets.token_urlsafe(_BYTES))


def new_secret(begins_with: str = "") -> str:
    """One that can't be guessed: 256 random bits."""
    return begins_with + secrets.token_urlsafe(_BYTES)


def hash_of(secret: str) -> str:
    """What is kept of a random secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(session: str) -> str:
    """What a page has to show beside the cookie: made from it, so that only who was given it by us can know it."""
    return hashlib.sha256(f"csrf:{session}".encode()).hexdigest()


def password_hash(password: str) -> str:
    """What is kept of a password."""
    return _HASHER.hash(password)


def is_password(kept: str | None, given: str) -> bool:
    """Is it the password? Takes the same time when there is none."""
    try:
        _HASHER.verify(_nobodys() if kept is None else kept, given)
    except (Argon2Error, InvalidHashError):
        return False
    return kept is not None
