"""What is an incident, and what can be said of one? The values that the policy decides on and the store keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta  # noqa: TC003 (a field of a dataclass)
from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import AwareDatetime, Field

from controlplane.contract.alerts import IncidentSeverity  # noqa: TC001 (a field of a model)
from controlplane.contract.frozen import Frozen

Key = tuple[str, str]
"""A cause: (rule, subject)."""


class Condition(StrEnum):
    """How a cause is now."""

    WRONG = "wrong"
    WELL = "well"
    UNKNOWN = "unknown"
    """Nobody says how it is: nothing opens by this, and nothing resolves."""


@dataclass(frozen=True)
class Signal:
    """What the facts of now say about one cause."""

    rule: str
    subject: str
    """`shop/lake`, `kafka`: what it is about; a stream comes first, then the place."""
    condition: Condition
    reason: str = ""
    """A sentence that goes on from the subject."""
    page: str = "/"
    """Address of the console's page that shows more."""
    severity: IncidentSeverity | None = None
    """Instead of the rule's."""
    after: timedelta | None = None
    """Instead of the rule's."""

    @property
    def key(self) -> Key:
        """The cause."""
        return self.rule, self.subject


class Incident(Frozen):
    """A cause that was wrong for long enough, from its opening to its resolution."""

    id: str
    """Also the dedup key at PagerDuty, so a cause that comes back is another incident there too."""
    rule: str
    subject: str
    title: str
    severity: IncidentSeverity
    reason: str
    """As it was said last."""
    page: str
    opened_at: AwareDatetime
    condition: Condition = Condition.WRONG
    well_since: AwareDatetime | None = None
    """Since when it is well without a break; it resolves after the rule's time of it."""
    paged_at: AwareDatetime | None = None
    """When a trigger was put into the outbox; None while nobody was to be woken."""
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: str | None = None
    held_by: str | None = None
    """Why it is not paged; None when nothing keeps it."""
    inhibited_at: AwareDatetime | None = None
    """When its cause was last seen to be another's consequence."""
    resolved_at: AwareDatetime | None = None
    resolved_by: str | None = None
    """Who said so; None when it became well."""

    @property
    def key(self) -> Key:
        """The cause."""
        return self.rule, self.subject


class Happened(StrEnum):
    """The kinds of entries in an incident's timeline."""

    OPENED = "opened"
    HELD = "held"
    RELEASED = "released"
    PAGED = "paged"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    REFUSED = "refused"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    UNKNOWN = "unknown"
    RELAPSED = "wrong again"
    ESCALATED = "worse"
    """Of greater severity than it was opened with."""
    WELL = "well"
    RESOLVED = "resolved"


class Moment(Frozen):
    """An entry of an incident's timeline."""

    incident: str
    at: AwareDatetime
    what: Happened
    text: str = ""
    by: str | None = None


class QuietKind(StrEnum):
    """Why nobody is to be woken."""

    SILENCE = "silence"
    """Somebody knows, and does not want to hear of it again until then."""
    WINDOW = "window"
    """Planned work."""


class Quiet(Frozen):
    """From `start` until `end` nobody is woken by what matches; incidents open and resolve all the same."""

    id: str
    kind: QuietKind
    start: AwareDatetime
    end: AwareDatetime
    rule: str = Field("*", max_length=100)
    """Shell pattern of the rule."""
    subject: str = Field("*", max_length=200)
    """Shell pattern of the subject."""
    by: str = Field("operator", max_length=100)
    reason: str = Field("", max_length=500)

    def covers(self, key: Key, now: AwareDatetime) -> bool:
        """Is this cause not to be paged now?"""
        return self.start <= now < self.end and fnmatchcase(key[0], self.rule) and fnmatchcase(key[1], self.subject)

    def told(self) -> str:
        """In words."""
        what = "silenced" if self.kind is QuietKind.SILENCE else "in a maintenance window"
        return f"{what} by {self.by} {self.until()}"

    def until(self) -> str:
        """Until when and why, in words."""
        return f"until {self.end:%Y-%m-%d %H:%M:%S} UTC{': ' if self.reason else ''}{self.reason}"
