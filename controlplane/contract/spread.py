"""How are latencies kept, so that those of six hours are a few numbers, and any of them can be added up?

In buckets that grow by a sixteenth of an octave (4.4 %), as HdrHistogram and Prometheus' native histograms do: a percentile is
within 2.2 % of the sample that it stands for, and two spreads add up to what one of all samples would be, in whatever order.
This is the one place where percentiles are computed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

_AN_OCTAVE = 16
_LEAST_MS = 0.5
"""Nothing here is measured more finely; what is below is in the first bucket."""
MEDIAN, P99 = 0.5, 0.99


class Spread(Frozen):
    """Latencies in milliseconds."""

    weights: dict[int, float] = Field(default_factory=dict)
    """Bucket -> how much fell into it: events, or milliseconds of the stream's time."""
    samples: int = 0
    """So many were measured."""
    max_ms: float = 0.0

    def quantile(self, share: float) -> float | None:
        """The latency that so large a share is not above, in milliseconds; None of nothing."""
        wanted, passed = share * sum(self.weights.values()), 0.0
        if wanted <= 0:
            return None
        for bucket, weight in sorted(self.weights.items()):
            if passed + weight >= wanted - 1e-9:
                return min(self.max_ms, lower_ms(bucket + (wanted - passed) / weight))
            passed += weight
        return self.max_ms


class Gathering:
    """A spread that grows."""

    def __init__(self) -> None:
        self._weights: dict[int, float] = {}
        self._samples, self._max_ms = 0, 0.0

    def add(self, ms: float, weight: float = 1.0) -> None:
        """One sample; a clock that is a little ahead makes it negative, which is as good as nothing."""
        bucket = math.floor(math.log2(max(ms, _LEAST_MS)) * _AN_OCTAVE)
        self._weights[bucket] = self._weights.get(bucket, 0.0) + weight
        self._samples += 1
        self._max_ms = max(self._max_ms, ms)

    def merge(self, other: Spread) -> None:
        """All of another's."""
        for bucket, weight in other.weights.items():
            self._weights[bucket] = self._weights.get(bucket, 0.0) + weight
        self._samples += other.samples
        self._max_ms = max(self._max_ms, other.max_ms)

    def spread(self) -> Spread:
        """What has been gathered so far."""
        return Spread(weights=dict(self._weights), samples=self._samples, max_ms=self._max_ms)


def gathered(weighted: Iterable[tuple[float, float]]) -> Spread:
    """Of (milliseconds, weight)."""
    gathering = Gathering()
    for ms, weight in weighted:
        gathering.add(ms, weight)
    return gathering.spread()


def merged(spreads: Iterable[Spread]) -> Spread:
    """All of several."""
    gathering = Gathering()
    for each in spreads:
        gathering.merge(each)
    return gathering.spread()


def lower_ms(bucket: float) -> float:
    """Where a bucket begins."""
    return float(2 ** (bucket / _AN_OCTAVE))
