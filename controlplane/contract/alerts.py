"""What do alerts tell the control plane? How many incidents there are, so that every page can say so, and which are open."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from controlplane.contract.frozen import Frozen, Reported


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


class IncidentSeverity(StrEnum):
    """PagerDuty's four, the worst first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class OpenIncident(Frozen):
    """What has to be known of an incident from afar; alerts have all of it under its id."""

    id: str
    severity: IncidentSeverity
    title: str
    subject: str
    """`shop/lake`, `kafka`: what it is about; a stream comes first, then the place."""
    reason: str
    """As it was said last."""
    opened_at: AwareDatetime
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: str | None = None
    held_by: str | None = None
    """Why it wakes nobody; None when nothing keeps it."""


INCIDENTS_AT_MOST = 50
"""So many are told from afar."""


class IncidentsListed(Reported):
    """The incidents that are open now."""

    kind: Literal["incidents_listed"] = "incidents_listed"
    incidents: tuple[OpenIncident, ...]
    """The worst first, of `INCIDENTS_AT_MOST`; of the same severity those that nobody has taken on, then the oldest."""
    open: int
    """In all."""


class IncidentsFrame(Frozen):
    """The open incidents as known at `at`."""

    at: AwareDatetime
    incidents: tuple[OpenIncident, ...] | None
    """The worst first; None when alerts have not said lately which are open."""
    open: int | None
    """In all, also those that are too many to be told."""
    reason: str | None = None
    """Why that is unknown."""
