"""What belongs to the record? The log, the chain's verdict, and the export."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from controlplane.contract.push import Problem
from controlplane.service.audit.export import Export
from controlplane.service.audit.kafka import KafkaCopy, KafkaSink
from controlplane.service.audit.keeper import Chain
from controlplane.service.audit.log import AuditLog

if TYPE_CHECKING:
    from sqlalchemy import Engine

_WALK_EVERY_S = 600.0
STALLED_AFTER = timedelta(minutes=5)
PAGE = "/audit"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The record of a control plane."""

    log: AuditLog
    chain: Chain
    export: Export | None = None

    def said(self) -> dict[str, Any]:
        """Whether the chain holds, as last walked; how many entries there are now; how far the export is."""
        seq, sealed = self.log.last()
        walked = self.chain.last
        export = None if self.export is None else self.export.said(datetime.now(UTC))
        return {
            "last": {"seq": seq, "hash": sealed},
            "verdict": None if walked is None else walked.model_dump(mode="json"),
            "export": None if export is None else export.model_dump(mode="json"),
        }

    def problems(self, now: datetime) -> list[Problem]:
        """What is wrong with the record: that it was tampered with, or that no copy of it is made for a while. Asks nobody."""
        found = []
        walked, stalled = self.chain.last, None if self.export is None else self.export.stalled()
        if walked is not None and not walked.holds:
            reason = f"is not as it was written: {walked.reason}"
            found.append(Problem(subject="audit log", reason=reason, since=self.chain.wrong_since, page=PAGE))
        if stalled is not None and now - stalled[1] > STALLED_AFTER:
            reason = f"does not go on: {stalled[0]}"
            found.append(Problem(subject="export of the audit log", reason=reason, since=stalled[1], page=PAGE))
        return found

    async def run(self) -> None:
        """Export, and walk the chain every ten minutes, for as long as the task lives."""
        if self.export is not None:
            self.export.start()
        try:
            while True:
                try:
                    await asyncio.to_thread(self.chain.walk)
                except Exception:  # noqa: BLE001 (whatever the database says)
                    _log.exception("the audit log cannot be read, and is tried again")
                await asyncio.sleep(_WALK_EVERY_S)
        finally:
            if self.export is not None:
                self.export.stop()


def kept_in(engine: Engine, bootstrap: str | None) -> Kept:
    """The record in a database, exported to a broker; None: to none."""
    log = AuditLog(engine)
    if bootstrap is None:
        return Kept(log, Chain(log))
    return Kept(log, Chain(log, KafkaCopy(bootstrap)), Export(log, KafkaSink(bootstrap)))
