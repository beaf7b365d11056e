"""What does somebody who is woken read? An incident, or a change, as an event for the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alerts.sender import Action, Event, Link
from controlplane.contract.alerts import IncidentSeverity

if TYPE_CHECKING:
    from datetime import datetime

    from alerts.incidents import Incident


@dataclass(frozen=True)
class Writer:
    """Writes events.

    Args:
        console: address of the console, for links.
        source: which machine or platform it is about.
    """

    console: str
    source: str

    def trigger(self, incident: Incident) -> Event:
        """Wake somebody."""
        at_alerts = f"{self._base}/alerts/{incident.id}"
        links = (
            Link(href=at_alerts, text="The incident, its timeline and its runbook"),
            Link(href=f"{self._base}{incident.page}", text="What it is about"),
        )
        return Event(
            action=Action.TRIGGER,
            key=key_of(incident),
            summary=f"{incident.title}: {incident.subject} {incident.reason}",
            source=self.source,
            severity=incident.severity,
            at=incident.opened_at,
            component=incident.subject,
            group=incident.subject.partition("/")[0],
            kind=incident.rule,
            details={
                "rule": incident.rule,
                "subject": incident.subject,
                "reason": incident.reason,
                "since": incident.opened_at.isoformat(),
                "show it": f"tidegate alerts show {incident.id}",
                "runbook": f"tidegate alerts runbook {incident.rule}",
            },
            links=links,
            client_url=at_alerts,
        )

    def follow(self, incident: Incident, action: Action) -> Event:
        """Acknowledge or resolve."""
        return Event(action=action, key=key_of(incident))

    def change(self, key: str, summary: str, at: datetime, page: str, details: dict[str, Any]) -> Event:
        """Tell of a change."""
        link = Link(href=f"{self._base}{page}", text="In the console")
        return Event(
            action=Action.CHANGE,
            key=key,
            summary=summary,
            source=self.source,
            severity=IncidentSeverity.INFO,
            at=at,
            details=details,
            links=(link,),
        )

    @property
    def _base(self) -> str:
        return self.console.rstrip("/")


def key_of(incident: Incident) -> str:
    """The dedup key: PagerDuty makes one incident of all events that have it, until it is resolved."""
    return f"tidegate/{incident.rule}/{incident.id}"
