"""Are the streams' service levels kept? Counts each second what was good and what was bad, and judges by burn rate.

`validity` counts events. `freshness` counts seconds: a second in which the oldest event that a hop has not taken was older than
promised is a bad one; one hundredth of them may be. A second in which that was not measured, or in which an operation held the
lake because somebody wanted it, is not counted. `latency` the control plane counts itself, and says how it burns (`BurnJudged`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.incidents import Condition, Signal
from alerts.policy.burn import SEVERITY, condition_of
from alerts.policy.observed import STALE_AFTER, Observed
from controlplane.contract.burn import FAST, SLOW, Budget
from controlplane.contract.durations import format_duration
from controlplane.contract.facts import HopMeasured, StreamHeld
from controlplane.contract.latency import BurnJudged, BurnVerdict
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from alerts.incidents import Key
    from controlplane.contract.streams import StreamDefinition

_COUNTED = ("freshness", "validity")
_LATENCY = {
    BurnVerdict.KEPT: (Condition.WELL, None),
    BurnVerdict.UNKNOWN: (Condition.UNKNOWN, None),
    BurnVerdict.BURNS: (Condition.WRONG, SEVERITY[SLOW]),
    BurnVerdict.BURNS_FAST: (Condition.WRONG, SEVERITY[FAST]),
}
_LEAST_EVENTS = 500.0
_LONGEST_STEP_S = 5.0
_ROUTED = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)


class Promises:
    """What was counted of every service level."""

    def __init__(self, streams: Mapping[str, StreamDefinition]) -> None:
        self._streams = streams
        self._budgets: dict[Key, Budget] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._latency: list[BurnJudged] = []
        self._at: datetime | None = None

    def count(self, observed: Observed) -> None:
        """Take in what is observed now."""
        step = 0.0 if self._at is None else min((observed.at - self._at).total_seconds(), _LONGEST_STEP_S)
        self._at = observed.at
        if observed.facts is None:
            return
        hops = {(fact.stream, fact.hop): fact for fact in observed.of(HopMeasured) if observed.age(fact) <= STALE_AFTER}
        held = {(fact.stream, Hop.LAKE) for fact in observed.of(StreamHeld) if fact.holds == "appends"}
        for name, stream in self._streams.items():
            promised = stream.service_levels.freshness.total_seconds()
            for hop in (Hop.LAKE, Hop.SERVING):
                found = hops.get((name, hop))
                if found is not None and found.lag_s is not None and (name, hop) not in held:
                    is_old = found.lag_s > promised
                    self._seconds("freshness", f"{name}/{hop}").count(observed.at, step if is_old else 0.0, step)
            self._validity(name, stream, [hops.get((name, hop)) for hop in _ROUTED], observed.at)
        self._latency = [
            each for each in observed.of(BurnJudged) if each.level == "latency" and observed.age(each) <= STALE_AFTER
        ]

    def signals(self, now: datetime) -> Iterator[Signal]:
        """How each service level is."""
        for (rule, subject), budget in self._budgets.items():
            burning = budget.judged(now)
            severity = None if burning.pace is None else SEVERITY[burning.pace]
            reason = "" if burning.pace is None else self._reason(rule, subject, burning.bad_share)
            yield Signal(rule, subject, condition_of(burning), reason, _page(rule, subject), severity)
        yield from map(_of_latency, self._latency)

    def rows(self, since: datetime) -> list[tuple[str, str, float, float, float]]:
        """What a restart should not forget, of what may have changed since: (rule, subject, start, bad, total)."""
        return [(*key, *row) for key, budget in self._budgets.items() for row in budget.rows(since)]

    def restore(self, rows: list[tuple[str, str, float, float, float]]) -> None:
        """Take in what an earlier run had counted; of streams that are gone nothing is."""
        found: dict[Key, list[tuple[float, float, float]]] = {}
        for rule, subject, *row in rows:
            if rule in _COUNTED and subject.partition("/")[0] in self._streams:
                found.setdefault((rule, subject), []).append((row[0], row[1], row[2]))
        for (rule, subject), kept in found.items():
            budget = self._events(subject) if rule == "validity" else self._seconds(rule, subject)
            budget.restore(kept)

    def _validity(self, name: str, stream: StreamDefinition, hops: list[HopMeasured | None], now: datetime) -> None:
        counts = [None if hop is None else hop.events for hop in hops]
        if None in counts or stream.service_levels.validity >= 1:
            return
        valid, *turned_away = (count or 0 for count in counts)
        bad, total = sum(turned_away), valid + sum(turned_away)
        before = self._counted.get(name, (bad, total))
        self._counted[name] = (bad, total)
        if total >= before[1] and bad >= before[0]:
            self._events(name).count(now, bad - before[0], total - before[1])

    def _events(self, stream: str) -> Budget:
        share = 1 - self._streams[stream].service_levels.validity
        return self._budgets.setdefault(("validity", stream), Budget(share, _LEAST_EVENTS))

    def _seconds(self, rule: str, subject: str) -> Budget:
        return self._budgets.setdefault((rule, subject), Budget())

    def _reason(self, rule: str, subject: str, share: float) -> str:
        stream = self._streams.get(subject.partition("/")[0])
        if rule == "validity" and stream is not None:
            return f"{share:.1%} of the last minutes' events were turned away, {1 - stream.service_levels.validity:.1%} may be"
        promised = "" if stream is None else format_duration(stream.service_levels.freshness)
        return f"data was older than {promised} for {share:.0%} of the last minutes"


def _of_latency(burn: BurnJudged) -> Signal:
    """What the control plane has counted and judged."""
    condition, severity = _LATENCY[burn.verdict]
    where = "to the hub, as probes measured it" if burn.by == "probes" else "to the pixel"
    reason = f"events took longer than {burn.promised_s:g} s {where}, for {burn.bad_share or 0:.0%} of the last minutes"
    return Signal("latency", burn.stream, condition, reason if severity else "", f"/latency/{burn.stream}", severity)


def _page(rule: str, subject: str) -> str:
    stream = subject.partition("/")[0]
    return f"/quality/{stream}" if rule == "validity" else f"/live/{stream}"
