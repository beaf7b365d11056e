"""What is known now? The fold of every fact, newest by its own time, in whatever order and however often they came."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.alerts import AlertsCounted, IncidentsListed
from controlplane.contract.facts import (
    EntitiesUpserted,
    Fact,
    FeedProgressed,
    HopMeasured,
    LedgerTaken,
    MaintenancePlanned,
    MaintenanceRan,
    PartChanged,
    PartState,
    ReferencesLoaded,
    SchemaRead,
    SchemaSeen,
    StreamHeld,
    TableMeasured,
    Verdict,
    WindowsClosed,
    WindowsPublished,
)
from controlplane.contract.gates import BreakerChanged, BreakerState, GateDecided, SuiteFollowed
from controlplane.contract.lag import ConsumerKind, LagExplained, LagJudged
from controlplane.contract.latency import BurnJudged, ProbeSent, ProbesJudged
from controlplane.contract.names import Hop
from controlplane.contract.push import OverviewFrame, Percentiles, Problem, StreamState
from controlplane.contract.scaling import ExecutorsChanged, ScalingDecided
from controlplane.contract.spark import LatencyMeasured, QueryProgressed, SparkObserved, SparkStarted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STALE_AFTER = timedelta(seconds=10)
"""A measurement that nobody has confirmed for so long is no longer known."""
PRODUCERS_AT_MOST = 200
"""Of a stream, each with each of its schemas: those seen the longest ago are forgotten."""
GROUPS_AT_MOST = 500
"""Consumer groups, each with each of its topics: a console consumer has a new name at each start."""
RUNS = 100
"""So many stages of maintenance are remembered; the part keeps as many, and reports them again."""
_ORDER = tuple(Hop)
_WELL = (PartState.RUNNING, PartState.ENDED)


def subject_of(fact: Fact) -> tuple[str, ...]:  # noqa: C901, PLR0911, PLR0912 (a row a kind)
    """What a fact is about: a newer fact of the same subject replaces it."""
    match fact:
        case PartChanged():
            return (fact.kind, fact.part)
        case HopMeasured():
            return (fact.kind, fact.stream, fact.hop)
        case QueryProgressed() | LatencyMeasured():
            return (fact.kind, fact.query)
        case LagJudged():
            return (fact.kind, fact.consumer, fact.topic)
        case LagExplained():
            return (fact.kind, fact.consumer)
        case SparkStarted() | SparkObserved():
            return (fact.kind, fact.part)
        case ScalingDecided() | ExecutorsChanged():
            return (fact.kind, fact.target)
        case SchemaSeen():
            return (fact.kind, fact.stream, fact.producer or "", str(fact.schema_id))
        case SchemaRead():
            return (fact.kind, fact.stream, fact.reader)
        case TableMeasured() | EntitiesUpserted() | WindowsClosed():
            return (fact.kind, fact.stream, fact.table)
        case WindowsPublished():
            return (fact.kind, fact.stream, fact.rollup)
        case MaintenanceRan():
            return (fact.kind, fact.id)
        case GateDecided():
            return (fact.kind, fact.stream, fact.stage, fact.table or "")
        case SuiteFollowed() | BreakerChanged():
            return (fact.kind, fact.stream, fact.stage)
        case BurnJudged():
            return (fact.kind, fact.level, fact.subject)
        case AlertsCounted() | IncidentsListed() | ProbeSent() | ProbesJudged():
            return (fact.kind,)
        case _:
            return (fact.kind, fact.stream)


def condition_of(fact: Fact) -> str:  # noqa: C901, PLR0911 (a row a kind)
    """What a fact says of its subject, without the numbers that change all the time.

    A part that dies and starts again and again is unwell all along, not anew with each start.
    """
    match fact:
        case PartChanged():
            waits = fact.state is PartState.RUNNING and fact.reason is not None
            return "waits" if waits else "well" if fact.state in _WELL else "unwell"
        case LedgerTaken():
            return fact.verdict
        case MaintenancePlanned():
            return "well" if fact.reason is None else "unwell"
        case HopMeasured():
            return "unknown" if fact.reason else "well"
        case LagJudged():
            return fact.verdict
        case ExecutorsChanged():
            return "missing" if fact.have < fact.want else "well"
        case ReferencesLoaded():
            return "refused" if fact.refused else "well"
        case GateDecided():
            return fact.outcome
        case SuiteFollowed():
            return fact.refused or "well"
        case StreamHeld():
            return fact.operation or "free"
        case BreakerChanged():
            return "closed" if fact.state is BreakerState.CLOSED else "open"
        case _:
            return ""


class Known:
    """The newest fact of every subject; `fold` is idempotent and does not depend on the order.

    Args:
        began: since when facts can have come in; None: for so long that all would be here by now.
    """

    def __init__(self, began: datetime | None = None) -> None:
        self.began = began
        self.facts: dict[tuple[str, ...], Fact] = {}
        self.version = 0
        self._since: dict[tuple[str, ...], datetime] = {}

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take facts in; a fact that is not newer than what is known changes nothing."""
        for fact in facts:
            subject = subject_of(fact)
            known = self.facts.get(subject)
            if known is None or (fact.at, fact.id) > (known.at, known.id):
                if known is None or condition_of(known) != condition_of(fact):
                    self._since[subject] = fact.at
                self.facts[subject] = fact
                self.version += 1
                if known is None and isinstance(fact, SchemaSeen):
                    self._forget_producers(fact.stream)
                if known is None and isinstance(fact, LagJudged):
                    self._forget_groups()
                if isinstance(fact, MaintenanceRan):
                    self._forget_runs()

    def _forget_producers(self, stream: str) -> None:
        """A producer with a new name at each start would otherwise fill the memory."""
        for fact in self.writers(stream)[PRODUCERS_AT_MOST:]:
            del self.facts[subject_of(fact)]
            self._since.pop(subject_of(fact), None)

    def _forget_groups(self) -> None:
        facts = (fact for fact in self.facts.values() if isinstance(fact, LagJudged))
        groups = [fact for fact in facts if fact.consumer_kind is ConsumerKind.GROUP]
        for fact in sorted(groups, key=lambda fact: (fact.at, fact.id), reverse=True)[GROUPS_AT_MOST:]:
            del self.facts[subject_of(fact)]
            self._since.pop(subject_of(fact), None)

    def _forget_runs(self) -> None:
        """Each stage is a subject of its own: the oldest go."""
        for fact in self.runs()[RUNS:]:
            self.facts.pop(subject_of(fact))

    def runs(self) -> tuple[MaintenanceRan, ...]:
        """The last stages of maintenance, the newest first."""
        found = (fact for fact in self.facts.values() if isinstance(fact, MaintenanceRan))
        return tuple(sorted(found, key=lambda fact: (fact.at, fact.id), reverse=True))

    def since(self, fact: Fact) -> datetime:
        """Since when, at the latest, its subject has been as the fact says."""
        return self._since.get(subject_of(fact), fact.at)

    def writers(self, stream: str) -> tuple[SchemaSeen, ...]:
        """Which producers were seen with which schema, the latest first."""
        found = (fact for fact in self.facts.values() if isinstance(fact, SchemaSeen) and fact.stream == stream)
        return tuple(sorted(found, key=lambda fact: (fact.seen_at, fact.id), reverse=True))

    def readers(self, stream: str) -> tuple[SchemaRead, ...]:
        """Which parts read with which schemas, by name."""
        found = (fact for fact in self.facts.values() if isinstance(fact, SchemaRead) and fact.stream == stream)
        return tuple(sorted(found, key=lambda fact: fact.reader))

    def parts(self) -> tuple[PartChanged, ...]:
        """Every supervised part, by its name."""
        return tuple(
            sorted((fact for fact in self.facts.values() if isinstance(fact, PartChanged)), key=lambda f: f.part)
        )

    def ledgers(self) -> tuple[LedgerTaken, ...]:
        """Every stream's newest account."""
        found = (fact for fact in self.facts.values() if isinstance(fact, LedgerTaken))
        return tuple(sorted(found, key=lambda fact: fact.stream))

    def feed(self, stream: str) -> FeedProgressed | None:
        """How far a demo feed is; None when the stream has none."""
        fact = self.facts.get(("feed_progressed", stream))
        return fact if isinstance(fact, FeedProgressed) else None

    def hop(self, stream: str, hop: Hop, now: datetime) -> HopMeasured:
        """A hop as known at `now`; with no values and a reason when nobody has measured it lately."""
        fact = self.facts.get(("hop_measured", stream, hop))
        if not isinstance(fact, HopMeasured):
            return HopMeasured(at=now, stream=stream, hop=hop, reason="not measured yet")
        age = now - fact.at
        if age > STALE_AFTER:
            return HopMeasured(
                at=fact.at, stream=stream, hop=hop, reason=f"not measured for {age.total_seconds():.0f} s"
            )
        return fact

    def verdict(self, stream: str, now: datetime) -> tuple[Verdict, str]:
        """The ledger's verdict as known at `now`."""
        fact = self.ledger(stream)
        if fact is None:
            return Verdict.UNKNOWN, "no ledger has been taken yet"
        age = now - fact.at
        if age > STALE_AFTER:
            return Verdict.UNKNOWN, f"no ledger has been taken for {age.total_seconds():.0f} s"
        return fact.verdict, fact.reason

    def ledger(self, stream: str) -> LedgerTaken | None:
        """A stream's newest account, however old; None while there is none."""
        fact = self.facts.get(("ledger_taken", stream))
        return fact if isinstance(fact, LedgerTaken) else None

    def alerts(self, now: datetime) -> AlertsCounted | None:
        """How many incidents there are; None when alerts has not said so lately."""
        fact = self.facts.get(("alerts_counted",))
        return fact if isinstance(fact, AlertsCounted) and now - fact.at <= STALE_AFTER else None

    def references(self, stream: str) -> ReferencesLoaded | None:
        """Which reference tables enrich a stream, however long ago it was said; None while nobody has."""
        fact = self.facts.get(("references_loaded", stream))
        return fact if isinstance(fact, ReferencesLoaded) else None

    def overview(
        self,
        titles: Mapping[str, str],
        now: datetime,
        event_to_pixel: Percentiles | None,
        problems: tuple[Problem, ...] = (),
    ) -> OverviewFrame:
        """Everything that the overview shows.

        Args:
            titles: stream -> what people call it.
            now: the time.
            problems: what is wrong, the worst first.
            event_to_pixel: the console's own latency, if any page was painted lately.
        """
        return OverviewFrame(
            at=now,
            streams=tuple(self._stream(name, title, now) for name, title in titles.items()),
            parts=self.parts(),
            problems=problems,
            event_to_pixel=event_to_pixel,
            alerts=self.alerts(now),
            reason=None if self.parts() else "no supervisor has reported its parts",
        )

    def _stream(self, name: str, title: str, now: datetime) -> StreamState:
        verdict, reason = self.verdict(name, now)
        feed = self.feed(name)
        return StreamState(
            name=name,
            title=title,
            hops=tuple(self.hop(name, hop, now) for hop in _ORDER),
            verdict=verdict,
            verdict_reason=reason,
            feed_ended=feed is not None and feed.ended,
        )
