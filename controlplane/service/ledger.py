"""How did each stream's ledger stand before?

A point for every minute and every verdict in it: a change is there with its time, and a stream that goes between
"in flight" and "balanced" with each account costs two points a minute. A minute without a point is one in which nobody
took an account: nothing is filled in.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import LedgerTaken, Verdict
from controlplane.contract.push import LedgerFrame, LedgerPoint, StreamLedger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from controlplane.contract.facts import Fact
    from controlplane.service.state import Known

SHOWN = timedelta(hours=6)
"""What the frame shows, and what is held in memory."""
POINTS_AT_MOST = 360
"""Minutes in a frame."""
_UNSAVED_AT_MOST = 10_000
_TELLS = (Verdict.IN_FLIGHT, Verdict.BALANCED, Verdict.UNKNOWN, Verdict.UNBALANCED)
"""The verdicts of a minute, the most telling last: on a busy stream something is always on its way, so that once in a
minute everything was there says more."""

Place = tuple[int, Verdict]
"""A point's minute since 1970 and its verdict: the first account of both makes the point."""


def place_of(point: LedgerPoint) -> Place:
    """Where a point is kept; two at the same place are one."""
    return int(point.at.timestamp() // 60), point.verdict


class LedgerHistory:
    """The points of the last hours, and those that are still to be saved."""

    def __init__(self) -> None:
        self._unsaved: deque[tuple[str, LedgerPoint]] = deque(maxlen=_UNSAVED_AT_MOST)
        self._points: dict[str, dict[Place, LedgerPoint]] = defaultdict(dict)

    def fold(self, facts: Iterable[Fact], now: datetime) -> None:
        """Take accounts in; other facts are passed over."""
        for fact in facts:
            if isinstance(fact, LedgerTaken) and self._add(fact.stream, point := point_of(fact), now):
                self._unsaved.append((fact.stream, point))

    def restore(self, saved: Iterable[tuple[str, LedgerPoint]], now: datetime) -> None:
        """Take in what an earlier run saved."""
        for stream, point in saved:
            self._add(stream, point, now)

    def points(self, stream: str, now: datetime) -> tuple[LedgerPoint, ...]:
        """Every point of the last hours, oldest first."""
        kept = self._points.get(stream, {})
        return tuple(sorted((point for point in kept.values() if now - point.at <= SHOWN), key=lambda point: point.at))

    def take_unsaved(self) -> list[tuple[str, LedgerPoint]]:
        """Points that nobody has taken to save yet."""
        return [self._unsaved.popleft() for _ in range(len(self._unsaved))]

    def put_back(self, points: list[tuple[str, LedgerPoint]]) -> None:
        """Points that could not be saved; of too many the oldest are given up."""
        self._unsaved = deque([*points, *self._unsaved], maxlen=_UNSAVED_AT_MOST)

    def _add(self, stream: str, point: LedgerPoint, now: datetime) -> bool:
        kept, place = self._points[stream], place_of(point)
        if place in kept or now - point.at > SHOWN:
            return False
        kept[place] = point
        first = int((now - SHOWN).timestamp() // 60)
        for old in [each for each in kept if each[0] < first]:
            del kept[old]
        return True


def point_of(taken: LedgerTaken) -> LedgerPoint:
    """An account as a point."""
    valid, dead, quarantined = routed = [taken.total(column) for column in ("valid", "dead", "quarantined")]
    return LedgerPoint(
        at=taken.at,
        verdict=taken.verdict,
        reason=taken.reason,
        produced=taken.total("produced"),
        routed=None if None in routed else sum(each or 0 for each in routed),
        valid=valid,
        dead=dead,
        quarantined=quarantined,
        lake=taken.total("lake"),
        serving=taken.total("serving"),
    )


def thinned(points: Iterable[LedgerPoint]) -> tuple[LedgerPoint, ...]:
    """The most telling point of each minute, the newest so many: what went wrong for a second stays to be seen."""
    kept: dict[int, LedgerPoint] = {}
    for point in points:
        minute, verdict = place_of(point)
        if minute not in kept or _TELLS.index(verdict) > _TELLS.index(kept[minute].verdict):
            kept[minute] = point
    return tuple(kept[minute] for minute in sorted(kept))[-POINTS_AT_MOST:]


def ledger_frame(known: Known, history: LedgerHistory, titles: Mapping[str, str], now: datetime) -> LedgerFrame:
    """Every stream's ledger as known at `now`, and how it was."""
    return LedgerFrame(
        at=now,
        streams=tuple(_stream(known, history, name, title, now) for name, title in titles.items()),
    )


def _stream(known: Known, history: LedgerHistory, name: str, title: str, now: datetime) -> StreamLedger:
    verdict, reason = known.verdict(name, now)
    return StreamLedger(
        name=name,
        title=title,
        verdict=verdict,
        reason=reason,
        taken=known.ledger(name),
        history=thinned(history.points(name, now)),
    )
