"""Who keeps up, and who does not? Every consumer as the Lag page shows it: queries first, the worst of each kind first.

A query of ours that nobody has measured is there too, as unknown: a page that leaves it out would look healthy. A consumer
group that nobody has measured for a while is no longer shown, because it may simply be gone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.lag import ConsumerKind, ConsumerState, LagExplained, LagFrame, LagJudged, LagVerdict
from controlplane.contract.names import Hop, topic
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.service.state import Known

EXPLAINED_WITHIN = timedelta(seconds=20)
"""Causes are looked for every 5 s."""
GROUP_SHOWN = timedelta(minutes=5)
_WORST_LAST = tuple(LagVerdict)
_QUERIES = (("route", Hop.RAW, Hop.VALID), ("lake", Hop.VALID, Hop.LAKE), ("live", Hop.VALID, Hop.SERVING))
"""Part, the topic that it reads, where it takes the events to."""


def lag_frame(known: Known, streams: Iterable[str], now: datetime) -> LagFrame:
    """Every consumer as known at `now`."""
    judged = [fact for fact in known.facts.values() if isinstance(fact, LagJudged) and _is_shown(fact, now)]
    said = {fact.consumer for fact in judged}
    missing = [fact for stream in streams for fact in _unmeasured(stream, now) if fact.consumer not in said]
    consumers = [_state(known, fact, now) for fact in [*judged, *missing]]
    return LagFrame(at=now, consumers=tuple(sorted(consumers, key=_place)), reason=_silence(judged, now))


def _silence(judged: list[LagJudged], now: datetime) -> str | None:
    newest = max((fact.at for fact in judged), default=None)
    if newest is None:
        return "the lag monitor has not reported yet"
    age = now - newest
    return f"the lag monitor has not reported for {age.total_seconds():.0f} s" if age > STALE_AFTER else None


def _is_shown(fact: LagJudged, now: datetime) -> bool:
    return fact.consumer_kind is ConsumerKind.QUERY or now - fact.at <= GROUP_SHOWN


def _unmeasured(stream: str, now: datetime) -> list[LagJudged]:
    return [
        LagJudged(
            id=f"none {part} {stream}",
            at=now,
            consumer=f"{part} {stream}",
            consumer_kind=ConsumerKind.QUERY,
            topic=topic(stream, source),
            stream=stream,
            hop=hop,
            reason="not measured yet",
        )
        for part, source, hop in _QUERIES
    ]


def _state(known: Known, fact: LagJudged, now: datetime) -> ConsumerState:
    explained = known.facts.get(("lag_explained", fact.consumer))
    is_explained = isinstance(explained, LagExplained) and now - explained.at <= EXPLAINED_WITHIN
    return ConsumerState(
        lag=fact,
        is_stale=now - fact.at > STALE_AFTER,
        explained=explained if is_explained else None,
    )


def _place(state: ConsumerState) -> tuple[bool, int, float, str, str]:
    """What is not known any more stands where what is unknown does."""
    verdict = LagVerdict.UNKNOWN if state.is_stale else state.lag.verdict
    is_group = state.lag.consumer_kind is ConsumerKind.GROUP
    return is_group, -_WORST_LAST.index(verdict), -(state.lag.lag_s or 0.0), state.lag.consumer, state.lag.topic
