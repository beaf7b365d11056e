"""What is known of each query now? The control plane's answers and the last minutes, put together; what is missing is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from controlplane.contract.facts import (
    EntitiesUpserted,
    Fact,
    PartChanged,
    RangeInserted,
    TableMeasured,
)
from controlplane.contract.gates import BreakerChanged, GateDecided, Stage
from controlplane.contract.lag import LagJudged
from controlplane.contract.names import Hop, lake_entity
from lag_monitor.why.observed import Batch, Observed, Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.spark import QueryProgressed, SparkFrame, SparkPart, StageSeen
    from controlplane.contract.streams import StreamDefinition
    from lag_monitor.why.past import Past

STALE_AFTER = timedelta(seconds=15)
"""A measurement that nobody has confirmed for so long is no longer known."""
SAID_WITHIN = timedelta(seconds=60)
"""What a part says again every 15 s holds for so long."""
LATELY = timedelta(minutes=3)
"""Batches and MERGEs of before say nothing of now."""
_BATCHES = 5
_CLOCKS_DIFFER = timedelta(seconds=0.5)
"""What a query tells of a batch's end and what Spark tells of a stage's beginning."""
_OF_SPARK = ("route", "lake")
_QUERIES = (("route", Hop.VALID), ("lake", Hop.LAKE), ("live", Hop.SERVING))
_T = TypeVar("_T", bound=Fact)


@dataclass(frozen=True)
class Answers:
    """What the control plane says at `at`."""

    at: datetime
    facts: tuple[Fact, ...]
    spark: SparkFrame | None = None

    def of(self, kind: type[_T]) -> tuple[_T, ...]:
        """The facts of a kind."""
        return tuple(fact for fact in self.facts if isinstance(fact, kind))


def observe(
    answers: Answers, past: Past, streams: Sequence[StreamDefinition], settings: Settings
) -> Iterator[Observed]:
    """Every query of every stream, as known at `answers.at`; the settings say how often things are to happen."""
    for stream in streams:
        for part, hop in _QUERIES:
            yield _observed(Query(part, stream.name, hop), answers, past, stream, settings)


def _observed(query: Query, answers: Answers, past: Past, stream: StreamDefinition, settings: Settings) -> Observed:
    now = answers.at
    lags = past.of(LagJudged, query.name, now=now)
    lag = lags[-1] if lags and now - lags[-1].at <= STALE_AFTER else None
    supervised, no_part = _part(query.part, answers)
    spark, no_stages = _spark(query.part, answers)
    told = _told(query, spark, now)
    stages = () if spark is None or spark.observed is None else spark.observed.stages
    own = tuple(each for each in stages if each.query == query.name)
    is_lake = query.part == "lake"
    return Observed(
        query=query,
        now=now,
        lag=lag,
        lags=lags if lag is not None else (),
        part=supervised,
        is_realtime=query.part == "route" and settings.route_mode == "realtime",
        trigger_s=told[-1].trigger_s if told else None,
        batches=_batches(told, own, now),
        running=tuple(each for each in own if each.state == "active"),
        beside=tuple(each for each in stages if each.query != query.name),
        slots=_slots(spark),
        gates=past.of(GateDecided, query.stream, Stage.LAKE, "", now=now, within=LATELY) if is_lake else (),
        breaker=_breaker(query, answers),
        upserts=_upserts(stream, past, now) if is_lake else (),
        tables={each.table: each for each in answers.of(TableMeasured) if each.stream == query.stream},
        tables_trigger_s=settings.tables_trigger.total_seconds() if is_lake else None,
        inserts=_inserts(query, past, now),
        unknown=tuple(each for each in (_no_lag(lags, lag, now), no_part, no_stages) if each is not None),
    )


def _no_lag(lags: Sequence[LagJudged], lag: LagJudged | None, now: datetime) -> str | None:
    if lag is not None:
        return None if lag.reason is None or lag.lag_events is not None else f"nothing known of its lag: {lag.reason}"
    if not lags:
        return "nothing known of its lag: nobody has measured it yet"
    return f"nothing known of its lag: not measured for {_seconds(now - lags[-1].at)}"


def _part(name: str, answers: Answers) -> tuple[PartChanged | None, str | None]:
    parts = answers.of(PartChanged)
    newest = max((part.at for part in parts), default=None)
    if newest is None:
        return None, f"nothing known of the process of {name}: no supervisor has reported it"
    if answers.at - newest > STALE_AFTER:
        return (
            None,
            f"nothing known of the process of {name}: the supervisor is silent for {_seconds(answers.at - newest)}",
        )
    return next((part for part in parts if part.part == name), None), None


def _spark(name: str, answers: Answers) -> tuple[SparkPart | None, str | None]:
    if name not in _OF_SPARK:
        return None, None
    found = next((part for part in answers.spark.parts if part.part == name), None) if answers.spark else None
    if found is None:
        return None, f"nothing known of stages: {name} has said nothing of its Spark application"
    if found.observed is None or found.observed.reason is not None:
        why = found.reason if found.observed is None else found.observed.reason
        return found, f"nothing known of stages: {why or 'nobody has asked its Spark lately'}"
    return found, None


def _told(query: Query, spark: SparkPart | None, now: datetime) -> tuple[QueryProgressed, ...]:
    """Its last batches, oldest first; the newest one however old, because a batch may take as long.

    The first one of a run is left out once there is another: it loads classes and compiles, and nobody can mend that.
    """
    found = () if spark is None else spark.batches.get(query.name, ())
    ended = [each for each in found if each.batch_id is not None and each.took_s is not None]
    firsts = {each.run_id: each for each in reversed(ended)}
    warm = [each for each in ended if each is not firsts[each.run_id] or each is ended[-1]][-_BATCHES:]
    return tuple(each for each in warm if each is warm[-1] or now - each.at <= LATELY)


def _batches(told: Sequence[QueryProgressed], stages: Sequence[StageSeen], now: datetime) -> tuple[Batch, ...]:
    """Those that have ended, with their stages; then the open one, of which a stage was seen since.

    A query that was started again may count from 0 again: a stage is of a batch that has its number and its time.
    """
    ended = tuple(
        Batch(each.batch_id, each.took_s, each, _stages_of(each, each.batch_id, each.took_s, stages))
        for each in told
        if each.batch_id is not None and each.took_s is not None
    )
    since = told[-1].at if told else None
    fresh = [
        (each.submitted_at, each) for each in stages if each.submitted_at is not None and each.batch_id is not None
    ]
    later = [(at, stage) for at, stage in fresh if since is None or at >= since]
    if not later:
        return ended
    newest = max(later, key=lambda each: each[0])[1].batch_id
    own = [(at, stage) for at, stage in later if stage.batch_id == newest]
    began = min(at for at, _ in own)
    opened = Batch(newest or 0, max(0.0, (now - began).total_seconds()), None, tuple(stage for _, stage in own))
    return (*ended, opened)


def _stages_of(told: QueryProgressed, number: int, took_s: float, stages: Iterable[StageSeen]) -> tuple[StageSeen, ...]:
    began, ended = told.at - timedelta(seconds=took_s) - _CLOCKS_DIFFER, told.at + _CLOCKS_DIFFER
    own = (each for each in stages if each.batch_id == number and each.submitted_at is not None)
    return tuple(each for each in own if each.submitted_at is not None and began <= each.submitted_at <= ended)


def _slots(spark: SparkPart | None) -> int | None:
    """Cores of the executors that are there, or what the part said."""
    if spark is None:
        return None
    executors = () if spark.observed is None else spark.observed.executors
    cores = sum(each.cores for each in executors if each.is_active)
    return cores or (None if spark.started is None else spark.started.slots)


def _breaker(query: Query, answers: Answers) -> BreakerChanged | None:
    """Of route's gate; one that nobody has confirmed for a minute is not known."""
    if query.part != "route":
        return None
    found = (each for each in answers.of(BreakerChanged) if each.stream == query.stream and each.stage is Stage.INGEST)
    return next((each for each in found if answers.at - each.at <= SAID_WITHIN), None)


def _upserts(stream: StreamDefinition, past: Past, now: datetime) -> tuple[EntitiesUpserted, ...]:
    tables = map(lake_entity, stream.entities)
    found = [each for table in tables for each in past.of(EntitiesUpserted, stream.name, table, now=now, within=LATELY)]
    return tuple(sorted((each for each in found if now - each.at <= LATELY), key=lambda each: each.at))


def _inserts(query: Query, past: Past, now: datetime) -> tuple[RangeInserted, ...]:
    if query.part != "live":
        return ()
    found = past.of(RangeInserted, query.stream, now=now, within=SAID_WITHIN)
    return tuple(each for each in found if now - each.at <= SAID_WITHIN)


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
