"""How has each gate judged before?

Every verdict that is not `passed` is a point; of those that passed one a minute, the first of it, because a gate that
lets everything through says the same thing every few seconds. The fold does not depend on the order in which facts come,
nor on how often. The gates' share of a stage's time is taken from all verdicts, the newest ones, so thinning does not bend it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.gates import GateDecided, Outcome, SuiteFollowed
from controlplane.contract.verdicts import SuiteSeen, VerdictPoint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from controlplane.contract.facts import Fact
    from controlplane.contract.gates import Stage

SHOWN = timedelta(hours=6)
"""What is held in memory."""
POINTS_AT_MOST = 3000
"""Of a gate, in memory: the newest. A gate that fails every ten seconds has 2,160 in six hours."""
TIMED = 50
"""Verdicts over which a gate's share of its stage's time is taken."""
_UNSAVED_AT_MOST = 20_000

Gate = tuple[str, "Stage", str]
"""Stream, stage, table (empty for none)."""
Saved = tuple[str, "VerdictPoint | SuiteSeen"]
"""Stream and what is to be kept of it."""
Place = tuple[int, str]


def point_of(decided: GateDecided) -> VerdictPoint:
    """A verdict as it is remembered."""
    return VerdictPoint(
        id=decided.id,
        at=decided.at,
        stage=decided.stage,
        table=decided.table,
        outcome=decided.outcome,
        suite=decided.suite,
        rows=decided.rows,
        judged=decided.judged,
        broken={
            rule.rule: rule.unexpected / rule.judged if rule.unexpected is not None and rule.judged else None
            for rule in decided.rules
            if rule.kept is False
        },
        unevaluated=tuple(rule.rule for rule in decided.rules if rule.kept is None),
        took_s=decided.took_s,
        stage_took_s=decided.stage_took_s,
        reason=decided.reason,
    )


def place_of(point: VerdictPoint) -> Place:
    """Where a point of a gate is kept: of two at the same place the earlier one is."""
    return int(point.at.timestamp() // 60), "" if point.outcome is Outcome.PASSED else point.id


class VerdictHistory:
    """The verdicts of the last hours, which suites there were, and what is still to be saved."""

    def __init__(self) -> None:
        self._points: dict[Gate, dict[Place, VerdictPoint]] = defaultdict(dict)
        self._timed: dict[Gate, dict[str, tuple[datetime, float, float]]] = defaultdict(dict)
        self._suites: dict[tuple[str, Stage, str], SuiteSeen] = {}
        self._unsaved: deque[Saved] = deque(maxlen=_UNSAVED_AT_MOST)

    def fold(self, facts: Iterable[Fact], now: datetime) -> None:
        """Take verdicts and suites in; other facts are passed over."""
        for fact in facts:
            if isinstance(fact, GateDecided):
                self._judged(fact, now)
            elif isinstance(fact, SuiteFollowed):
                seen = SuiteSeen(stage=fact.stage, suite=fact.suite, since=fact.since, until=fact.at, rules=fact.rules)
                self._see(fact.stream, seen, is_new=True)

    def restore(self, saved: Iterable[Saved], now: datetime) -> None:
        """Take in what an earlier run saved."""
        for stream, kept in saved:
            if isinstance(kept, VerdictPoint):
                self._add(stream, kept, now)
            else:
                self._see(stream, kept, is_new=False)

    def points(self, stream: str, now: datetime) -> tuple[VerdictPoint, ...]:
        """Every point of the last hours, oldest first."""
        gates = (kept for (name, _, _), kept in self._points.items() if name == stream)
        found = (point for kept in gates for point in kept.values() if now - point.at <= SHOWN)
        return tuple(sorted(found, key=_by_time))

    def suites(self, stream: str) -> tuple[SuiteSeen, ...]:
        """Versions of suites, the newest first."""
        found = (seen for (name, _, _), seen in self._suites.items() if name == stream)
        return tuple(sorted(found, key=lambda seen: (seen.since, seen.suite), reverse=True))

    def share(self, stream: str, stage: Stage, table: str | None) -> tuple[float | None, int]:
        """The gate's share of its stage's time over its last verdicts, and how many those are."""
        timed = self._timed.get((stream, stage, table or ""), {}).values()
        whole = sum(stage_s for _, _, stage_s in timed)
        return (sum(gate_s for _, gate_s, _ in timed) / whole if whole > 0 else None), len(timed)

    def take_unsaved(self) -> list[Saved]:
        """What nobody has taken to save yet."""
        return [self._unsaved.popleft() for _ in range(len(self._unsaved))]

    def put_back(self, saved: list[Saved]) -> None:
        """What could not be saved; of too much the oldest is given up."""
        self._unsaved = deque([*saved, *self._unsaved], maxlen=_UNSAVED_AT_MOST)

    def _judged(self, decided: GateDecided, now: datetime) -> None:
        point = point_of(decided)
        if self._add(decided.stream, point, now):
            self._unsaved.append((decided.stream, point))
        seen = SuiteSeen(stage=decided.stage, suite=decided.suite, since=decided.at, until=decided.at)
        self._see(decided.stream, seen, is_new=True)
        if decided.took_s is not None and decided.stage_took_s is not None:
            timed = self._timed[decided.stream, decided.stage, decided.table or ""]
            timed[decided.id] = (decided.at, decided.took_s, decided.stage_took_s)
            while len(timed) > TIMED:
                del timed[min(timed, key=lambda each: (timed[each][0], each))]

    def _add(self, stream: str, point: VerdictPoint, now: datetime) -> bool:
        if now - point.at > SHOWN:
            return False
        kept, place = self._points[stream, point.stage, point.table or ""], place_of(point)
        if place in kept and _by_time(kept[place]) <= _by_time(point):
            return False
        kept[place] = point
        first = int((now - SHOWN).timestamp() // 60)
        for old in [each for each in kept if each[0] < first]:
            del kept[old]
        while len(kept) > POINTS_AT_MOST:
            del kept[min(kept, key=lambda each: _by_time(kept[each]))]
        return place in kept

    def _see(self, stream: str, seen: SuiteSeen, *, is_new: bool) -> None:
        """Widen what is known of a suite's time; how long it has lasted is saved once an hour."""
        place = (stream, seen.stage, seen.suite)
        known = self._suites.get(place)
        joined = seen if known is None else _joined(known, seen)
        self._suites[place] = joined
        is_told = known is not None and known.since == joined.since and known.rules == joined.rules
        if is_new and not (is_told and known is not None and _hour(known.until) == _hour(joined.until)):
            self._unsaved.append((stream, joined))


def _by_time(point: VerdictPoint) -> tuple[datetime, str]:
    return point.at, point.id


def _joined(one: SuiteSeen, other: SuiteSeen) -> SuiteSeen:
    rules = one.rules if other.rules is None else other.rules
    return one.model_copy(
        update={"since": min(one.since, other.since), "until": max(one.until, other.until), "rules": rules}
    )


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // 3600)
