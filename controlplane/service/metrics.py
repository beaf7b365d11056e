"""What does Prometheus get? What is known, looked up when it asks.

Unknown is absent, never 0: a count that could not be counted, or is of a ledger that nobody has taken lately, has no
sample, so that no rate is drawn over it and `absent()` finds it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import MismatchKind, PartState, Verdict
from controlplane.contract.latency import ProbesJudged
from controlplane.contract.names import Hop
from controlplane.contract.replays import RejectsKept, Status
from controlplane.contract.scaling import ScalingDecided
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from controlplane.contract.latency import BurnJudged
    from controlplane.contract.metrics.meter import Sample
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.hub import Hub
    from controlplane.service.state import Known

_COUNTED = {
    Hop.RAW: "produced",
    Hop.VALID: "valid",
    Hop.DEAD: "dead",
    Hop.QUARANTINE: "quarantined",
    Hop.LAKE: "lake",
    Hop.SERVING: "serving",
}
_COMPARED = (Hop.VALID, Hop.LAKE, Hop.SERVING)
_DECIDED_FOR = timedelta(seconds=60)
"""What the autoscaler said holds for so long."""


def samples(known: Known, streams: Iterable[str], problems: int, now: datetime) -> Iterator[Sample]:
    """Every sample that is known, as (metric, label values, value)."""
    for stream in streams:
        yield from _ledger(known, stream, now)
        yield from _rejects(known, stream, now)
    for part in known.parts():
        if now - part.at > STALE_AFTER:
            continue
        if part.state is not PartState.ENDED:
            yield "tidegate_part_up", (part.part,), float(part.state is PartState.RUNNING)
        for state in PartState:
            yield "tidegate_part_state", (part.part, state), float(part.state is state)
        yield "tidegate_part_restarts_total", (part.part,), float(part.restarts)
    yield "tidegate_problems", (), float(problems)
    if (alerts := known.alerts(now)) is not None:
        yield "tidegate_incidents", ("true",), float(alerts.critical)
        yield "tidegate_incidents", ("false",), float(alerts.open - alerts.critical)
        yield "tidegate_pages_waiting", (), float(alerts.waiting)
    probes = known.facts.get(("probes_judged",))
    if isinstance(probes, ProbesJudged) and now - probes.at <= STALE_AFTER:
        yield "tidegate_probes_missing", (), float(probes.reason is not None)
    yield from _scaling(known, now)


def _scaling(known: Known, now: datetime) -> Iterator[Sample]:
    for fact in known.facts.values():
        if isinstance(fact, ScalingDecided) and now - fact.at <= _DECIDED_FOR:
            for name, executors in (("have", fact.have), ("want", fact.want)):
                if executors is not None:
                    yield f"tidegate_scaling_{name}", (fact.target,), float(executors)


def promises(streams: Iterable[StreamDefinition]) -> Iterator[Sample]:
    """What each stream's definition promises."""
    for stream in streams:
        levels = stream.service_levels
        yield "tidegate_promised_freshness_seconds", (stream.name,), levels.freshness.total_seconds()
        yield "tidegate_promised_validity_ratio", (stream.name,), levels.validity
        yield "tidegate_promised_latency_seconds", (stream.name,), levels.latency.total_seconds()


def hub_samples(hub: Hub) -> Iterator[Sample]:
    """Who watches."""
    yield "tidegate_hub_clients", (), float(len(hub.clients))


def burn_samples(burns: Iterable[BurnJudged], now: datetime) -> Iterator[Sample]:
    """How fast error budgets are spent, and what is left of them."""
    for burn in burns:
        if now - burn.at > STALE_AFTER:
            continue
        of = (burn.stream, burn.level, burn.hop or "")
        for window, rate in burn.rates.items():
            if rate is not None:
                yield "tidegate_burn_rate", (*of, window), rate
        if burn.budget_left is not None:
            yield "tidegate_error_budget_left_ratio", of, burn.budget_left


def _ledger(known: Known, stream: str, now: datetime) -> Iterator[Sample]:
    verdict, _ = known.verdict(stream, now)
    for each in Verdict:
        yield "tidegate_ledger_verdict", (stream, each), float(each is verdict)
    taken = known.ledger(stream)
    if taken is None:
        return
    yield "tidegate_ledger_taken_timestamp_seconds", (stream,), taken.at.timestamp()
    if now - taken.at > STALE_AFTER:
        return
    for hop, column in _COUNTED.items():
        if (count := taken.total(column)) is not None:
            yield "tidegate_ledger_events_total", (stream, hop), float(count)
    if verdict is not Verdict.UNKNOWN:
        found: dict[tuple[Hop, MismatchKind], int] = defaultdict(int)
        for mismatch in taken.mismatches:
            found[mismatch.hop, mismatch.kind] += mismatch.events
        for hop in _COMPARED:
            for kind in MismatchKind:
                yield "tidegate_ledger_mismatched_events", (stream, hop, kind), float(found[hop, kind])


def _rejects(known: Known, stream: str, now: datetime) -> Iterator[Sample]:
    kept = known.facts.get(("rejects_kept", stream))
    if not isinstance(kept, RejectsKept) or kept.reason is not None or now - kept.at > STALE_AFTER:
        return
    for status in Status:
        if (count := getattr(kept, status)) is not None:
            yield "tidegate_rejects", (stream, status), float(count)
