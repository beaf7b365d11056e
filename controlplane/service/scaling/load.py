"""What is asked of a target's executors, in executors? The arithmetic that the rules rest on; pure.

An executor that does 1,000 events a second is half busy at 500. So a rate and a backlog, over what one executor does, are a
number of busy executors, whatever the batches look like: neither how long a batch took (most of a small one is planning) nor CPU
says that. What one executor does may be known only from below, from batches that may have waited for other things; then it is
believed where it asks for fewer executors, and where records pile up, and nowhere else: or each executor that does not help would
ask for the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from controlplane.contract.scaling import ExecutorsChanged

_PILED_UP = 2.0
"""Times what ordinarily waits."""


@dataclass(frozen=True)
class Capacity:
    """What one executor does, events a second of its busy time."""

    about: float | None = None
    """None: not measured, or not enough."""
    at_least: float | None = None
    how: str = "not measured yet"
    is_bound: bool = False
    """It is its share of a micro-batch that it can't do more than, not how fast it is."""

    def within(self, bound: float | None) -> Capacity:
        """Not more than a bound."""
        known = self.about or self.at_least
        if bound is None or known is None or known <= bound:
            return self
        return Capacity(bound, bound, "its share of a micro-batch", is_bound=True)


@dataclass(frozen=True)
class Demand:
    """One stream, as its query stands."""

    stream: str
    arriving_per_s: float | None = None
    lag_events: int | None = None
    partitions: int | None = None
    """Of its topic: a task each, at most."""
    capacity: Capacity = Capacity()
    ordinary_s: float = 20.0
    """So long a record waits when all is well: micro-batches take what came since the one before."""
    stopped: str | None = None
    """Why executors are not what it lacks."""
    unknown: str | None = None
    """Why something above is not known."""

    @property
    def waiting(self) -> float:
        """Events that are more than what ordinarily waits."""
        arriving, lag = self.arriving_per_s or 0.0, self.lag_events or 0
        ordinary = arriving * self.ordinary_s
        if self.capacity.about is None and lag <= _PILED_UP * ordinary:
            return 0.0
        return max(0.0, lag - ordinary)

    @property
    def lacks(self) -> str | None:
        """What must be known before anything can be said; None when it is."""
        if self.unknown is not None:
            return f"{self.stream}: {self.unknown}"
        if self.arriving_per_s is None or self.lag_events is None:
            return f"{self.stream}: its {'rate' if self.arriving_per_s is None else 'lag'} is not known"
        if (self.arriving_per_s > 0 or self.lag_events > 0) and self.per_s is None:
            return f"{self.stream}: what an executor does is {self.capacity.how}"
        return None

    @property
    def per_s(self) -> float | None:
        """What one executor does, as far as that is known."""
        return self.capacity.about or self.capacity.at_least

    def busy(self) -> float:
        """Executors that what arrives keeps busy, at most."""
        return 0.0 if self.per_s is None else (self.arriving_per_s or 0.0) / self.per_s

    def busy_surely(self) -> float:
        """Executors that what arrives keeps busy, at least."""
        about = self.capacity.about
        return 0.0 if about is None else (self.arriving_per_s or 0.0) / about

    def working_off(self, within: timedelta) -> float:
        """Executors that are busy when what waits is to be gone in time."""
        if self.per_s is None or self.per_s <= 0:
            return 0.0
        arriving = self.busy() if self.waiting > 0 else self.busy_surely()
        return arriving + self.waiting / within.total_seconds() / self.per_s

    def can_use(self, executors: ExecutorsChanged | None) -> float:
        """Executors of which more would find no task of its topic; without an end where that is not known."""
        if self.partitions is None or executors is None or executors.shares_partitions:
            return inf
        return self.partitions / executors.cores


@dataclass(frozen=True)
class Load:
    """All that a decision looks at, but for the policy."""

    executors: ExecutorsChanged | None
    """None when the part has not said so lately."""
    demands: tuple[Demand, ...]
    reason: str | None = None
    """Why `executors` is None."""
    target: str = "lake"
    at_work: float | None = None
    """Share of executors' cores that a task ran on when they were looked at, in the last minute; None: not looked at enough."""

    @property
    def moving(self) -> tuple[Demand, ...]:
        """Streams whose query goes on and of which enough is known."""
        return tuple(each for each in self.demands if each.stopped is None and each.lacks is None)

    @property
    def stopped(self) -> tuple[str, ...]:
        """Why queries stand still."""
        return tuple(
            f"{self.target} of {each.stream} {each.stopped}" for each in self.demands if each.stopped is not None
        )

    @property
    def lacking(self) -> tuple[str, ...]:
        """What is not known of queries that go on."""
        found = (each.lacks for each in self.demands if each.stopped is None)
        return tuple(each for each in found if each is not None)

    @property
    def ceiling(self) -> int | None:
        """Executors of which more would do nothing; None when there is no such number, or it is not known."""
        counts = [each.partitions for each in self.demands]
        if self.executors is None or self.executors.shares_partitions or not counts or None in counts:
            return None
        return max(1, -(-sum(count or 0 for count in counts) // self.executors.cores))
