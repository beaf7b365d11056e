"""What does one executor do? Rows over the time that tasks took for them, of the last batches.

Task time is what grows with the rows; planning, commits and waiting for a gate do not, and no executor makes them shorter. Spark's
REST API tells it of every executor, so it also has what follows the batches: MERGE of entities, rollups. Where it is not told, a
batch says at least this much: rows over its time on the executors that there were; the better ones are nearer to the truth.

What Spark tells of rows and of task time comes at different moments. So both are summed between looks at which a batch had ended,
and what a look cut in two evens out over many of them; the tenth at either end, by the rate, is left out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.lag import LagJudged
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import QueryProgressed, SparkObserved
from controlplane.service.scaling.load import Capacity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from controlplane.contract.facts import Fact
    from controlplane.contract.spark import ExecutorSeen

AT_WORK_OVER = timedelta(minutes=1)
LOOKS = 20
BATCHES = 20
"""Of a query."""
_LOOKS_AT_LEAST = 5
"""The first batches after a start are slow: the slowest look of those is left out."""
_BATCHES_AT_LEAST = 3
_RATE_OVER = timedelta(seconds=20)
_RATE_AT_LEAST = timedelta(seconds=8)
_AT_WORK_LOOKS = 5
_LEFT_OUT = 10
"""One in so many, at either end."""


@dataclass(frozen=True)
class _Batch:
    rows: int
    took_s: float
    work_s: float
    executors: int | None


@dataclass
class _Query:
    done: tuple[datetime, str, int] | None = None
    """When the newest batch that is counted was told; run and number of it."""
    trigger_s: float | None = None
    batches: deque[_Batch] = field(default_factory=lambda: deque(maxlen=BATCHES))
    ends: deque[tuple[datetime, int]] = field(default_factory=deque)
    """When, and how many offsets its topic had."""


class Work:
    """What a target's executors have done lately.

    Args:
        target: part whose executors they are; its queries are called `<target> <stream>`.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._queries: dict[str, _Query] = {}
        self._have: int | None = None
        self._task_s: dict[tuple[str, str], float] = {}
        self._looked_at: datetime | None = None
        self._rows = 0
        self._busy_s = 0.0
        self._looks: deque[tuple[int, float]] = deque(maxlen=LOOKS)
        self._at_work: deque[tuple[datetime, int, int]] = deque()
        """When, tasks that ran, cores."""

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take in what Spark and the part say; older than what is known, or told before, changes nothing."""
        for fact in facts:
            if isinstance(fact, QueryProgressed) and fact.query.split(" ")[0] == self._target:
                self._progressed(fact)
            elif isinstance(fact, SparkObserved) and fact.part == self._target and fact.reason is None:
                self._looked(fact)
            elif isinstance(fact, LagJudged) and fact.consumer.split(" ")[0] == self._target:
                self._judged(fact)
            elif isinstance(fact, ExecutorsChanged) and fact.target == self._target:
                self._have = fact.have

    def capacity(self, stream: str) -> Capacity:
        """What one executor does for a stream, as measured."""
        found = self._query(stream).batches
        rates = [each.rows / (each.work_s * each.executors) for each in found if each.executors and each.work_s > 0]
        at_least = sorted(rates)[-(-len(rates) * 3 // 4) - 1] if len(rates) >= _BATCHES_AT_LEAST else None
        if len(self._looks) < _LOOKS_AT_LEAST:
            return Capacity(None, at_least, "not measured yet" if at_least is None else "known from batches")
        about = _trimmed(list(self._looks))
        return Capacity(about, about, f"measured over {len(self._looks)} looks")

    def trigger_s(self, stream: str) -> float | None:
        """How often a micro-batch of a stream is to begin."""
        return self._query(stream).trigger_s

    def ordinary_s(self, stream: str) -> float | None:
        """How long a record of a stream waits when all is well; None while no batch has said so.

        A batch takes what came since the one before began, and is done after as long as it takes: a healthy one takes no longer
        than there is between two.
        """
        query = self._query(stream)
        took = [each.took_s for each in query.batches]
        if not took:
            return None if query.trigger_s is None else 2 * query.trigger_s
        longest = max(took) if query.trigger_s is None else min(max(took), query.trigger_s)
        return (query.trigger_s or longest) + longest

    def arriving_per_s(self, stream: str) -> float | None:
        """Offsets a second that came lately; None when that is not known.

        The lag monitor's own rate is over its window of minutes: by then a burst is a backlog.
        """
        ends = self._query(stream).ends
        over = ends[-1][0] - ends[0][0] if ends else timedelta(0)
        return (ends[-1][1] - ends[0][1]) / over.total_seconds() if over >= _RATE_AT_LEAST else None

    def at_work(self, now: datetime) -> float | None:
        """Share of executors' cores that a task ran on, in the last minute; None when that was not looked at enough."""
        found = [(active, cores) for at, active, cores in self._at_work if now - at <= AT_WORK_OVER]
        cores = sum(cores for _, cores in found)
        if len(found) < _AT_WORK_LOOKS or not cores:
            return None
        return min(1.0, sum(active for active, _ in found) / cores)

    def _query(self, stream: str) -> _Query:
        return self._queries.get(f"{self._target} {stream}", _Query())

    def _progressed(self, fact: QueryProgressed) -> None:
        query = self._queries.setdefault(fact.query, _Query())
        query.trigger_s = fact.trigger_s or query.trigger_s
        if fact.batch_id is None or fact.rows is None or fact.took_s is None:
            return
        run = fact.run_id or ""
        if query.done is not None and (fact.at <= query.done[0] or (run, fact.batch_id) == query.done[1:]):
            return
        query.done = (fact.at, run, fact.batch_id)
        self._rows += fact.rows
        if fact.rows > 0:
            work_s = fact.took_s if fact.phases is None else fact.phases.work_s or fact.took_s
            query.batches.append(_Batch(fact.rows, fact.took_s, work_s, self._have))

    def _judged(self, fact: LagJudged) -> None:
        ends = self._queries.setdefault(fact.consumer, _Query()).ends
        known = [each.end for each in fact.partitions if each.end is not None]
        if len(known) < len(fact.partitions) or not known or (ends and sum(known) < ends[-1][1]):
            ends.clear()
        elif not ends or fact.at > ends[-1][0]:
            ends.append((fact.at, sum(known)))
        while len(ends) > 1 and fact.at - ends[0][0] > _RATE_OVER:
            ends.popleft()

    def _looked(self, fact: SparkObserved) -> None:
        if self._looked_at is not None and fact.at <= self._looked_at:
            return
        is_first = self._looked_at is None
        self._looked_at = fact.at
        for executor in _working(fact.executors):
            key, cores = (fact.app_id, executor.executor), max(1, executor.cores)
            self._busy_s += max(0.0, executor.task_s - self._task_s.get(key, 0.0)) / cores
            self._task_s[key] = executor.task_s
        working = _working(fact.executors)
        cores = sum(each.cores for each in working if each.is_active)
        self._at_work.append((fact.at, sum(each.active_tasks for each in working if each.is_active), cores))
        while fact.at - self._at_work[0][0] > AT_WORK_OVER:
            self._at_work.popleft()
        for gone in [key for key in self._task_s if key[0] != fact.app_id]:
            del self._task_s[gone]
        if is_first:  # what they did before is of rows that nobody counted here
            self._rows, self._busy_s = 0, 0.0
        elif self._rows > 0 and self._busy_s > 0:
            self._looks.append((self._rows, self._busy_s))
            self._rows, self._busy_s = 0, 0.0


def _working(executors: tuple[ExecutorSeen, ...]) -> list[ExecutorSeen]:
    """A local session's only executor is its driver."""
    return [each for each in executors if each.executor != "driver"] or list(executors)


def _trimmed(looks: list[tuple[int, float]]) -> float:
    by_rate = sorted(looks, key=lambda look: look[0] / look[1])
    out = max(1, len(by_rate) // _LEFT_OUT)
    kept = by_rate[out : len(by_rate) - out]
    return sum(rows for rows, _ in kept) / sum(busy for _, busy in kept)
