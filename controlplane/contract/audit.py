"""What is on the record? Each entry names who did what to what, and carries the hash of the one before.

`hash` is SHA-256 of the canonical JSON of all other fields, the hash of the entry before among them. So an entry that is changed,
taken out or put in breaks the chain from there on; what was cut off at the end is seen by who has the last hash (Kafka has).
"""

from __future__ import annotations

import hashlib
import json

from pydantic import AwareDatetime, Field, JsonValue

from controlplane.contract.frozen import Frozen

PATH = "/api/v1/audit"
TOPIC = "tidegate.audit"
FIRST = "0" * 64
"""The hash before the first entry."""


class AuditEntry(Frozen):
    """One entry."""

    seq: int = Field(ge=1)
    at: AwareDatetime
    actor: str
    """A principal's name; `anonymous` when nobody was signed in."""
    by: str
    """How it was shown: session, token, service, local, none."""
    action: str
    """Such as `operation.confirm`, `session.begin`, `user.grant`, `query.run`."""
    subject: str
    """What was acted on: an operation's id, a user, a table."""
    stream: str | None = None
    outcome: str
    """`ok`, `refused` or `failed`."""
    reason: str | None = None
    address: str | None = None
    """From where."""
    details: dict[str, JsonValue] = Field(default_factory=dict)
    """No secrets."""
    before: str
    """Hash of the entry before."""
    hash: str


def hash_of(entry: AuditEntry | dict[str, JsonValue]) -> str:
    """What an entry's `hash` has to be."""
    said = entry.model_dump(mode="json") if isinstance(entry, AuditEntry) else dict(entry)
    said.pop("hash", None)
    return hashlib.sha256(
        json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()
