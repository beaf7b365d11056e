"""How does the record get to Kafka? By a thread that puts there what the topic does not have yet.

The record is the outbox, the topic says how far it is, and each step is one transaction: whatever dies, and whenever, each entry
is there once and in order. A broker that is away is waited for. A topic whose last entry is not the record's is not added to: then
one of both was tampered with, or belongs to another database, and a person has to look.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pydantic import AwareDatetime

from controlplane.contract.frozen import Frozen
from controlplane.contract.metrics.meter import METER
from controlplane.service.audit.keeper import CopyAwayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.audit import AuditEntry
    from controlplane.service.audit.log import AuditLog

_IDLE_S = 5.0
_AGAIN_AFTER_S = 5.0
_STOP_WITHIN_S = 4.0
_HELD = timedelta(seconds=20)
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where entries are put; `KafkaSink` is the real one."""

    def open(self) -> tuple[int, str] | None:
        """Be the only one who puts entries there; number and hash of the last one there is, None when there is none."""

    def put(self, entries: Sequence[AuditEntry]) -> None:
        """All of them or none; CopyAwayError when that is not known."""


class Exported(Frozen):
    """How far the export is."""

    at: AwareDatetime
    seq: int | None = None
    """The last entry that is in Kafka; None: not known."""
    waiting: int | None = None
    """Entries that are not; None: not known."""
    oldest_waiting_at: AwareDatetime | None = None
    reason: str | None = None
    """Why it does not go on."""


class Export:
    """The thread."""

    def __init__(self, log: AuditLog, sink: Sink) -> None:
        self._audit = log
        self._sink = sink
        self._reached: int | None = None
        self._reason: str | None = "it has not begun"
        self._stalled_since: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-export", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that it is at."""
        self._stopping.set()
        self._audit.grown.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN_S)

    def said(self, now: datetime) -> Exported:
        """How far it is."""
        if self._reached is None:
            return Exported(at=now, reason=self._reason)
        waiting, oldest = self._audit.count_after(self._reached)
        return Exported(at=now, seq=self._reached, waiting=waiting, oldest_waiting_at=oldest, reason=self._reason)

    def stalled(self) -> tuple[str, datetime] | None:
        """Why it does not go on, and since when; None when it does. Asks nobody."""
        reason, since = self._reason, self._stalled_since
        return None if reason is None or since is None else (reason, since)

    def step(self) -> bool:
        """Put the next entries there; is there more?

        Raises:
            CopyAwayError: if Kafka is away, or has another record than ours.
        """
        if self._reached is None:
            self._reached = self._agreed(self._sink.open())
        try:
            page = self._audit.after(self._reached)
            if page:
                self._sink.put(page)
                self._reached = page[-1].seq
        except Exception:
            self._reached = None
            raise
        self._reason = None
        return bool(page)

    def _agreed(self, last: tuple[int, str] | None) -> int:
        if last is None:
            return 0
        seq, sealed = last
        entry = self._audit.entry(seq)
        if entry is None or entry.hash != sealed:
            raise CopyAwayError(
                f"Kafka's last entry, {seq}, is not in this record: nothing is exported. Run `tidegate audit verify`; if the "
                "database was begun anew on purpose, keep the topic tidegate.audit under another name and delete it"
            )
        return seq

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._audit.grown.clear()
            try:
                has_more = self.step()
            except CopyAwayError as error:
                if self._reason != str(error):
                    _log.warning("the audit log is not exported: %s", error)
                self._reason, has_more = str(error), False
            except Exception:  # noqa: BLE001 (whatever the database says)
                _log.exception("the audit log is not exported, and is tried again")
                self._reason, has_more = "the record cannot be read: see the control plane's log", False
            self._stalled_since = None if self._reason is None else self._stalled_since or datetime.now(UTC)
            self._hold()
            if not has_more:
                self._stopping.wait(_AGAIN_AFTER_S) if self._reason else self._audit.grown.wait(_IDLE_S)

    def _hold(self) -> None:
        now = datetime.now(UTC)
        try:
            said = self.said(now)
        except Exception:  # noqa: BLE001 (whatever the database says: what is not known is not shown)
            return
        oldest = said.oldest_waiting_at
        lag_s = None if said.waiting is None else 0.0 if oldest is None else (now - oldest).total_seconds()
        METER.hold("tidegate_audit_export_lag_entries", value=said.waiting, until=now + _HELD)
        METER.hold("tidegate_audit_export_lag_seconds", value=lag_s, until=now + _HELD)
