"""What is kept of users? No password and no secret as it is: of each only a hash."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, String, Table

from controlplane.service.database import Moment, metadata

_USER = "access_users.name"

users = Table(
    "access_users",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("password", String(200)),  # Argon2id with its parameters; null until the first sign-in by a link
    Column("grants", JSON, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("made_by", String(80), nullable=False),
    Column("seen_at", Moment),
    Column("issuer", String(300)),  # of an OpenID provider's user, with the subject there
    Column("subject", String(300)),
    Index("access_users_identity", "issuer", "subject", unique=True),
)
sessions = Table(
    "access_sessions",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the cookie's value
    Column("user", String(80), nullable=False, index=True),  # also `local:...`, who is nobody's row
    Column("made_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("address", String(80), nullable=False),
)
tokens = Table(
    "access_tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("user", String(80), ForeignKey(_USER), nullable=False, index=True),
    Column("title", String(100), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("seen_at", Moment),
)
links = Table(
    "access_links",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user", String(80)),  # null: makes the first admin
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)
