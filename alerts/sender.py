"""What is sent to whoever pages people, and what can come of sending it? The port; PagerDuty satisfies it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta  # noqa: TC003 (a field of a dataclass)
from enum import StrEnum
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from controlplane.contract.alerts import IncidentSeverity  # noqa: TC001 (a field of a model)
from controlplane.contract.frozen import Frozen


class Action(StrEnum):
    """What an event asks for."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    CHANGE = "change"
    """Nothing is wrong: something was changed, which may explain what goes wrong next."""


class Link(Frozen):
    """An address with words."""

    href: str
    text: str


class Event(Frozen):
    """An event as it waits in the outbox: complete, so that sending it again sends the same."""

    action: Action
    key: str
    """Dedup key: the incident's, or of a change its own."""
    summary: str = ""
    source: str = ""
    severity: IncidentSeverity = IncidentSeverity.INFO
    at: AwareDatetime | None = None
    component: str | None = None
    group: str | None = None
    kind: str | None = None
    """PagerDuty's `class`."""
    details: dict[str, Any] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()
    client_url: str | None = None


class Came(StrEnum):
    """What came of sending an event."""

    SENT = "sent"
    REFUSED = "refused"
    """It is wrong, and will be each time."""
    LATER = "later"
    """It may be taken later: nobody answered, there was a fault at the other end, or we were too fast."""


@dataclass(frozen=True)
class Answer:
    """The other end's answer."""

    came: Came
    said: str = ""
    """Its body, shortened, or what went wrong."""
    after: timedelta | None = None
    """Not before: what it asked for."""
    holds_all: bool = False
    """Nothing else would be taken now either."""


class PageSender(Protocol):
    """Tells somebody who wakes people."""

    def send(self, event: Event) -> Answer:
        """Send an event once; never raises, takes seconds at most."""


@dataclass
class FakeSender:
    """Takes everything, or answers what it is told to, in order."""

    answers: list[Answer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    """Every event it was asked to send."""

    def send(self, event: Event) -> Answer:
        """Remember it."""
        self.events.append(event)
        return self.answers.pop(0) if self.answers else Answer(Came.SENT)
