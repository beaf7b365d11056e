"""How many executors should there be? Numbered rules, the first that has something to say decides; pure.

| rule | name | what |
|---|---|---|
| 1 | ordered | An operator's order holds. |
| 2 | off | The policy is off: they are left as they are. |
| 3 | executors unknown | The part does not say how many it has. |
| 4 | bounds | Fewer than the least, or more than the most, of the policy and of the cluster. |
| 5 | stopped | A query stands still for another reason: executors do not help, and are needed when it goes on. |
| 6 | unknown | A rate or a lag is not known, and what is known does not need more. |
| 7 | not busy | A backlog is to be worked off, and most of the time no task runs: something else holds it up. |
| 8 | ceiling | More are needed, and the topics have no partitions for them. |
| 9 | at most | More are needed than are allowed. |
| 10 | out soon | More are needed, too soon after the last change. |
| 11 | out | More are needed: they were too busy, or would not be through with the backlog in time. |
| 12 | in | Fewer would do, and would have done all the while. |
| 13 | in soon | Fewer would do, not yet for long enough. |
| 14 | missing | As many as are needed are wanted, and have not come for a while. |
| 15 | enough | Within the band, or as near to it as a whole number is. |

Steps out go by what is needed now; steps in by the most that was needed during the whole of the cool-down, so a short lull
changes nothing and no load that repeats within it makes them flap. After a step they are about as busy as the middle of the band,
so it takes a load that changes by a fifth or more to leave it. What is not known ends the while: unknown never takes one away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.durations import format_duration
from controlplane.service.scaling.needs import Needs, Standing, needs_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from controlplane.contract.scaling import ScaleOrdered, ScalingPolicy
    from controlplane.service.scaling.load import Load

IDLE_BELOW = 0.25
"""When tasks run for less than that, no number of executors makes it a third faster."""
MISSING_AFTER = timedelta(seconds=60)
"""Executors that were asked for so long ago should be there."""


@dataclass(frozen=True)
class ScalePlan:
    """What should be, and why."""

    want: int | None
    """Executors; None: leave them as they are."""
    rule: int
    reason: str
    standing: Standing
    """What the next decision has to know of this one."""
    is_change: bool = False
    inputs: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Look:
    """What every rule sees."""

    load: Load
    policy: ScalingPolicy
    ordered: ScaleOrdered | None
    needs: Needs
    standing: Standing
    now: datetime

    @property
    def asked(self) -> int:
        return self.needs.asked or 0

    def since_change(self) -> timedelta | None:
        changed_at = self.standing.changed_at
        return None if changed_at is None else self.now - changed_at


_Said = tuple[int | None, str]
"""Executors, and why."""


def decide(
    load: Load, policy: ScalingPolicy, ordered: ScaleOrdered | None, before: Standing, now: datetime
) -> ScalePlan:
    """Say how many executors there should be.

    Args:
        load: what is asked of them, and how many there are.
        policy: what the autoscaler may do.
        ordered: an operator's order that holds now.
        before: `standing` of the decision before; `Standing()` for the first one.
        now: the time.
    """
    needs, standing = needs_of(load, policy, before, now)
    look = _Look(load, policy, ordered, needs, standing, now)
    for number, rule in RULES.items():
        if (said := rule(look)) is not None:
            want, reason = said
            is_change = want is not None and needs.asked is not None and want != needs.asked
            changed_at = now if is_change else standing.changed_at
            kept = replace(standing, asked=want, changed_at=changed_at)
            return ScalePlan(want, number, reason, kept, is_change, needs.inputs)
    raise AssertionError("the last rule always has something to say")


def _ordered(look: _Look) -> _Said | None:
    return None if look.ordered is None else (look.ordered.executors, in_words(look.ordered))


def _off(look: _Look) -> _Said | None:
    return None if look.policy.is_on else (None, "the autoscaler is off: executors are left as they are")


def _executors_unknown(look: _Look) -> _Said | None:
    if look.load.executors is not None and look.needs.asked is not None:
        return None
    return look.needs.asked, f"nothing changes: {look.load.reason or 'how many executors there are is not known'}"


def _bounds(look: _Look) -> _Said | None:
    lower, upper, asked = look.needs.lower, look.needs.upper, look.asked
    if lower <= asked <= upper:
        return None
    what = f"least is {lower}" if asked < lower else f"most is {upper}"
    return (lower if asked < lower else upper), f"{what}, {asked} are wanted"


def _stopped(look: _Look) -> _Said | None:
    if not look.load.stopped or look.needs.more > look.asked:
        return None
    return look.asked, f"{look.load.stopped[0]}: more executors do not help, and fewer would be too few afterwards"


def _unknown(look: _Look) -> _Said | None:
    if not look.load.lacking or look.needs.more > look.asked:
        return None
    return look.asked, f"nothing changes: {look.load.lacking[0]}"


def _not_busy(look: _Look) -> _Said | None:
    """A limit of the micro-batch, a gate, planning, one partition with everything: no executor makes these faster.

    One that may only do its share of a micro-batch is idle for the rest of the interval, and another one brings another share.
    """
    share = look.load.at_work
    if look.needs.more <= look.asked or look.needs.more_by_rate > look.asked or share is None:
        return None
    if share >= IDLE_BELOW or any(each.capacity.is_bound for each in look.load.moving if each.waiting > 0):
        return None
    return look.asked, (
        f"{look.needs.why}: tasks run on {share * 100:.0f} % of {look.asked} executors: "
        "what holds it up is not how many there are"
    )


def _ceiling(look: _Look) -> _Said | None:
    useful, asked = look.needs.useful, look.asked
    if look.needs.more <= asked or asked < useful:
        return None
    partitions = ", ".join(look.needs.crowded)
    return asked, f"{look.needs.why}: {look.needs.more} are needed, and more than {useful} find no task: {partitions}"


def _at_most(look: _Look) -> _Said | None:
    if look.needs.more <= look.asked or look.asked < look.needs.upper:
        return None
    cluster = look.load.executors
    whose = "the cluster gives" if cluster is not None and cluster.most < look.policy.most else "the policy allows"
    return look.asked, f"{look.needs.why}: {look.needs.more} are needed, {whose} {look.needs.upper} at most"


def _out_soon(look: _Look) -> _Said | None:
    since, pause = look.since_change(), look.policy.out_cool_down
    if look.needs.more <= look.asked or since is None or since >= pause:
        return None
    return (
        look.asked,
        f"{look.needs.why}: {look.needs.more} are needed; the last change was {_ago(since)} ago, {_pause(pause)}",
    )


def _out(look: _Look) -> _Said | None:
    if look.needs.more <= look.asked:
        return None
    want = min(look.needs.more, look.asked + look.policy.out_step, look.needs.upper, look.needs.useful)
    step = "" if want == look.needs.more else f" ({look.needs.more} are needed)"
    return want, f"{look.needs.why}: {want} instead of {look.asked}{step}"


def _in(look: _Look) -> _Said | None:
    if look.needs.fewer >= look.asked or _in_waits_for(look) is not None:
        return None
    want = max(look.needs.fewer, look.asked - look.policy.in_step)
    return want, f"for {_pause_in(look)} {look.needs.why_fewer}: {want} instead of {look.asked}"


def _in_soon(look: _Look) -> _Said | None:
    if look.needs.fewer >= look.asked or (waits := _in_waits_for(look)) is None:
        return None
    return look.asked, f"{look.needs.why_fewer}: {look.needs.fewer} would do, if so for another {_ago(waits)}"


def _in_waits_for(look: _Look) -> timedelta | None:
    """How long it must go on like this until a step in; None: long enough."""
    pause = look.policy.in_cool_down
    gone = (look.since_change(), look.needs.known_for)
    left = [pause - each for each in gone if each is not None and each < pause]
    return max(left, default=None)


def _missing(look: _Look) -> _Said | None:
    executors, since = look.load.executors, look.standing.missing_since
    if executors is None or since is None or look.now - since < MISSING_AFTER:
        return None
    waits = f": {executors.waits_for}" if executors.waits_for else ""
    return look.asked, f"{executors.have} of {look.asked} executors are there since {_ago(look.now - since)}{waits}"


def _enough(look: _Look) -> _Said:
    return look.asked, f"{look.needs.why}: {look.asked} are enough"


RULES: dict[int, Callable[[_Look], _Said | None]] = {
    1: _ordered,
    2: _off,
    3: _executors_unknown,
    4: _bounds,
    5: _stopped,
    6: _unknown,
    7: _not_busy,
    8: _ceiling,
    9: _at_most,
    10: _out_soon,
    11: _out,
    12: _in,
    13: _in_soon,
    14: _missing,
    15: _enough,
}
"""The rules in their order."""


def in_words(order: ScaleOrdered) -> str:
    """An order, as people read it."""
    until = "until it is given back" if order.until is None else f"until {order.until:%Y-%m-%d %H:%M:%S} UTC"
    return f"{order.by} has ordered {order.executors}, {until}"


def _ago(length: timedelta) -> str:
    return f"{length.total_seconds():.0f} s"


def _pause(pause: timedelta) -> str:
    return f"the cool-down is {format_duration(pause)}"


def _pause_in(look: _Look) -> str:
    return format_duration(look.policy.in_cool_down)
