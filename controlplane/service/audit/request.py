"""Which request is it that something is recorded for? Known to whoever records while it is answered, in its threads too."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlplane.contract.audit import AuditEntry


@dataclass
class Heard:
    """A request, and what was recorded for it."""

    address: str | None
    entries: list[AuditEntry] = field(default_factory=list)


HEARD: ContextVar[Heard | None] = ContextVar("heard", default=None)
