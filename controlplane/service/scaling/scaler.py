"""What is wanted of each target now? An operator's order where one holds; else it is left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.scaling import Wanted

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.service.scaling.kept import ScalingFile


class Scaler:
    """Answers what is wanted.

    Args:
        kept: policies and orders.
    """

    def __init__(self, kept: ScalingFile) -> None:
        self.kept = kept

    def wanted(self, target: str, now: datetime) -> Wanted:
        """What a target is to have."""
        ordered = self.kept.order(target, now)
        if ordered is not None:
            until = "until it is given back" if ordered.until is None else f"until {ordered.until:%H:%M:%S} UTC"
            reason = f"{ordered.by} has ordered {ordered.executors}, {until}"
            return Wanted(target=target, executors=ordered.executors, at=now, reason=reason)
        return Wanted(target=target, at=now, reason="nobody has decided yet")
