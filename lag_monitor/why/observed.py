"""What is known of one query, now and over its last batches? What every cause is judged by, with no network in it.

The measure of all causes is time that would have been saved (blocked time, as in Ousterhout et al., "Making Sense of Performance
in Data Analytics Frameworks", NSDI 2015): how much sooner would these batches have ended had the cause been away? It is divided
by the time that the batches took, so a share of 0.4 means the same for garbage as for files. What was not seen is not counted as
nothing: a cause whose observation is missing is left out, and why it is missing is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from controlplane.contract.lag import LagVerdict
from controlplane.contract.spark import QueryPhases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlplane.contract.facts import EntitiesUpserted, PartChanged, RangeInserted, TableMeasured
    from controlplane.contract.gates import BreakerChanged, GateDecided
    from controlplane.contract.lag import LagJudged
    from controlplane.contract.names import Hop
    from controlplane.contract.spark import QueryProgressed, StageSeen

LEAST = 0.1
"""A cause that explains less is not worth anybody's night."""


_NO_PHASES = QueryPhases()


@dataclass(frozen=True)
class Query:
    """Who is asked about."""

    part: str
    """`route`, `lake` or `live`."""
    stream: str
    hop: Hop
    """Where it takes its events to."""

    @property
    def name(self) -> str:
        """As it is called everywhere: `lake shop`."""
        return f"{self.part} {self.stream}"

    @property
    def lag_page(self) -> str:
        """Its place on the Lag page."""
        return f"/lag/{quote(self.name, safe='')}"

    @property
    def spark_page(self) -> str:
        """Its place on the Spark page."""
        return f"/spark/{quote(self.name, safe='')}"


@dataclass(frozen=True)
class Batch:
    """One micro-batch: what it told when it ended, and the stages that were seen of it."""

    number: int
    took_s: float
    """So far, while it is open."""
    told: QueryProgressed | None = None
    """None while it is open."""
    stages: tuple[StageSeen, ...] = ()

    @property
    def phases(self) -> QueryPhases:
        """Without values where Spark did not tell."""
        return _NO_PHASES if self.told is None or self.told.phases is None else self.told.phases

    @property
    def prepared_s(self) -> float:
        """Work before its first task: `foreachBatch` plans its own queries, and code is made, where Spark says `addBatch`."""
        began = min((each.submitted_at for each in self.stages if each.submitted_at is not None), default=None)
        if self.told is None or began is None:
            return 0.0
        since = self.told.at - timedelta(seconds=self.took_s)
        before = (self.phases.offsets_s or 0.0) + (self.phases.planning_s or 0.0) + (self.phases.log_s or 0.0)
        return min(self.phases.work_s or 0.0, max(0.0, (began - since).total_seconds() - before))


@dataclass(frozen=True)
class Observed:
    """One query at `now`; a field that is None or empty is unknown, or there is nothing of it, and `unknown` says which."""

    query: Query
    now: datetime
    lag: LagJudged | None = None
    lags: tuple[LagJudged, ...] = ()
    """Of the last ten minutes, oldest first, the newest included."""
    part: PartChanged | None = None
    is_realtime: bool = False
    """Spark's real-time mode: a batch is as long as it was asked to be, whatever comes."""
    trigger_s: float | None = None
    batches: tuple[Batch, ...] = ()
    """The last ones, oldest first, the open one included."""
    running: tuple[StageSeen, ...] = ()
    """Active stages of the query."""
    beside: tuple[StageSeen, ...] = ()
    """Stages of the same application that are of other queries, or of none."""
    slots: int | None = None
    """Tasks that can run at once."""
    gates: tuple[GateDecided, ...] = ()
    """Of the stage that holds the query up, oldest first."""
    breaker: BreakerChanged | None = None
    upserts: tuple[EntitiesUpserted, ...] = ()
    """Of the last minutes, oldest first."""
    tables: Mapping[str, TableMeasured] = field(default_factory=dict)
    tables_trigger_s: float | None = None
    inserts: tuple[RangeInserted, ...] = ()
    """Of the pump, of the last minutes, oldest first."""
    unknown: tuple[str, ...] = ()
    """What nobody has said lately, a sentence each."""

    @property
    def took_s(self) -> float:
        """Time that the batches took together; 0 without any."""
        return sum(batch.took_s for batch in self.batches)

    @property
    def told(self) -> tuple[Batch, ...]:
        """Batches that have ended."""
        return tuple(batch for batch in self.batches if batch.told is not None)

    @property
    def staged(self) -> tuple[Batch, ...]:
        """Batches of which stages were seen: only of these can tasks be spoken of."""
        return tuple(batch for batch in self.batches if batch.stages)

    @property
    def lags_now(self) -> bool:
        """Something is left to take, as far as is known."""
        return self.lag is not None and bool(self.lag.lag_events)

    @property
    def stands_still_s(self) -> float | None:
        """How long no partition with something left has moved; None when one does, or that is unknown."""
        if self.lag is None or self.lag.verdict not in (LagVerdict.STALL, LagVerdict.STOP):
            return None
        moved = [each.moved_at for each in self.lag.partitions if each.lag_events and each.moved_at is not None]
        since = max(moved, default=self.lag.since)
        return None if since is None else max(0.0, (self.now - since).total_seconds())


def batches_of(number: int) -> str:
    """In words."""
    return "1 batch" if number == 1 else f"{number} batches"


def lasted_s(stage: StageSeen, now: datetime) -> float | None:
    """How long a stage took, waiting for slots included; None when Spark has not said when it began."""
    if stage.submitted_at is None:
        return None
    return max(0.0, ((stage.completed_at or now) - stage.submitted_at).total_seconds())


def covered_s(stages: Iterable[StageSeen], now: datetime) -> float:
    """How long at least one of the stages was there."""
    spans = sorted((each.submitted_at, each.completed_at or now) for each in stages if each.submitted_at is not None)
    total, until = timedelta(), None
    for begin, end in spans:
        since = begin if until is None else max(begin, until)
        total += max(timedelta(), end - since)
        until = end if until is None else max(until, end)
    return total.total_seconds()


def busy_share(stage: StageSeen, observed: Observed) -> float | None:
    """Of the slots' time while a stage was there, the share that tasks of anybody worked; None when that is unknown."""
    lasted = lasted_s(stage, observed.now)
    if not lasted or not observed.slots or stage.submitted_at is None:
        return None
    end = stage.completed_at or observed.now
    others = (*observed.beside, *(each for batch in observed.batches for each in batch.stages if each is not stage))
    worked = stage.run_s + sum(_within(each, stage.submitted_at, end, observed.now) for each in others)
    return min(1.0, worked / (lasted * observed.slots))


def _within(stage: StageSeen, begin: datetime, end: datetime, now: datetime) -> float:
    """Task seconds of a stage that fall between two moments, as if it had worked evenly."""
    lasted = lasted_s(stage, now)
    if not lasted or stage.submitted_at is None:
        return 0.0
    overlap = (min(end, stage.completed_at or now) - max(begin, stage.submitted_at)).total_seconds()
    return stage.run_s * max(0.0, overlap) / lasted
