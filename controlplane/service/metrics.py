"""What does Prometheus get? What is known, looked up when it asks.

Unknown is absent, never 0: a count that could not be counted, or is of a ledger that nobody has taken lately, has no
sample, so that no rate is drawn over it and `absent()` finds it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from controlplane.contract.facts import MismatchKind, PartState, Verdict
from controlplane.contract.names import Hop
from controlplane.contract.replays import RejectsKept, Status
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

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
METRICS: Mapping[str, tuple[type[CounterMetricFamily | GaugeMetricFamily], str, tuple[str, ...]]] = {
    "tidegate_ledger_events_total": (
        CounterMetricFamily,
        "Events that the ledger has counted at a hop since the stream began.",
        ("stream", "hop"),
    ),
    "tidegate_ledger_verdict": (
        GaugeMetricFamily,
        "1 for the ledger's verdict, 0 for the others; a ledger that is not taken lately is unknown.",
        ("stream", "verdict"),
    ),
    "tidegate_ledger_mismatched_events": (
        GaugeMetricFamily,
        "Events that a hop does not have once, in the mismatches that the ledger lists.",
        ("stream", "hop", "kind"),
    ),
    "tidegate_ledger_taken_timestamp_seconds": (
        GaugeMetricFamily,
        "When the ledger was last taken.",
        ("stream",),
    ),
    "tidegate_rejects": (
        GaugeMetricFamily,
        "Turned-away records that the lake keeps, by what was done with them: waiting, replayed, discarded.",
        ("stream", "status"),
    ),
    "tidegate_part_up": (
        GaugeMetricFamily,
        "1 while a part runs, 0 while it does not; absent for one whose work is done.",
        ("part",),
    ),
    "tidegate_part_restarts_total": (
        CounterMetricFamily,
        "Starts of a part after its first.",
        ("part",),
    ),
    "tidegate_problems": (GaugeMetricFamily, "Problems that the console shows now.", ()),
    "tidegate_incidents": (GaugeMetricFamily, "Open incidents; critical says whether they are.", ("critical",)),
    "tidegate_pages_waiting": (GaugeMetricFamily, "Events that PagerDuty has not taken yet.", ()),
}
"""Name as exposed -> type, help, labels."""

Sample = tuple[str, tuple[str, ...], float]


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
        yield "tidegate_part_restarts_total", (part.part,), float(part.restarts)
    yield "tidegate_problems", (), float(problems)
    if (alerts := known.alerts(now)) is not None:
        yield "tidegate_incidents", ("true",), float(alerts.critical)
        yield "tidegate_incidents", ("false",), float(alerts.open - alerts.critical)
        yield "tidegate_pages_waiting", (), float(alerts.waiting)


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


class KnownCollector(Collector):
    """Puts samples into Prometheus' families."""

    def __init__(self, look: Callable[[], Iterable[Sample]]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """Every family, whether it has samples or not."""
        found = defaultdict(list)
        for name, labels, value in self._look():
            found[name].append((labels, value))
        for name, (family, described, labels) in METRICS.items():
            metric = family(name, described, labels=labels)
            for values, value in found[name]:
                metric.add_metric(values, value)
            yield metric


def registry_of(look: Callable[[], Iterable[Sample]]) -> CollectorRegistry:
    """A registry with what `look` finds and nothing of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(KnownCollector(look))
    return registry
