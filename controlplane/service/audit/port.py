"""How is something put on the record? One call, from anywhere in the control plane; it returns when the entry is durable.

It blocks for a write to the database: an `async` function calls it by `asyncio.to_thread`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


class Audit(Protocol):
    """What can put entries on the record."""

    def record(  # noqa: PLR0913 (the fields of an entry)
        self,
        actor: str,
        by: str,
        action: str,
        subject: str,
        *,
        stream: str | None = None,
        outcome: str = "ok",
        reason: str | None = None,
        address: str | None = None,
        details: Mapping[str, JsonValue] | None = None,
    ) -> object:
        """Put an entry on the record: the fields of `controlplane.contract.audit.AuditEntry`. No secrets in `details`."""


class NotKept:
    """No record, as in a test of something else."""

    def record(self, *_: object, **__: object) -> None:
        """Keep nothing."""
