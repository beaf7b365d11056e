"""What do alerts tell the control plane? How many incidents there are, so that every page can say so."""

from __future__ import annotations

from typing import Literal

from controlplane.contract.frozen import Reported


class AlertsCounted(Reported):
    """Incidents and deliveries as they stand now."""

    kind: Literal["alerts_counted"] = "alerts_counted"
    open: int
    critical: int
    """Of the open ones, those of severity critical."""
    acknowledged: int
    """Of the open ones, those that somebody has taken on."""
    held: int
    """Of the open ones, those that are not paged on purpose: silenced, in a maintenance window, or due to another."""
    waiting: int
    """Events that PagerDuty has not taken yet."""
    refused: int
    """Events of the last day that PagerDuty has refused for good."""
    pages: bool
    """There is a routing key: PagerDuty is told."""
    reason: str | None = None
    """Why events wait; None while none does for long."""
    version: int
    """Grows with each change: who shows incidents asks anew when it does."""
