"""What would a cluster do that is told how many executors to have? A model behind the same facts as the real one; seeded.

Executors take a while to start, some die; a micro-batch takes what has come, needs a fixed time that no executor makes shorter,
and then as many executors as there are tasks for. Executors go at the end of a batch. What it says is said as the real parts say
it, so what is tried with it is the autoscaler itself: facts, measuring, rules.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict, PartitionLag
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.spark import ExecutorSeen, QueryPhases, QueryProgressed, SparkObserved

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from datetime import datetime

    from controlplane.contract.facts import Fact

STREAM = "simulated"
_TARGET = "lake"
_RATE_OVER_S = 60.0
_FALLS_BEHIND_FROM_S = 60.0


@dataclass(frozen=True)
class Cluster:
    """What the simulated cluster is like."""

    per_s: float = 1000.0
    """Events a second that a busy executor does."""
    overhead_s: float = 1.5
    """Of every batch, whatever there is to do."""
    trigger_s: float = 10.0
    batch_events: int = 1_000_000
    partitions: int = 64
    start_up: timedelta = timedelta(seconds=8)
    starts_with: int = 2
    most: int = 1000
    mean_life: timedelta | None = None
    """Of an executor; None: none dies."""
    noise: float = 0.1
    """What arrives, and what an executor does, are off by up to this share."""


@dataclass
class _Executor:
    name: str
    ready_at: datetime
    task_s: float = 0.0


@dataclass
class _Batch:
    number: int
    began_at: datetime
    rows: int
    overhead_s: float
    left: float
    done_by: dict[str, float] = field(default_factory=dict)


class SimulatedCluster:
    """A query and its executors, in simulated time.

    Args:
        cluster: what it is like.
        began: the simulated time of the beginning.
        chance: where noise and deaths come from.
    """

    def __init__(self, cluster: Cluster, began: datetime, chance: random.Random) -> None:
        self.like = cluster
        self.failed = 0
        self.produced = 0.0
        self.taken = 0
        self.want = cluster.starts_with
        self._chance = chance
        self._began = began
        self._names = iter(range(1, 1_000_000))
        self._executors = [self._started(began) for _ in range(cluster.starts_with)]
        self._batch: _Batch | None = None
        self._batches = 0
        self._due = began
        self._produced: deque[tuple[datetime, float]] = deque()

    @property
    def lag(self) -> int:
        """Events that were produced and not taken."""
        return int(self.produced) - self.taken

    def have(self, now: datetime) -> int:
        """Executors that are there."""
        return sum(each.ready_at <= now for each in self._executors)

    def scale(self, want: int, now: datetime) -> None:
        """What the part was told; more are asked for at once, fewer go at the end of a batch."""
        self.want = want
        missing = min(want, self.like.most) - len(self._executors)
        self._executors += [self._started(now + self.like.start_up) for _ in range(missing)]

    def step(self, now: datetime, length: timedelta, events_per_s: float) -> Iterator[Fact]:
        """Go on for a while; yields what is said of it, a batch that is done."""
        length_s = length.total_seconds()
        self.produced += events_per_s * length_s * self._noisy()
        self._produced.append((now, self.produced))
        while now - self._produced[0][0] > timedelta(seconds=_RATE_OVER_S):
            self._produced.popleft()
        self._let_die(now, length_s)
        if self._batch is None and now >= self._due and self.lag > 0:
            self._begin(now)
        if self._batch is not None and self._work(self._batch, now, length_s):
            yield self._finished(self._batch, now)
            self._batch = None
            self._let_go(now)

    def said(self, now: datetime) -> Iterator[Fact]:
        """What part, lag monitor and Spark's REST API say every few seconds."""
        (first_at, first), (last_at, last) = self._produced[0], self._produced[-1]
        over_s = (last_at - first_at).total_seconds()
        arriving = (last - first) / over_s if over_s else None
        behind = arriving is not None and self.lag > arriving * _FALLS_BEHIND_FROM_S
        yield LagJudged(
            at=now,
            consumer=f"{_TARGET} {STREAM}",
            consumer_kind=ConsumerKind.QUERY,
            topic=f"{STREAM}.valid",
            stream=STREAM,
            partitions=tuple(
                PartitionLag(partition=number, end=int(self.produced + number) // self.like.partitions)
                for number in range(self.like.partitions)
            ),
            lag_events=self.lag,
            arriving_per_s=arriving,
            verdict=LagVerdict.WARN if behind else LagVerdict.OK,
        )
        yield self._changed(now)
        works = self._batch is not None and self._batch.overhead_s <= 0
        executors = tuple(_seen(each, works=works) for each in self._executors if each.ready_at <= now)
        yield SparkObserved(at=now, part=_TARGET, app_id="app-simulated", executors=executors)

    def _changed(self, now: datetime) -> ExecutorsChanged:
        have = self.have(now)
        return ExecutorsChanged(
            at=now,
            target=_TARGET,
            have=have,
            want=self.want,
            cores=1,
            least=1,
            most=self.like.most,
            port="simulated",
            waits_for=f"{self.want - have} start" if have < self.want else None,
            failed=self.failed,
        )

    def _started(self, ready_at: datetime) -> _Executor:
        return _Executor(str(next(self._names)), ready_at)

    def _noisy(self) -> float:
        return 1 + self.like.noise * self._chance.uniform(-1, 1)

    def _let_die(self, now: datetime, length_s: float) -> None:
        """One that dies takes what it did for the batch with it; its successor is asked for at once."""
        if self.like.mean_life is None:
            return
        chance = length_s / self.like.mean_life.total_seconds()
        for executor in [each for each in self._executors if each.ready_at <= now and self._chance.random() < chance]:
            self._executors.remove(executor)
            self.failed += 1
            if self._batch is not None:
                self._batch.left += self._batch.done_by.pop(executor.name, 0.0)
        self.scale(self.want, now)

    def _begin(self, now: datetime) -> None:
        rows = min(self.lag, self.like.batch_events)
        self._batch = _Batch(self._batches, now, rows, self.like.overhead_s, float(rows))
        self._batches += 1
        self._due = now + timedelta(seconds=self.like.trigger_s)

    def _work(self, batch: _Batch, now: datetime, length_s: float) -> bool:
        """A step of a batch; says whether it is done."""
        planned = min(length_s, batch.overhead_s)
        batch.overhead_s -= planned
        for executor in [each for each in self._executors if each.ready_at <= now][: self.like.partitions]:
            done = min(batch.left, (length_s - planned) * self.like.per_s * self._noisy())
            batch.left -= done
            batch.done_by[executor.name] = batch.done_by.get(executor.name, 0.0) + done
            executor.task_s += done / self.like.per_s
        return batch.left <= 0 and batch.overhead_s <= 0

    def _finished(self, batch: _Batch, now: datetime) -> QueryProgressed:
        self.taken += batch.rows
        took_s = max(0.1, (now - batch.began_at).total_seconds())
        return QueryProgressed(
            at=now,
            query=f"{_TARGET} {STREAM}",
            stream=STREAM,
            mode="microbatch",
            batch_id=batch.number,
            rows=batch.rows,
            rows_per_s=batch.rows / took_s,
            took_s=took_s,
            run_id="simulated",
            trigger_s=self.like.trigger_s,
            phases=QueryPhases(planning_s=self.like.overhead_s, work_s=max(0.1, took_s - self.like.overhead_s)),
        )

    def _let_go(self, now: datetime) -> None:
        """Those that are starting first: nobody misses them."""
        self._executors.sort(key=lambda each: each.ready_at)
        self._executors = self._executors[: max(1, self.want)]
        self.scale(self.want, now)


def _seen(executor: _Executor, *, works: bool) -> ExecutorSeen:
    return ExecutorSeen(
        executor=executor.name,
        is_active=True,
        cores=1,
        active_tasks=int(works),
        failed_tasks=0,
        completed_tasks=0,
        task_s=executor.task_s,
        gc_s=0.0,
        input_bytes=0,
        shuffle_read_bytes=0,
        shuffle_write_bytes=0,
        memory_used_bytes=0,
        memory_bytes=0,
    )
