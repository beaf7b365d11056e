"""What is known of the platform at one moment, and from where? What the policy reads, with no network in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from controlplane.contract.facts import Fact, MaintenanceRan
from controlplane.contract.gates import GateDecided

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.operations import Operation
    from controlplane.contract.replays import Work

STALE_AFTER = timedelta(seconds=10)
"""A measurement that nobody has confirmed for so long is no longer known."""
SAID_WITHIN = timedelta(seconds=60)
"""What a part says again every 15 s holds for so long."""
THERE_WITHIN = timedelta(seconds=60)
"""After the control plane's start it may take so long until everybody has reported."""
_T = TypeVar("_T", bound=Fact)


@dataclass(frozen=True)
class Observed:
    """The control plane's answer at `at`, or why there is none."""

    at: datetime
    facts: tuple[Fact, ...] | None = None
    """The newest fact of each subject; None when the control plane did not answer."""
    began: datetime | None = None
    """Since when the control plane can have heard of facts."""
    works: tuple[Work, ...] = ()
    """Replays and discards of quarantined records, as quality has them."""
    operations: tuple[Operation, ...] = ()
    """The newest that have ended after they were confirmed."""
    reason: str | None = None
    """Why there is no answer."""

    def of(self, kind: type[_T]) -> tuple[_T, ...]:
        """The facts of a kind."""
        return tuple(fact for fact in self.facts or () if isinstance(fact, kind))

    @property
    def is_settled(self) -> bool:
        """Everybody has had the time to report: what is missing is missing."""
        return self.facts is not None and (self.began is None or self.at - self.began > THERE_WITHIN)

    def age(self, fact: Fact) -> timedelta:
        """How old a fact is."""
        return self.at - fact.at


class Remembered:
    """Verdicts and runs are said once: a control plane that starts again has forgotten them, and they still hold."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], GateDecided | MaintenanceRan] = {}

    def with_kept(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """The facts, and of those that are said once the newest that was ever heard."""
        rest = []
        for fact in facts:
            if isinstance(fact, GateDecided | MaintenanceRan):
                self._keep(fact)
            else:
                rest.append(fact)
        return (*rest, *self._kept.values())

    def _keep(self, fact: GateDecided | MaintenanceRan) -> None:
        subject = _subject(fact)
        known = self._kept.get(subject)
        if known is None or (fact.at, fact.id) > (known.at, known.id):
            self._kept[subject] = fact


def _subject(fact: GateDecided | MaintenanceRan) -> tuple[str, ...]:
    if isinstance(fact, GateDecided):
        return (fact.kind, fact.stream, fact.stage, fact.table or "")
    return (fact.kind, fact.stream or "", fact.subject, fact.stage)
