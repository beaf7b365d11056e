"""Are the streams' service levels kept? What is counted in seconds is judged by the control plane, `validity` is counted here.

`freshness` and `latency`: the control plane counts and judges, and says so (`BurnJudged`), so that incidents and the Latency page
cannot differ. `validity` counts events: each second what was routed since the second before, and which share was turned away.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from alerts.incidents import Condition, Signal
from alerts.policy.burn import SEVERITY, condition_of
from alerts.policy.observed import STALE_AFTER, Observed
from controlplane.contract.burn import FAST, SLOW, Budget
from controlplane.contract.durations import format_duration
from controlplane.contract.facts import HopMeasured
from controlplane.contract.latency import BurnJudged, BurnVerdict
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from controlplane.contract.streams import StreamDefinition

_VALIDITY = "validity"
_JUDGED = {
    BurnVerdict.KEPT: (Condition.WELL, None),
    BurnVerdict.UNKNOWN: (Condition.UNKNOWN, None),
    BurnVerdict.BURNS: (Condition.WRONG, SEVERITY[SLOW]),
    BurnVerdict.BURNS_FAST: (Condition.WRONG, SEVERITY[FAST]),
}
_LEAST_EVENTS = 500.0
_ROUTED = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)


class Promises:
    """What was said and counted of every service level."""

    def __init__(self, streams: Mapping[str, StreamDefinition]) -> None:
        self._streams = streams
        self._budgets: dict[str, Budget] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._judged: list[BurnJudged] = []

    def count(self, observed: Observed) -> None:
        """Take in what is observed now; what a control plane that is away has judged before says nothing of now."""
        self._judged = [each for each in observed.of(BurnJudged) if observed.age(each) <= STALE_AFTER]
        hops = {(fact.stream, fact.hop): fact for fact in observed.of(HopMeasured) if observed.age(fact) <= STALE_AFTER}
        for name, stream in self._streams.items():
            self._validity(name, stream, [hops.get((name, hop)) for hop in _ROUTED], observed.at)

    def signals(self, now: datetime) -> Iterator[Signal]:
        """How each service level is."""
        for stream, budget in self._budgets.items():
            burning = budget.judged(now)
            severity = None if burning.pace is None else SEVERITY[burning.pace]
            reason = "" if burning.pace is None else self._turned_away(stream, burning.bad_share)
            yield Signal(_VALIDITY, stream, condition_of(burning), reason, f"/quality/{stream}", severity)
        yield from map(_of_seconds, self._judged)

    def rows(self, since: datetime) -> list[tuple[str, str, float, float, float]]:
        """What a restart should not forget, of what may have changed since: (rule, stream, start, bad, total)."""
        return [(_VALIDITY, stream, *row) for stream, budget in self._budgets.items() for row in budget.rows(since)]

    def restore(self, rows: list[tuple[str, str, float, float, float]]) -> None:
        """Take in what an earlier run had counted; of streams that are gone nothing is."""
        found: dict[str, list[tuple[float, float, float]]] = {}
        for rule, stream, *row in rows:
            if rule == _VALIDITY and stream in self._streams:
                found.setdefault(stream, []).append((row[0], row[1], row[2]))
        for stream, kept in found.items():
            self._budget(stream).restore(kept)

    def _validity(self, name: str, stream: StreamDefinition, hops: list[HopMeasured | None], now: datetime) -> None:
        counts = [None if hop is None else hop.events for hop in hops]
        if None in counts or stream.service_levels.validity >= 1:
            return
        valid, *turned_away = (count or 0 for count in counts)
        bad, total = sum(turned_away), valid + sum(turned_away)
        before = self._counted.get(name, (bad, total))
        self._counted[name] = (bad, total)
        if total >= before[1] and bad >= before[0]:
            self._budget(name).count(now, bad - before[0], total - before[1])

    def _budget(self, stream: str) -> Budget:
        share = 1 - self._streams[stream].service_levels.validity
        return self._budgets.setdefault(stream, Budget(share, _LEAST_EVENTS))

    def _turned_away(self, stream: str, share: float) -> str:
        may_be = 1 - self._streams[stream].service_levels.validity
        return f"{share:.1%} of the last minutes' events were turned away, {may_be:.1%} may be"


def _of_seconds(burn: BurnJudged) -> Signal:
    """What the control plane has counted and judged."""
    condition, severity = _JUDGED[burn.verdict]
    page = f"/latency/{burn.stream}" if burn.level == "latency" else f"/live/{burn.stream}"
    return Signal(burn.level, burn.subject, condition, _late(burn) if severity else "", page, severity)


def _late(burn: BurnJudged) -> str:
    share = f"for {burn.bad_share or 0:.0%} of the last minutes"
    if burn.level == "freshness":
        return f"data was older than {format_duration(timedelta(seconds=burn.promised_s))} {share}"
    where = "to the hub, as probes measured it" if burn.by == "probes" else "to the pixel"
    return f"events took longer than {burn.promised_s:g} s {where}, {share}"
