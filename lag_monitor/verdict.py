"""Is this consumer keeping up?

A lag of ten million may be healthy (a replay catching up) and a lag of one may be a dead consumer, so a single number cannot
answer. We look at a window and ask, rule by rule. The rules are LinkedIn Burrow's ("Consumer Lag Evaluation Rules" in its wiki,
github.com/linkedin/Burrow), restated:

- Burrow's samples are commits, so its lag is always the lag right after one. Ours are looks; lag is compared at *moves* (`window`),
  so that the sawtooth of a consumer that commits every ten seconds is no trend.
- "Some lag in the window was zero" (its rule 1) never comes true under a steady flow. Ours is: some move took everything that
  had been there when it was begun.
- Its rules 2 and 4 ask whether commits come without moving, or do not come. From outside commits that do not move can't be
  seen, but whether anybody is there can: members of a group, a part's own word. Who is there and does not move has stalled;
  who is not has stopped.
- A time is counted from when there was something to take. An end that does not move, or a burst after a quiet night, is no
  standstill.
- What cannot be told is UNKNOWN, never OK.

Each rule is a function `(window, now) -> Judged | None`; the first that answers decides, and its number is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.lag import LagVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lag_monitor.window import Move, Window

LEAST_PATIENCE = timedelta(seconds=30)
"""No standstill is told sooner: a garbage collection, a rebalance or a batch boundary takes seconds."""
PACES_OF_PATIENCE = 4
"""So many times its pace a consumer may take for a move."""
WATCHED_AT_LEAST = timedelta(seconds=20)
"""Sooner nothing is said about a trend."""
IDLE_AFTER = timedelta(seconds=60)
"""Nothing left and nothing produced for so long: idle."""
RETENTION_LEFT = 0.1
"""Share of the topic's retention: who is closer to losing records than that is told of."""


@dataclass(frozen=True)
class Judged:
    """A verdict, the number of the rule that gave it, and what it rests on."""

    verdict: LagVerdict
    rule: int
    reason: str


def judge(window: Window, now: datetime) -> Judged:
    """How one partition's consumer is doing at `now`."""
    for rule in RULES:
        judged = rule(window, now)
        if judged is not None:
            return judged
    raise AssertionError("the last rule always answers")


def patience(window: Window) -> timedelta:
    """For how long a consumer may leave what is there without it being a standstill."""
    return max(LEAST_PATIENCE, PACES_OF_PATIENCE * window.pace)


def is_idle(window: Window, now: datetime) -> bool:
    """Has nothing been produced for a while, and is nothing left?"""
    last = window.last
    if last is None or last.left != 0 or last.end is None:
        return False
    quiet_since = window.arrived_at or window.watched_since
    return quiet_since is not None and now - quiet_since >= IDLE_AFTER


def rule_1_unknown(window: Window, _now: datetime) -> Judged | None:
    """Where it is, or where the end is, is not known: nothing is said."""
    last = window.last
    if last is None:
        return Judged(LagVerdict.UNKNOWN, 1, "not looked at yet")
    if last.end is not None and (last.position is not None or last.is_empty):
        return None
    return Judged(LagVerdict.UNKNOWN, 1, last.reason or "its position is not known")


def rule_2_nothing_left(window: Window, now: datetime) -> Judged | None:
    """Nothing is left to take: well, whether it lives or not (Burrow 4: no error while offset and end are equal).

    Nor is there for one that an operation holds, as somebody wanted; but what it may lose meanwhile is told of.
    """
    if window.last is not None and window.last.held_by is not None:
        return rule_6_losing(window, now) or Judged(LagVerdict.OK, 2, f"is held by operation {window.last.held_by}")
    if window.last is None or window.last.left != 0:
        return None
    if is_idle(window, now):
        return Judged(LagVerdict.OK, 2, "idle: nothing is left, and nothing is being produced")
    return Judged(LagVerdict.OK, 2, "caught up: nothing is left")


def rule_3_stopped(window: Window, now: datetime) -> Judged | None:
    """Something is there, it has not moved for longer than it ever takes, and nobody hears of it (Burrow 4)."""
    stands = _stands(window, now)
    if stands is None or window.last is None:
        return None
    heard = window.last.heard_at
    if window.last.is_gone:
        return Judged(LagVerdict.STOP, 3, f"nobody takes anything: no member is there, for {_seconds(stands)}")
    if heard is not None and now - heard > patience(window):
        silent = f"has said nothing for {_seconds(now - heard)} and taken nothing for {_seconds(stands)}"
        return Judged(LagVerdict.STOP, 3, silent)
    return None


def rule_4_stalled(window: Window, now: datetime) -> Judged | None:
    """Something is there and it has not moved for longer than it ever takes, although it may well be there (Burrow 2)."""
    stands = _stands(window, now)
    if stands is None:
        return None
    left = window.last.left if window.last else None
    return Judged(LagVerdict.STALL, 4, f"has not moved for {_seconds(stands)}, and {left:,} offsets wait")


def rule_5_rewound(window: Window, _now: datetime) -> Judged | None:
    """It has gone back, and is not yet where it was: records are taken again."""
    last = window.last
    if last is None or last.position is None or window.furthest is None or last.position >= window.furthest:
        return None
    return Judged(LagVerdict.REWIND, 5, f"has gone back from offset {window.furthest:,} to {last.position:,} or before")


def rule_6_losing(window: Window, _now: datetime) -> Judged | None:
    """Records were deleted before it took them, or soon may be."""
    last = window.last
    if last is None or last.position is None:
        return None
    if last.low is not None and last.position < last.low and last.left:
        gone = last.low - last.position
        return Judged(LagVerdict.WARN, 6, f"{gone:,} offsets were deleted by retention before it took them")
    if last.retention_s is None or not last.retained_s or last.retention_s > RETENTION_LEFT * last.retained_s:
        return None
    if last.retention_s <= 0:
        return Judged(LagVerdict.WARN, 6, "what it has not taken is older than the topic keeps records")
    return Judged(LagVerdict.WARN, 6, f"what it has not taken may be deleted in {last.retention_s:.0f} s")


def rule_7_took_all(window: Window, now: datetime) -> Judged | None:
    """Within the window it had everything once (Burrow 1)."""
    looked = now - window.length
    if any(move.took_all for move in window.moves if move.at >= looked):
        return Judged(LagVerdict.OK, 7, "keeps up: it takes what is there")
    if any(sample.left == 0 for sample in window.since(looked)):
        return Judged(LagVerdict.OK, 7, "keeps up: nothing was left a moment ago")
    return None


def rule_8_first_samples(window: Window, now: datetime) -> Judged | None:
    """It is watched for too short a time to speak of a trend."""
    moves = _compared(window, now)
    began = window.watched_since
    if began is not None and now - began >= WATCHED_AT_LEAST and len(moves) >= _LEAST_MOVES:
        return None
    for_s = _seconds(now - began) if began is not None else "0 s"
    return Judged(LagVerdict.UNKNOWN, 8, f"behind, and watched for {for_s} only, with {len(moves)} moves")


def rule_9_falls_behind(window: Window, now: datetime) -> Judged | None:
    """It moves, never takes all that is there, and what is left does not get less from move to move (Burrow 3)."""
    before, after = _halves(_compared(window, now))
    if after < before:
        return None
    return Judged(LagVerdict.WARN, 9, f"falls behind: {before:,.0f} offsets were left after a move, now {after:,.0f}")


def rule_10_catches_up(window: Window, now: datetime) -> Judged | None:
    """It is behind and gets nearer: a backlog is no fault."""
    before, after = _halves(_compared(window, now))
    return Judged(LagVerdict.OK, 10, f"catches up: {before:,.0f} offsets were left after a move, now {after:,.0f}")


RULES: tuple[Callable[[Window, datetime], Judged | None], ...] = (
    rule_1_unknown,
    rule_2_nothing_left,
    rule_3_stopped,
    rule_4_stalled,
    rule_5_rewound,
    rule_6_losing,
    rule_7_took_all,
    rule_8_first_samples,
    rule_9_falls_behind,
    rule_10_catches_up,
)
_LEAST_MOVES = 3


def _stands(window: Window, now: datetime) -> timedelta | None:
    """For how long it has left what is there, if that is longer than it may."""
    if window.waiting_since is None or now - window.waiting_since <= patience(window):
        return None
    return now - window.waiting_since


def _compared(window: Window, now: datetime) -> list[Move]:
    return [move for move in window.moves if move.at >= now - window.length]


def _halves(moves: Sequence[Move]) -> tuple[float, float]:
    """What was left after a move, on average: in the older half of the window and in the newer one."""
    middle = len(moves) // 2
    older, newer = moves[:middle] or moves, moves[middle:] or moves
    return _average(older), _average(newer)


def _average(moves: Sequence[Move]) -> float:
    return sum(move.left for move in moves) / len(moves) if moves else 0.0


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
