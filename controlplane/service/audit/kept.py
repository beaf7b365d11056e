"""What belongs to the record? The log, the chain's verdict, and the export."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controlplane.service.audit.export import Export
from controlplane.service.audit.kafka import KafkaCopy, KafkaSink
from controlplane.service.audit.keeper import Chain
from controlplane.service.audit.log import AuditLog

if TYPE_CHECKING:
    from sqlalchemy import Engine

_WALK_EVERY_S = 600.0
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
