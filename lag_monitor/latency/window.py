"""What are the latencies of the last half minute? Median, 99th percentile and longest of a bounded number. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from controlplane.contract.spark import LatencyMeasured
from controlplane.contract.spread import MEDIAN, P99, gathered

WITHIN = timedelta(seconds=30)
SAMPLES_AT_MOST = 4_000


class Window:
    """One query's samples."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._samples: deque[tuple[datetime, float]] = deque(maxlen=SAMPLES_AT_MOST)
        self._newest: datetime | None = None

    def add(self, taken_at: datetime, latency_ms: float) -> None:
        """A record: when the valid topic took it, and how long after the raw one."""
        self._samples.append((taken_at, latency_ms))
        self._newest = taken_at if self._newest is None else max(self._newest, taken_at)

    def fact(self, now: datetime, reason: str | None = None) -> LatencyMeasured:
        """How it stands.

        Args:
            now: the time.
            reason: why nothing could be read; then nothing is known.
        """
        found = gathered((latency, 1.0) for at, latency in self._samples if now - at <= WITHIN)
        if reason is None and not found.samples:
            reason = self._nothing(now)
        p50, p99 = (round(found.quantile(share) or 0.0, 1) for share in (MEDIAN, P99))
        latency_ms = None if reason is not None else (p50, p99, found.max_ms)
        return LatencyMeasured(
            at=now,
            query=f"route {self._stream}",
            stream=self._stream,
            latency_ms=latency_ms,
            samples=0 if latency_ms is None else found.samples,
            newest_at=self._newest,
            reason=reason,
        )

    def _nothing(self, now: datetime) -> str:
        if self._newest is None:
            return "route has written no valid event since the lag monitor began to look"
        return f"route has written no valid event for {(now - self._newest).total_seconds():.0f} s"
