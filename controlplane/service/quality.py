"""How do the gates stand, and how have they stood? Pure functions over what is known, as the Quality page shows it."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from controlplane.contract.gates import BreakerChanged, GateDecided, Outcome, Stage, SuiteFollowed
from controlplane.contract.verdicts import (
    GateHistory,
    GateState,
    QualityFrame,
    QualityHistory,
    StreamQuality,
    TurnedAway,
    VerdictBucket,
)
from controlplane.service.ledger import thinned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controlplane.contract.gates import GateOrdered
    from controlplane.contract.push import LedgerPoint
    from controlplane.contract.streams import StreamDefinition
    from controlplane.contract.verdicts import SuiteSeen, VerdictPoint
    from controlplane.service.state import Known
    from controlplane.service.verdicts import VerdictHistory

SAID_WITHIN = timedelta(seconds=60)
"""Parts say every 15 s which suite they follow and how their breaker stands."""
SAMPLED_WITHIN = timedelta(minutes=3)
"""Ingest is judged every 30 s, whether or not something has come; the other stages only when something has."""
BUCKETS = 180
"""In a strip at most; none is shorter than a minute, because of verdicts that passed one a minute is remembered."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORST_LAST = tuple(Outcome)
_STANDS = (Outcome.HALTED, Outcome.MISCONFIGURED)
"""What these say holds until another verdict is given."""


def quality_frame(
    known: Known,
    verdicts: VerdictHistory,
    orders: Sequence[GateOrdered],
    streams: Iterable[StreamDefinition],
    now: datetime,
) -> QualityFrame:
    """Every stream's gates as known at `now`."""
    return QualityFrame(at=now, streams=tuple(_stream(known, verdicts, orders, each, now) for each in streams))


def _stream(
    known: Known, verdicts: VerdictHistory, orders: Sequence[GateOrdered], stream: StreamDefinition, now: datetime
) -> StreamQuality:
    gates = []
    for stage in Stage:
        for table in _tables(known, stream, stage):
            share, share_of = verdicts.share(stream.name, stage, table)
            gate = _gate(known, stream, stage, table, now)
            ordered = _ordered(orders, stream.name, stage, gate)
            gates.append(gate.model_copy(update={"share": share, "share_of": share_of, "ordered": ordered}))
    return StreamQuality(
        name=stream.name, title=stream.title, validity=stream.service_levels.validity, gates=tuple(gates)
    )


def _tables(known: Known, stream: StreamDefinition, stage: Stage) -> list[str | None]:
    """The tables that a stage's gate has judged; while there is none, the gate alone."""
    decided = (fact for fact in known.facts.values() if isinstance(fact, GateDecided))
    found = {fact.table for fact in decided if fact.stream == stream.name and fact.stage is stage}
    order = {table: number for number, table in enumerate(stream.rollups)}
    return sorted(found, key=lambda table: (order.get(table or "", len(order)), table or "")) or [None]


def _gate(known: Known, stream: StreamDefinition, stage: Stage, table: str | None, now: datetime) -> GateState:
    last = known.facts.get(("gate_decided", stream.name, stage, table or ""))
    followed, reason = _followed(known, stream, stage, now)
    breaker, breaker_reason = _breaker(known, stream.name, stage, now)
    decided = last if isinstance(last, GateDecided) else None
    return GateState(
        stage=stage,
        table=table,
        policy=getattr(stream.gates, stage).policy,
        followed=followed,
        reason=reason,
        last=decided,
        is_stale=decided is not None and _is_stale(decided, followed, now),
        breaker=breaker,
        breaker_reason=breaker_reason,
    )


def _is_stale(decided: GateDecided, followed: SuiteFollowed | None, now: datetime) -> bool:
    if decided.stage is Stage.INGEST and now - decided.at > SAMPLED_WITHIN:
        return True
    return followed is None and now - decided.at > SAID_WITHIN and decided.outcome not in _STANDS


def _followed(
    known: Known, stream: StreamDefinition, stage: Stage, now: datetime
) -> tuple[SuiteFollowed | None, str | None]:
    fact = known.facts.get(("suite_followed", stream.name, stage))
    if not isinstance(fact, SuiteFollowed):
        has_suite = stage in stream.suites
        return None, "nobody has said yet which suite is followed" if has_suite else "this stage has no suite"
    age = now - fact.at
    if age > SAID_WITHIN:
        return None, f"nobody has said for {age.total_seconds():.0f} s which suite is followed"
    return fact, None


def _breaker(known: Known, stream: str, stage: Stage, now: datetime) -> tuple[BreakerChanged | None, str | None]:
    fact = known.facts.get(("breaker_changed", stream, stage))
    if not isinstance(fact, BreakerChanged):
        return None, "nobody has said yet how it stands" if stage is Stage.INGEST else None
    age = now - fact.at
    if age > SAID_WITHIN:
        return None, f"nobody has said for {age.total_seconds():.0f} s how it stands; it was {fact.state}"
    return fact, None


def _ordered(orders: Sequence[GateOrdered], stream: str, stage: Stage, gate: GateState) -> GateOrdered | None:
    """The newest order, while nothing that the gate has said since shows that it was followed."""
    said = [fact.at for fact in (gate.last,) if fact is not None]
    said += [] if gate.breaker is None else [gate.breaker.since]
    given = [each for each in orders if each.stream == stream and each.stage is stage]
    newest = max(given, key=lambda each: each.at, default=None)
    return newest if newest is not None and said and newest.at > max(said) else None


def quality_history(  # noqa: PLR0913 (what a history is made of)
    stream: str,
    points: Sequence[VerdictPoint],
    suites: tuple[SuiteSeen, ...],
    accounts: Sequence[LedgerPoint],
    now: datetime,
    within: timedelta,
) -> QualityHistory:
    """A stream's gates over the time before `now`."""
    by_gate: dict[tuple[Stage, str], list[VerdictPoint]] = defaultdict(list)
    for point in points:
        by_gate[point.stage, point.table or ""].append(point)
    order = list(Stage)
    gates = sorted(by_gate, key=lambda gate: (order.index(gate[0]), gate[1]))
    return QualityHistory(
        stream=stream,
        at=now,
        hours=within / timedelta(hours=1),
        bucket_s=_width(within).total_seconds(),
        gates=tuple(
            GateHistory(stage=stage, table=table or None, buckets=buckets(by_gate[stage, table], now, within))
            for stage, table in gates
        ),
        suites=suites,
        turned_away=turned_away(accounts),
    )


def buckets(points: Iterable[VerdictPoint], now: datetime, within: timedelta) -> tuple[VerdictBucket, ...]:
    """The worst verdict of each stretch; a stretch without one is unknown, and not left out.

    They begin at multiples of their width, so that what has been drawn stays as it is while time goes on.
    """
    width = _width(within)
    count = math.ceil(within / width)
    start = _EPOCH + ((now - _EPOCH) // width + 1 - count) * width
    found: dict[int, list[VerdictPoint]] = defaultdict(list)
    for point in points:
        number = (point.at - start) // width
        if number >= 0:
            found[min(number, count - 1)].append(point)
    return tuple(_bucket(start + number * width, found.get(number, ())) for number in range(count))


def _width(within: timedelta) -> timedelta:
    return max(timedelta(minutes=1), within / BUCKETS)


def _bucket(at: datetime, points: Sequence[VerdictPoint]) -> VerdictBucket:
    if not points:
        return VerdictBucket(at=at)
    worst = max(points, key=lambda point: _WORST_LAST.index(point.outcome))
    return VerdictBucket(
        at=at,
        outcome=worst.outcome,
        verdicts=len(points),
        broken=tuple(sorted({rule for point in points for rule in point.broken})),
        unevaluated=tuple(sorted({rule for point in points for rule in point.unevaluated})),
        reason=worst.reason,
    )


def turned_away(accounts: Iterable[LedgerPoint]) -> tuple[TurnedAway, ...]:
    """What was turned away from one account to the next, by minute."""
    return tuple(_between(before, after) for before, after in pairwise(thinned(accounts)))


def _between(before: LedgerPoint, after: LedgerPoint) -> TurnedAway:
    valid, dead, quarantined = (
        _grown(getattr(before, column), getattr(after, column)) for column in ("valid", "dead", "quarantined")
    )
    if valid is None or dead is None or quarantined is None:
        return TurnedAway(at=after.at, routed=None, dead=dead, quarantined=quarantined, share=None)
    routed = valid + dead + quarantined
    share = (dead + quarantined) / routed if routed else None
    return TurnedAway(at=after.at, routed=routed, dead=dead, quarantined=quarantined, share=share)


def _grown(before: int | None, after: int | None) -> int | None:
    """None when a count is not known, or was begun anew."""
    return None if before is None or after is None or after < before else after - before
