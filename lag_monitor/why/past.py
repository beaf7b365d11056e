"""What has been said of the queries in the last minutes? The control plane has the newest of each, and why needs a few more.

Batches and stages it keeps itself (`/api/v1/spark`). Here is what it does not: lags, verdicts of gates, MERGEs, inserts.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from controlplane.contract.facts import EntitiesUpserted, Fact, RangeInserted
from controlplane.contract.gates import GateDecided
from controlplane.contract.lag import ConsumerKind, LagJudged

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT = timedelta(minutes=10)
_AT_MOST = 300
"""Of one subject: a lag every two seconds for ten minutes."""
Subject = tuple[str, ...]
_T = TypeVar("_T", bound=Fact)


class Past:
    """A bounded memory of facts; taking one in again changes nothing."""

    def __init__(self) -> None:
        self._kept: dict[Subject, deque[Fact]] = defaultdict(lambda: deque(maxlen=_AT_MOST))

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take in what the control plane says now; an older fact than the newest of its subject is passed over."""
        for fact in facts:
            subject = _subject(fact)
            if subject is None:
                continue
            kept = self._kept[subject]
            if not kept or fact.at > kept[-1].at:
                kept.append(fact)

    def of(self, kind: type[_T], *subject: str, now: datetime, within: timedelta = KEPT) -> tuple[_T, ...]:
        """A subject's facts of the last minutes, oldest first; the newest one however old it is."""
        kept = self._kept.get((kind.__name__, *subject), ())
        found = [fact for fact in kept if isinstance(fact, kind)]
        return tuple(fact for fact in found if fact is found[-1] or now - fact.at <= within)


def _subject(fact: Fact) -> Subject | None:
    match fact:
        case LagJudged() if fact.consumer_kind is ConsumerKind.QUERY:
            return (LagJudged.__name__, fact.consumer)
        case GateDecided():
            return (GateDecided.__name__, fact.stream, fact.stage, fact.table or "")
        case EntitiesUpserted():
            return (EntitiesUpserted.__name__, fact.stream, fact.table)
        case RangeInserted():
            return (RangeInserted.__name__, fact.stream)
        case _:
            return None
