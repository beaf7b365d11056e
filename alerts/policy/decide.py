"""Which incidents are there now, given what stood before and what the facts say?

An incident is one cause, (rule, subject). It opens when the cause has been wrong for the rule's time, and resolves when it
has been well for the rule's other time: what flaps in between is the same incident. What is not known opens nothing and
resolves nothing. Whether somebody is woken is another question, asked as long as an incident is open and nobody was: not
while it is another's consequence, and for the rule's time afterwards, because what was stopped needs a moment to catch
up; not while it is silenced or in a maintenance window. When these end and it is still wrong, it pages.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alerts.incidents import Condition, Happened, Incident, Key, Moment, Signal
from alerts.policy.inhibit import inhibitor
from alerts.policy.rules import RULES
from controlplane.contract.alerts import IncidentSeverity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from alerts.incidents import Quiet

_RANKS = tuple(IncidentSeverity)
_WORST = {Condition.WRONG: 2, Condition.UNKNOWN: 1, Condition.WELL: 0}


@dataclass(frozen=True)
class Standing:
    """What stands between two beats."""

    incidents: Mapping[Key, Incident] = field(default_factory=dict)
    """The open ones."""
    pending: Mapping[Key, datetime] = field(default_factory=dict)
    """Causes that are wrong, not yet for long enough, and since when."""


@dataclass(frozen=True)
class Decision:
    """What stands afterwards, and what happened."""

    standing: Standing
    resolved: tuple[Incident, ...] = ()
    moments: tuple[Moment, ...] = ()


def decide(
    standing: Standing, signals: Iterable[Signal], now: datetime, quiets: Iterable[Quiet], settle: timedelta
) -> Decision:
    """One beat. Deciding twice over the same changes nothing more; the order of the signals does not matter.

    Args:
        standing: what stood after the beat before.
        signals: what the facts say of each cause; of a cause that is not among them nothing is known.
        now: the time.
        quiets: silences and maintenance windows.
        settle: how long a cause must be well before its incident resolves, where the rule does not say.
    """
    said = _worst(signals)
    incidents, pending = dict(standing.incidents), dict(standing.pending)
    resolved: list[Incident] = []
    moments: list[Moment] = []
    for key in sorted(said.keys() | incidents.keys() | pending.keys()):
        signal = said.get(key) or Signal(*key, Condition.UNKNOWN, "nobody says how it is")
        if (known := incidents.get(key)) is None:
            pending, opened = _waited(pending, signal, now)
            if opened is not None:
                incidents[key] = opened
                moments.append(_moment(opened, now, Happened.OPENED, signal.reason))
            continue
        followed = _followed(known, signal, now)
        moments += _turns(known, followed, now)
        if followed.well_since is not None and now - followed.well_since >= well_for(key, settle):
            followed = followed.model_copy(update={"resolved_at": now})
            resolved.append(followed)
            moments.append(_moment(followed, now, Happened.RESOLVED, f"well since {followed.well_since:%H:%M:%S} UTC"))
            del incidents[key]
        else:
            incidents[key] = followed
    causes = {key for key, signal in said.items() if signal.condition is Condition.WRONG}
    causes |= {key for key, each in incidents.items() if each.condition is not Condition.UNKNOWN}
    for key, incident in incidents.items():
        incidents[key], told = _paged(incident, causes, now, list(quiets))
        moments += told
    return Decision(Standing(incidents, pending), tuple(resolved), tuple(moments))


def well_for(key: Key, settle: timedelta) -> timedelta:
    """How long a cause must be well before its incident resolves."""
    own = RULES[key[0]].well_for
    return settle if own is None else own


def incident_id(key: Key, opened_at: datetime) -> str:
    """Of an incident: the same cause at another time is another one."""
    return hashlib.sha256("|".join((*key, opened_at.isoformat())).encode()).hexdigest()[:12]


def _worst(signals: Iterable[Signal]) -> dict[Key, Signal]:
    said: dict[Key, Signal] = {}
    for signal in sorted(signals, key=lambda each: (_WORST[each.condition], each.reason)):
        said[signal.key] = signal
    return said


def _waited(pending: dict[Key, datetime], signal: Signal, now: datetime) -> tuple[dict[Key, datetime], Incident | None]:
    rest = {key: since for key, since in pending.items() if key != signal.key}
    if signal.condition is Condition.WELL:
        return rest, None
    if signal.condition is Condition.UNKNOWN:
        return pending, None
    rule = RULES[signal.rule]
    since = pending.get(signal.key, now)
    if now - since < (rule.after if signal.after is None else signal.after):
        return {**rest, signal.key: since}, None
    return rest, Incident(
        id=incident_id(signal.key, now),
        rule=rule.id,
        subject=signal.subject,
        title=rule.title,
        severity=signal.severity or rule.severity,
        reason=signal.reason,
        page=signal.page,
        opened_at=now,
    )


def _followed(known: Incident, signal: Signal, now: datetime) -> Incident:
    if signal.condition is not Condition.WRONG:
        well_since = (known.well_since or now) if signal.condition is Condition.WELL else None
        return known.model_copy(update={"condition": signal.condition, "well_since": well_since})
    said = signal.severity or RULES[signal.rule].severity
    return known.model_copy(
        update={
            "condition": signal.condition,
            "well_since": None,
            "reason": signal.reason,
            "page": signal.page,
            "severity": min(known.severity, said, key=_RANKS.index),
        }
    )


_TURNS = {
    Condition.WELL: Happened.WELL,
    Condition.WRONG: Happened.RELAPSED,
    Condition.UNKNOWN: Happened.UNKNOWN,
}


def _turns(before: Incident, after: Incident, now: datetime) -> list[Moment]:
    told = []
    if before.condition is not after.condition:
        text = after.reason if after.condition is Condition.WRONG else ""
        told.append(_moment(after, now, _TURNS[after.condition], text))
    if before.severity is not after.severity:
        told.append(_moment(after, now, Happened.ESCALATED, f"{after.severity} now: {after.reason}"))
    return told


def _paged(incident: Incident, causes: set[Key], now: datetime, quiets: list[Quiet]) -> tuple[Incident, list[Moment]]:
    """Wake somebody, or say why not."""
    if incident.paged_at is not None:
        return incident, []
    held, inhibited_at = _held(incident, causes, now, quiets)
    following = incident.model_copy(update={"held_by": held, "inhibited_at": inhibited_at})
    told = []
    if held != incident.held_by:
        told = [_moment(incident, now, Happened.RELEASED if held is None else Happened.HELD, held or "")]
    if held is not None or incident.condition is not Condition.WRONG:
        return following, told
    paged = following.model_copy(update={"paged_at": now})
    return paged, [*told, _moment(paged, now, Happened.PAGED)]


def _held(
    incident: Incident, causes: set[Key], now: datetime, quiets: list[Quiet]
) -> tuple[str | None, datetime | None]:
    cause = inhibitor(incident.key, causes)
    if cause is not None:
        return f"a consequence of {cause[0]} {cause[1]}", now
    quiet = next((each for each in sorted(quiets, key=lambda each: each.id) if each.covers(incident.key, now)), None)
    if quiet is not None:
        return quiet.told(), incident.inhibited_at
    if incident.inhibited_at is not None and now - incident.inhibited_at < RULES[incident.rule].after:
        return "its cause is gone; it has a moment to catch up", incident.inhibited_at
    return None, incident.inhibited_at


def _moment(incident: Incident, now: datetime, what: Happened, text: str = "") -> Moment:
    return Moment(incident=incident.id, at=now, what=what, text=text)
