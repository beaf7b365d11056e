"""Where are a process's numbers between the work and the scrape? In memory, set where the work is done.

Counters and histograms are prometheus_client's. A gauge says how something is, and nobody knows that for ever: it is held until a
moment, and absent after it. A scrape only reads what is here, so it never waits for a broker, and what is unknown is never 0.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from controlplane.contract.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric as Family

    from controlplane.contract.metrics.table import Metric

FOR_EVER = datetime.max.replace(tzinfo=UTC)
Labels = tuple[str, ...]
Sample = tuple[str, Labels, float]
"""Metric, label values in the table's order, value."""


class Meter:
    """One process's numbers; every method may be called from any thread."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._grown: dict[str, Counter | Histogram] = {}
        self._held: dict[str, dict[Labels, tuple[float, datetime]]] = defaultdict(dict)

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """A counter has grown."""
        grown = self._of(name)
        assert isinstance(grown, Counter), name  # noqa: S101 (the table says so)
        (grown.labels(*labels) if labels else grown).inc(by)

    def observe(self, name: str, *labels: str, value: float) -> None:
        """A histogram has one more value."""
        grown = self._of(name)
        assert isinstance(grown, Histogram), name  # noqa: S101 (the table says so)
        (grown.labels(*labels) if labels else grown).observe(value)

    def hold(self, name: str, *labels: str, value: float | None, until: datetime) -> None:
        """A gauge, or a counter that somebody else keeps, is so until then; None takes it back."""
        with self._lock:
            if value is None:
                self._held[name].pop(labels, None)
            else:
                self._held[name][labels] = (float(value), until)

    def family(self, metric: Metric, more: Iterable[tuple[Labels, float]] = ()) -> Family:
        """A metric as Prometheus' library writes it, with what is known now.

        Args:
            metric: of the table.
            more: samples that are not kept here.
        """
        is_own = metric.kind == "counter" and (metric.name in self._grown or not metric.labels)
        if metric.kind == "histogram" or is_own:
            return next(iter(self._of(metric.name).collect()))
        made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family: Family = made(metric.name, metric.described, labels=metric.labels)
        for labels, value in (*self._known(metric.name), *more):
            family.add_metric(labels, value)  # type: ignore[attr-defined]
        return family

    def _known(self, name: str) -> list[tuple[Labels, float]]:
        now = self._now()
        with self._lock:
            held = self._held[name]
            for labels in [labels for labels, (_, until) in held.items() if until < now]:
                del held[labels]
            return [(labels, value) for labels, (value, _) in held.items()]

    def _of(self, name: str) -> Counter | Histogram:
        with self._lock:
            if name not in self._grown:
                metric = METRICS[name]
                self._grown[name] = (
                    Histogram(name, metric.described, metric.labels, registry=None, buckets=metric.buckets)
                    if metric.kind == "histogram"
                    else Counter(name, metric.described, metric.labels, registry=None)
                )
            return self._grown[name]


METER = Meter()
"""This process's."""
