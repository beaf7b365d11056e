"""The room's beat: observe, decide, act, report. And what operators do, which changes the same incidents."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from alerts.changes import changes
from alerts.incidents import Condition, Happened, Incident, Moment, Quiet, QuietKind
from alerts.policy.decide import decide, incident_id
from alerts.policy.promises import Promises
from alerts.policy.rules import RULES, TEST
from alerts.policy.signals import signals
from alerts.sender import Action
from controlplane.contract.alerts import (
    INCIDENTS_AT_MOST,
    AlertsCounted,
    IncidentSeverity,
    IncidentsListed,
    OpenIncident,
)
from controlplane.contract.burn import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from alerts.observe import Source
    from alerts.outbox import Outbox
    from alerts.pages import Writer
    from alerts.store import Store
    from controlplane.contract.streams import StreamDefinition

_TOLD = (Happened.PAGED, Happened.ESCALATED)
"""Another trigger of the same key is an entry in its incident's log at PagerDuty, with the new severity, and no second incident."""
_COUNTED_EVERY = timedelta(seconds=15)
_FORGOTTEN_EVERY = timedelta(hours=1)


class NotThereError(Exception):
    """There is no such incident."""


class NotNowError(Exception):
    """It cannot be done as things are; says why."""


class Watch:
    """The incidents.

    Args:
        source: where facts come from.
        store: where incidents are kept.
        writer: writes what is sent.
        streams: by name, for their promises.
        settle: see `decide`.
        pages: somebody can be told.
    """

    def __init__(  # noqa: PLR0913 (each is a part of it)
        self,
        source: Source,
        store: Store,
        writer: Writer,
        streams: Mapping[str, StreamDefinition],
        settle: timedelta,
        *,
        pages: bool,
    ) -> None:
        self.store, self.pages = store, pages
        self._source, self._writer, self._streams, self._settle = source, writer, streams, settle
        self._promises = Promises(streams)
        self._promises.restore(store.counted())
        self._counted_at: datetime | None = None
        self._forgotten_at: datetime | None = None

    def beat(self) -> datetime:
        """One round; says when it was."""
        observed = self._source.look()
        now = observed.at
        self._promises.count(observed)
        said = [*signals(observed, self._streams), *self._promises.signals(now)]
        with self.store.transaction():
            before = self.store.standing()
            decision = decide(before, said, now, self.store.quiets(now), self._settle)
            self.store.keep(before, decision)
            told = {moment.incident for moment in decision.moments if moment.what in _TOLD}
            for incident in decision.standing.incidents.values():
                if incident.id in told and incident.paged_at is not None:
                    self._page(incident, now)
            for incident in decision.resolved:
                self._follow(incident, Action.RESOLVE, now)
            for event in changes(observed, self._source.orders(), self._writer) if self.pages else ():
                if self.store.is_new_change(event.key, now):
                    self.store.queue(event, now)
        self._keep(now)
        return now

    def catch_up(self, now: datetime) -> None:
        """Incidents that were opened while there was no routing key are told, now that there is one."""
        if self.pages:
            with self.store.transaction():
                for incident in self.store.standing().incidents.values():
                    if incident.paged_at is not None and not self._was_told(incident):
                        self._page(incident, now)

    def acknowledge(self, wanted: str, by: str, now: datetime) -> Incident:
        """Somebody has taken it on: nobody else is to be woken.

        Raises:
            NotThereError: no such incident.
            NotNowError: it is resolved.
        """
        with self.store.transaction():
            incident = self._open(wanted)
            if incident.acknowledged_at is None:
                incident = incident.model_copy(update={"acknowledged_at": now, "acknowledged_by": by})
                self.store.put(incident)
                self.store.tell(Moment(incident=incident.id, at=now, what=Happened.ACKNOWLEDGED, by=by))
                self._follow(incident, Action.ACKNOWLEDGE, now)
        return incident

    def resolve(self, wanted: str, by: str, now: datetime) -> Incident:
        """Close an incident of whose cause nothing is known any more, or that is well but not yet for long enough.

        Raises:
            NotThereError: no such incident.
            NotNowError: it is resolved, or its cause is still wrong: it would be opened again at once.
        """
        with self.store.transaction():
            incident = self._open(wanted)
            if incident.condition is Condition.WRONG:
                raise NotNowError(f"it is still so ({incident.reason}): mend it, or silence it")
            incident = incident.model_copy(update={"resolved_at": now, "resolved_by": by})
            self.store.put(incident)
            self.store.tell(Moment(incident=incident.id, at=now, what=Happened.RESOLVED, by=by))
            self._follow(incident, Action.RESOLVE, now)
        return incident

    def silence(self, wanted: str, duration: timedelta, by: str, reason: str, now: datetime) -> Quiet:  # noqa: PLR0913 (what is said)
        """Wake nobody by this cause for so long, also when it comes back.

        Raises:
            NotThereError: no such incident.
            NotNowError: it is resolved.
        """
        with self.store.transaction():
            incident = self._open(wanted)
            quiet = Quiet(
                id=incident_id(("silence", incident.id), now),
                kind=QuietKind.SILENCE,
                start=now,
                end=now + duration,
                rule=incident.rule,
                subject=incident.subject,
                by=by,
                reason=reason,
            )
            self.store.put_quiet(quiet)
            self.store.tell(Moment(incident=incident.id, at=now, what=Happened.SILENCED, text=quiet.until(), by=by))
        return quiet

    def test(self, by: str, now: datetime) -> Incident:
        """An incident that opens, pages and resolves at once, to see whether the way to the pager works."""
        rule, key = RULES[TEST], (TEST, f"by {by}")
        incident = Incident(
            id=incident_id(key, now),
            rule=TEST,
            subject=key[1],
            title=rule.title,
            severity=IncidentSeverity.INFO,
            reason=f"asked for a test at {now:%H:%M:%S} UTC; nothing is wrong",
            page="/alerts",
            opened_at=now,
            condition=Condition.WELL,
            paged_at=now,
            resolved_at=now,
            resolved_by=by,
        )
        with self.store.transaction():
            self.store.put(incident)
            self.store.tell(Moment(incident=incident.id, at=now, what=Happened.OPENED, text=incident.reason, by=by))
            self._page(incident, now)
            if not self.pages:
                self.store.tell(
                    Moment(incident=incident.id, at=now, what=Happened.HELD, text="there is no routing key")
                )
            self._follow(incident, Action.RESOLVE, now)
            self.store.tell(Moment(incident=incident.id, at=now, what=Happened.RESOLVED, by=by))
        return incident

    def counted(self, outbox: Outbox, now: datetime) -> AlertsCounted:
        """What every page of the console shows."""
        found = self.store.incidents(is_open=True)
        stands = outbox.standing(now)
        return AlertsCounted(
            at=now,
            open=len(found),
            critical=sum(each.severity is IncidentSeverity.CRITICAL for each in found),
            acknowledged=sum(each.acknowledged_at is not None for each in found),
            held=sum(each.paged_at is None for each in found),
            waiting=stands.waiting,
            refused=stands.refused,
            pages=self.pages,
            reason=stands.reason,
            version=self.store.version(),
        )

    def listed(self, now: datetime) -> IncidentsListed:
        """The open ones, the worst first, for whoever looks from afar."""
        found = sorted(self.store.incidents(is_open=True), key=_urgency)
        told = tuple(_from_afar(each) for each in found[:INCIDENTS_AT_MOST])
        return IncidentsListed(at=now, incidents=told, open=len(found))

    def _open(self, wanted: str) -> Incident:
        incident = self.store.incident(wanted)
        if incident is None:
            raise NotThereError(f"there is no incident {wanted!r}")
        if incident.resolved_at is not None:
            raise NotNowError(f"it was resolved at {incident.resolved_at:%Y-%m-%d %H:%M:%S} UTC")
        return incident

    def _page(self, incident: Incident, now: datetime) -> None:
        if self.pages:
            self.store.queue(self._writer.trigger(incident), now, incident.id)

    def _follow(self, incident: Incident, action: Action, now: datetime) -> None:
        """Of an incident that PagerDuty was never told of there is nothing to acknowledge or resolve."""
        if self.pages and self._was_told(incident):
            self.store.queue(self._writer.follow(incident, action), now, incident.id)

    def _was_told(self, incident: Incident) -> bool:
        with self.store.transaction() as database:
            wanted = "SELECT 1 FROM outbox WHERE incident = ? LIMIT 1"
            return database.execute(wanted, (incident.id,)).fetchone() is not None

    def _keep(self, now: datetime) -> None:
        if self._counted_at is None or now - self._counted_at >= _COUNTED_EVERY:
            self.store.keep_counted(self._promises.rows(self._counted_at or now), now - KEPT)
            self._counted_at = now
        if self._forgotten_at is None or now - self._forgotten_at >= _FORGOTTEN_EVERY:
            self._forgotten_at = now
            self.store.forget(now)


def _urgency(incident: Incident) -> tuple[int, bool, datetime]:
    is_taken_on = incident.acknowledged_at is not None
    return tuple(IncidentSeverity).index(incident.severity), is_taken_on, incident.opened_at


def _from_afar(incident: Incident) -> OpenIncident:
    return OpenIncident.model_validate(incident.model_dump(include=set(OpenIncident.model_fields)))
