"""What waits to be written? The rows of the facts that are kept, thinned and bounded.

A consumer is judged every second, and an autoscaler decides every two: a point in five seconds says as much, unless something
has changed. While ClickHouse is away rows wait, up to a bound; then the oldest are dropped and counted.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.contract.lag import LagJudged
from controlplane.contract.latency import LatencyKept, PromiseCounted
from controlplane.contract.scaling import ExecutorsChanged, ScalingDecided
from controlplane.contract.spark import QueryProgressed, SparkObserved
from controlplane.service.observations.tables import EXECUTORS, rows_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from controlplane.service.observations.tables import Kept, Row, Table

WAITING_AT_MOST = 20_000
"""Rows, of all tables together: some ten minutes of a large platform, an hour of a small one."""
INSERTED_AT_ONCE = 5_000
LAG_EVERY = timedelta(seconds=5)
SCALING_EVERY = timedelta(seconds=30)
EXECUTORS_EVERY = timedelta(seconds=15)
_REFUSED_AT_MOST = 5
"""Tries of a block that ClickHouse answers with a no; then it stands in the way of all others."""
_SEEN_AT_MOST = 5_000


@dataclass(frozen=True)
class Block:
    """Rows of one insert; a try after a failure is of the same rows under the same token."""

    table: Table
    rows: tuple[Row, ...]
    token: str


class Thinned:
    """Which facts are kept? One in a while of each subject, and each that says something else than the one before."""

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[datetime, object]] = {}

    def keeps(self, fact: Kept) -> bool:
        """Is this one kept?"""
        match fact:
            case LagJudged():
                return self._is_due(("lag", fact.consumer, fact.topic), fact.at, fact.verdict, LAG_EVERY)
            case ScalingDecided():
                return self._is_due(("decided", fact.target), fact.at, (fact.want, fact.rule), SCALING_EVERY)
            case QueryProgressed() | SparkObserved() | ExecutorsChanged() | LatencyKept() | PromiseCounted():
                return True
            case _:
                return False

    def keeps_executors(self, fact: SparkObserved) -> bool:
        """Its executors too? They are counters, so few are as good as many."""
        there = tuple(each.executor for each in fact.executors if each.is_active)
        return self._is_due(("executors", fact.part), fact.at, (fact.app_id, there), EXECUTORS_EVERY)

    def _is_due(self, subject: Hashable, at: datetime, says: object, every: timedelta) -> bool:
        last_at, said = self._last.get(subject, (None, None))
        if last_at is not None and said == says and at - last_at < every:
            return False
        if len(self._last) >= _SEEN_AT_MOST and subject not in self._last:
            del self._last[next(iter(self._last))]
        self._last[subject] = (at, says)
        return True


class Waiting:
    """Rows that are not in ClickHouse yet; taken in on one thread, written from another."""

    def __init__(self, at_most: int = WAITING_AT_MOST) -> None:
        self.dropped = 0
        """Rows, since the start."""
        self._at_most = at_most
        self._thinned = Thinned()
        self._rows: dict[Table, deque[Row]] = defaultdict(deque)
        self._tried: Block | None = None
        self._refused = 0
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def fold(self, facts: Iterable[Kept]) -> None:
        """Take in what is to be kept of facts."""
        found = [fact for fact in facts if self._thinned.keeps(fact)]
        if not found:
            return
        with self._lock:
            for fact in found:
                has_executors = not isinstance(fact, SparkObserved) or self._thinned.keeps_executors(fact)
                for table, row in rows_of(fact):
                    if table is not EXECUTORS or has_executors:
                        self._rows[table].append(row)
            self._drop_oldest()

    def block(self) -> Block | None:
        """What is to be inserted next: the one that was tried before, as it was, until it is `done`."""
        with self._lock:
            if self._tried is None and (table := max(self._rows, key=lambda each: len(self._rows[each]), default=None)):
                rows = tuple(islice(self._rows[table], INSERTED_AT_ONCE))
                if rows:
                    self._tried = Block(table, rows, uuid4().hex)
                    for _ in rows:
                        self._rows[table].popleft()
            return self._tried

    def done(self) -> None:
        """The block is in ClickHouse."""
        with self._lock:
            self._tried, self._refused = None, 0

    def refused(self) -> None:
        """ClickHouse is there and says no; after a few times the block is dropped."""
        with self._lock:
            self._refused += 1
            if self._tried is not None and self._refused >= _REFUSED_AT_MOST:
                self.dropped += len(self._tried.rows)
                self._tried, self._refused = None, 0

    def _count(self) -> int:
        tried = 0 if self._tried is None else len(self._tried.rows)
        return tried + sum(map(len, self._rows.values()))

    def _drop_oldest(self) -> None:
        """The table with the most rows loses first: none is pushed out by another's flood."""
        while self._count() > self._at_most:
            longest = max(self._rows.values(), key=len)
            if not longest:
                return
            longest.popleft()
            self.dropped += 1
