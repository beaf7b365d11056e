"""Does the chain hold, as it was last walked? Walked when the control plane starts, every ten minutes, and when somebody asks."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import AwareDatetime  # noqa: TC002 (pydantic reads the annotation)

from controlplane.service.audit.chain import ChainVerdict, judged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.service.audit.log import AuditLog

_log = logging.getLogger(__name__)


class Copy(Protocol):
    """Another place that has the record."""

    def entries(self) -> Iterable[tuple[int, str]]:
        """Number and hash of each entry that it has now, by number.

        Raises:
            CopyAwayError: if it does not answer.
        """


class CopyAwayError(Exception):
    """The copy does not answer; says why."""


class Walked(ChainVerdict):
    """A verdict with its age."""

    at: AwareDatetime
    took_s: float
    copy_reason: str | None = None
    """Why there was no copy to hold the entries against."""


class Chain:
    """The verdict of the last walk; every method may be called from any thread."""

    def __init__(self, log: AuditLog, copy: Copy | None = None) -> None:
        self._audit = log
        self._copy = copy
        self._turn = threading.Lock()
        self.last: Walked | None = None
        self.wrong_since: datetime | None = None
        """When it was first seen that the chain does not hold; None while it does."""

    def walk(self) -> Walked:
        """Walk all of it; who asks while somebody else's walk goes on waits for that, and then walks anew."""
        with self._turn:
            began = time.monotonic()
            copied, reason = self._copied()
            verdict = judged(self._audit.walk(), copied)
            took = time.monotonic() - began
            self.last = Walked(**verdict.model_dump(), at=datetime.now(UTC), took_s=took, copy_reason=reason)
            self.wrong_since = None if verdict.holds else self.wrong_since or self.last.at
            if not verdict.holds:
                _log.error("the audit log is not as it was written: %s", verdict.reason)
            return self.last

    def _copied(self) -> tuple[Iterable[tuple[int, str]] | None, str | None]:
        """The copy as it is before the entries are read: what comes meanwhile is not missing from them."""
        if self._copy is None:
            return None, "this control plane has no Kafka to export to"
        try:
            return list(self._copy.entries()), None
        except CopyAwayError as error:
            return None, str(error)
