"""What is wrong now?

Only what is known to be wrong, or is not known and should be: an engineer at 3 a.m. trusts a list that never cries wolf
and never forgets. Each problem is a sentence that goes on from its subject: `part lake` `is held: exited with code 1`.
What comes first is what costs most if it waits: events lost, then what has stopped for good, then what may mend itself,
and at the end what merely is not known, because that is mostly a consequence of something above.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

from controlplane.contract.facts import MaintenancePlanned, PartState, StreamHeld, Verdict
from controlplane.contract.names import Hop
from controlplane.contract.push import Problem
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.service.gate_problems import refused, stopped
from controlplane.service.lag_problems import lagging
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from controlplane.contract.facts import PartChanged
from controlplane.service.state import Known

MISSING_FOR = timedelta(minutes=2)
"""Executors that were asked for so long ago will hardly come by themselves."""
SAID_WITHIN = timedelta(seconds=45)
"""A part says how many executors it has every 15 s; one that says nothing is a problem of its own."""
THERE_WITHIN = timedelta(seconds=60)
"""How long after the start a part, a measurement or a ledger may not be there yet without being a problem."""
WAITS_FOR = timedelta(seconds=5)
"""What a part tries again and again for so long is more than a blink."""
_GATED = ("route", "lake")
"""What these wait for is a gate that has halted, which is a problem of its own."""


class Rank(IntEnum):
    """The worst first."""

    UNBALANCED = 0
    SILENT = 1
    HELD = 2
    UNANSWERED = 3
    DOWN = 4
    REFUSED = 5
    LATE = 6
    LAGGING = 7
    UNTENDED = 8
    UNKNOWN = 9


Ranked = tuple[Rank, Problem]

_DOWN = {
    PartState.HELD: (Rank.HELD, "is held and will not start by itself"),
    PartState.STOPPED: (Rank.HELD, "is stopped"),
    PartState.UNRESPONSIVE: (Rank.DOWN, "does not respond"),
    PartState.BACKING_OFF: (Rank.DOWN, "is not running"),
}
_LATE = {PartState.WAITING: "is still waiting", PartState.STARTING: "is still starting"}


def problems(
    known: Known, titles: Mapping[str, str], now: datetime, unanswered: tuple[str, datetime] | None = None
) -> tuple[Problem, ...]:
    """All that is wrong, the worst first.

    Args:
        known: the facts.
        titles: the streams that there should be facts of.
        now: the time.
        unanswered: why ClickHouse does not answer the hub, and since when.
    """
    found = [*_parts(known, now)]
    for stream in titles:
        found += [*_ledger(known, stream, now), *_hops(known, stream, now)]
        found += [*_references(known, stream), *_maintenance(known, stream)]
        found += [(Rank.HELD, each) for each in stopped(known, stream)]
        found += [*_held(known, stream)]
        found += [(Rank.REFUSED, each) for each in refused(known, stream)]
        found += [(Rank.LAGGING, each) for each in lagging(known, stream, now)]
    found += [*_executors(known, now), *_pagers(known, now)]
    if unanswered is not None:
        reason = unanswered[0].removeprefix("ClickHouse ")
        found.append((Rank.UNANSWERED, Problem(subject="ClickHouse", reason=reason, since=unanswered[1])))
    last = datetime.max.replace(tzinfo=UTC)
    return tuple(
        problem for _, problem in sorted(found, key=lambda each: (each[0], each[1].since or last, each[1].subject))
    )


def _should_be_there(known: Known, now: datetime) -> bool:
    return known.began is None or now - known.began > THERE_WITHIN


def _parts(known: Known, now: datetime) -> Iterator[Ranked]:
    parts = known.parts()
    if not parts:
        if _should_be_there(known, now):
            yield Rank.SILENT, Problem(subject="supervisor", reason="has not reported any part yet")
        return
    newest = max(part.at for part in parts)
    if now - newest > STALE_AFTER:
        reason = f"has reported nothing for {_seconds(now - newest)}: how its parts are is not known"
        yield Rank.SILENT, Problem(subject="supervisor", reason=reason, since=newest)
        return
    for part in parts:
        if (found := _part(known, part, now)) is not None:
            rank, reason, since = found
            yield rank, Problem(subject=f"part {part.part}", reason=reason, since=since)


def _part(known: Known, part: PartChanged, now: datetime) -> tuple[Rank, str, datetime] | None:
    since = known.since(part)
    because = "" if part.reason is None else f": {part.reason}"
    if now - part.at > STALE_AFTER:
        return Rank.UNKNOWN, f"has not been reported for {_seconds(now - part.at)}", part.at
    if part.state in _DOWN:
        rank, what = _DOWN[part.state]
        return rank, f"{what}{because}", since
    if part.state is PartState.STARTING and part.restarts > 0:
        return Rank.LATE, f"starts again (restart {part.restarts}){because}", since
    if part.state in _LATE and now - since > THERE_WITHIN:
        return Rank.LATE, f"{_LATE[part.state]} after {_seconds(now - since)}{because}", since
    if part.state is PartState.RUNNING and because and part.part not in _GATED and now - since > WAITS_FOR:
        return Rank.LATE, f"waits{because}", since
    return None


def _ledger(known: Known, stream: str, now: datetime) -> Iterator[Ranked]:
    verdict, reason = known.verdict(stream, now)
    taken = known.ledger(stream)
    is_stale = taken is not None and now - taken.at > STALE_AFTER
    since = None if taken is None else taken.at if is_stale else known.since(taken)
    subject, page = f"ledger of {stream}", f"/ledger/{stream}"
    if verdict is Verdict.UNBALANCED:
        reason = f"does not add up: {reason}"
        yield Rank.UNBALANCED, Problem(subject=subject, reason=reason, since=since, page=page)
    elif verdict is Verdict.UNKNOWN and (is_stale or _should_be_there(known, now)):
        yield Rank.UNKNOWN, Problem(subject=subject, reason=f"is unknown: {reason}", since=since, page=page)


def _references(known: Known, stream: str) -> Iterator[Ranked]:
    """Until somebody mends them, events are enriched by tables that are no longer meant."""
    fact = known.references(stream)
    if fact is not None and fact.refused is not None:
        reason = f"are refused, events are still enriched by those of {fact.since:%Y-%m-%d %H:%M} UTC: {fact.refused}"
        yield Rank.REFUSED, Problem(subject=f"reference tables of {stream}", reason=reason, since=known.since(fact))


def _held(known: Known, stream: str) -> Iterator[Ranked]:
    """Somebody wanted it; but it ends only when somebody ends it, and until then the lake is behind."""
    fact = known.facts.get(("stream_held", stream))
    if isinstance(fact, StreamHeld) and fact.operation is not None:
        what = "nothing is appended" if fact.holds == "appends" else "its tables do not follow"
        reason = f"is held by operation {fact.operation}: {what}"
        page = f"/operations/{fact.operation}"
        yield Rank.LATE, Problem(subject=f"lake of {stream}", reason=reason, since=fact.since, page=page)


def _maintenance(known: Known, stream: str) -> Iterator[Ranked]:
    """A part that does not report is a problem of its own."""
    fact = known.facts.get(("maintenance_planned", stream))
    if isinstance(fact, MaintenancePlanned) and fact.reason is not None:
        reason = f"has failed: {fact.reason}"
        yield (
            Rank.UNTENDED,
            Problem(subject=f"maintenance of {stream}", reason=reason, since=known.since(fact), page="/lake"),
        )


def _executors(known: Known, now: datetime) -> Iterator[Ranked]:
    """A cluster takes its time to start some; one that has none left, or whose executors die, takes for ever."""
    for fact in known.facts.values():
        if not isinstance(fact, ExecutorsChanged) or fact.have >= fact.want or now - fact.at > SAID_WITHIN:
            continue
        since = known.since(fact)
        if now - since > MISSING_FOR:
            because = "" if fact.waits_for is None else f": {fact.waits_for}"
            reason = f"has {fact.have} of {fact.want} executors for {_seconds(now - since)}{because}"
            yield Rank.LATE, Problem(subject=fact.target, reason=reason, since=since, page="/scaling")


def _pagers(known: Known, now: datetime) -> Iterator[Ranked]:
    """Who waits to be woken must be told otherwise that nobody will be. Without a routing key that is what was asked for."""
    alerts = known.alerts(now)
    if alerts is None or not alerts.pages:
        return
    if alerts.reason is not None:
        reason = f"has not taken {_events(alerts.waiting)}: {alerts.reason}"
        yield Rank.UNANSWERED, Problem(subject="PagerDuty", reason=reason, page="/alerts")
    if alerts.refused:
        reason = f"has refused {_events(alerts.refused)} of the last day for good"
        yield Rank.REFUSED, Problem(subject="PagerDuty", reason=reason, page="/alerts")


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _hops(known: Known, stream: str, now: datetime) -> Iterator[Ranked]:
    unknown: dict[str, list[tuple[Hop, datetime | None]]] = {}
    for hop in Hop:
        measured = known.hop(stream, hop, now)
        fact = known.facts.get(("hop_measured", stream, hop))
        is_stale = fact is not None and now - fact.at > STALE_AFTER
        if measured.reason is not None and (is_stale or _should_be_there(known, now)):
            since = None if fact is None else fact.at if is_stale else known.since(fact)
            unknown.setdefault(measured.reason, []).append((hop, since))
    for reason, hops in unknown.items():
        yield Rank.UNKNOWN, _unmeasured(stream, reason, hops)


def _unmeasured(stream: str, reason: str, hops: Sequence[tuple[Hop, datetime | None]]) -> Problem:
    """One problem for all hops of a stream that are unknown for the same reason: mostly they have one cause."""
    since = min((moment for _, moment in hops if moment is not None), default=None)
    if len(hops) == 1:
        return Problem(subject=f"{stream}.{hops[0][0]}", reason=f"is unknown: {reason}", since=since)
    names = ", ".join(hop for hop, _ in hops)
    return Problem(subject=f"{len(hops)} hops of {stream}", reason=f"are unknown ({names}): {reason}", since=since)


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
