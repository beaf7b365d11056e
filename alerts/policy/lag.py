"""When does a lag wake somebody? By its verdict over a window, not by a threshold: a large lag that gets less is well.

Who stands still is told of soon, because mostly nothing mends that by itself. Who falls behind is told of when that lasts: a
peak passes. Groups that are not ours are somebody else's to mend: they are told of as a warning, and only if they read a stream
of ours, were at work since they are watched (an abandoned group has stopped for ever), and then stand still.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from alerts.incidents import Condition, Signal
from alerts.policy.observed import STALE_AFTER
from controlplane.contract.alerts import IncidentSeverity
from controlplane.contract.lag import ConsumerKind, LagExplained, LagJudged, LagVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alerts.policy.observed import Observed

QUERY_VERDICTS = {
    LagVerdict.STOP: (IncidentSeverity.ERROR, timedelta(seconds=30)),
    LagVerdict.STALL: (IncidentSeverity.ERROR, timedelta(seconds=30)),
    LagVerdict.REWIND: (IncidentSeverity.WARNING, timedelta(seconds=30)),
    LagVerdict.WARN: (IncidentSeverity.WARNING, timedelta(minutes=5)),
}
"""Verdict of a query -> how bad that is, and for how long it must be so."""
GROUP_VERDICTS = {
    LagVerdict.STOP: (IncidentSeverity.WARNING, timedelta(minutes=5)),
    LagVerdict.STALL: (IncidentSeverity.WARNING, timedelta(minutes=5)),
}
"""The same of consumer groups; all else is well enough."""
EXPLAINED_WITHIN = timedelta(seconds=20)
"""Causes are told every 5 s; older ones are not those of now."""


def lags(observed: Observed) -> Iterator[Signal]:
    """What the verdicts say of each query, and of the groups that read our streams."""
    causes = dict(_causes(observed))
    for fact in observed.of(LagJudged):
        if (subject := _subject(fact)) is not None:
            is_known = fact.verdict is not LagVerdict.UNKNOWN and observed.age(fact) <= STALE_AFTER
            because = causes.get(fact.consumer, "")
            yield (
                _signal(fact, subject, because) if is_known else Signal("lag", subject, Condition.UNKNOWN, *_told(fact))
            )


def _causes(observed: Observed) -> Iterator[tuple[str, str]]:
    """Consumer, and the cause that explains most of its lag, as the end of a sentence."""
    for fact in observed.of(LagExplained):
        if fact.suspects and observed.age(fact) <= EXPLAINED_WITHIN:
            first = fact.suspects[0]
            yield fact.consumer, f"; likeliest cause, {first.cause.replace('_', ' ')}: {first.evidence}"


def _subject(fact: LagJudged) -> str | None:
    if fact.consumer_kind is ConsumerKind.QUERY:
        return None if fact.hop is None else f"{fact.stream}/{fact.hop}"
    was_at_work = any(each.moved_at is not None for each in fact.partitions)
    return f"{fact.stream}/group {fact.consumer} on {fact.topic}" if fact.stream is not None and was_at_work else None


def _signal(fact: LagJudged, subject: str, because: str) -> Signal:
    verdicts = QUERY_VERDICTS if fact.consumer_kind is ConsumerKind.QUERY else GROUP_VERDICTS
    if (told := verdicts.get(fact.verdict)) is None:
        return Signal("lag", subject, Condition.WELL, *_told(fact))
    reason, page = _told(fact)
    return Signal("lag", subject, Condition.WRONG, f"{reason}{because}", page, severity=told[0], after=told[1])


def _told(fact: LagJudged) -> tuple[str, str]:
    """Reason and page."""
    behind = "" if fact.lag_s is None else f", {fact.lag_s:.0f} s behind"
    events = "" if fact.lag_events is None else f" ({fact.lag_events:,} events)"
    reason = f"{fact.consumer}: {fact.verdict}{behind}{events}: {fact.reason or 'no reason is given'}"
    return reason, f"/lag/{quote(fact.consumer, safe='')}"
