"""What is wanted of each target now, and how did that come about? Observe, decide, remember; the part itself acts.

What is decided in a dry run is followed up as if it had been done, so that it reads like what would happen; nothing of it is wanted
of the part. When the dry run ends, decisions begin anew from what the part has.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controlplane.contract.scaling import ScalingDecided, ScalingFrame, ScalingTarget, Wanted
from controlplane.service.scaling.decide import ScalePlan, decide, in_words
from controlplane.service.scaling.kept import TARGETS
from controlplane.service.scaling.needs import Standing
from controlplane.service.scaling.observe import executors_of, load_of, not_scaled
from controlplane.service.scaling.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from controlplane.contract.facts import Fact
    from controlplane.service.scaling.kept import ScalingFile
    from controlplane.service.state import Known

CHANGES = 100
"""So many of a target are remembered."""
_WORTH_TELLING = (2, 3, 5, 6, 7, 8, 9, 14)
"""Rules that change nothing although somebody may expect it."""
_log = logging.getLogger(__name__)


@dataclass
class _Scaled:
    """A target, as it stands."""

    work: Work
    standing: Standing = field(default_factory=Standing)
    plan: ScalePlan | None = None
    is_acted_on: bool = False
    """What is decided is wanted of the part."""
    changes: deque[ScalingDecided] = field(default_factory=lambda: deque(maxlen=CHANGES))


class Scaler:
    """Looks, decides and remembers; no clock of its own.

    Args:
        kept: policies and orders.
        streams: those whose queries the targets run.
    """

    def __init__(self, kept: ScalingFile, streams: Sequence[str]) -> None:
        self.kept = kept
        self._streams = tuple(streams)
        self._scaled = {target: _Scaled(Work(target)) for target in TARGETS}

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take in what is needed to measure what an executor does."""
        taken = tuple(facts)
        for scaled in self._scaled.values():
            scaled.work.fold(taken)

    def beat(self, known: Known, now: datetime) -> tuple[ScalingDecided, ...]:
        """Decide for every target."""
        return tuple(self._decided(target, known, now) for target in self._scaled)

    def wanted(self, target: str, now: datetime) -> Wanted:
        """What a target is to have: what was ordered or decided; as it is, where nothing is to be acted on."""
        scaled, ordered = self._scaled[target], self.kept.order(target, now)
        if ordered is not None:
            return Wanted(target=target, executors=ordered.executors, at=now, reason=in_words(ordered))
        if scaled.plan is None:
            return Wanted(target=target, at=now, reason="nobody has decided yet")
        want = scaled.plan.want if scaled.is_acted_on else None
        dry = "" if scaled.is_acted_on or scaled.plan.want is None else "would be, if it were acted on: "
        return Wanted(target=target, executors=want, at=now, reason=f"{dry}{scaled.plan.reason}")

    def frame(self, known: Known, now: datetime) -> ScalingFrame:
        """Every target, as the Scaling page shows it."""
        return ScalingFrame(at=now, targets=tuple(self._target(target, known, now) for target in self._scaled))

    def _target(self, target: str, known: Known, now: datetime) -> ScalingTarget:
        executors, reason = executors_of(known, target, now)
        decided = known.facts.get(("scaling_decided", target))
        return ScalingTarget(
            name=target,
            policy=self.kept.policy(target),
            ordered=self.kept.order(target, now),
            wanted=self.wanted(target, now),
            executors=executors,
            decided=decided if isinstance(decided, ScalingDecided) else None,
            changes=tuple(self._scaled[target].changes),
            reason=not_scaled(target, executors) or reason,
        )

    def _decided(self, target: str, known: Known, now: datetime) -> ScalingDecided:
        scaled, policy, ordered = self._scaled[target], self.kept.policy(target), self.kept.order(target, now)
        load = load_of(known, scaled.work, target, self._streams, policy, now)
        is_acted_on = not policy.is_dry_run
        if is_acted_on != scaled.is_acted_on:
            scaled.standing = replace(scaled.standing, asked=None, changed_at=None)
        plan = decide(load, policy, ordered, scaled.standing, now)
        decided = ScalingDecided(
            at=now,
            target=target,
            have=None if load.executors is None else load.executors.have,
            want=plan.want,
            rule=plan.rule,
            reason=plan.reason,
            is_acted_on=plan.is_change and (is_acted_on or ordered is not None),
            is_dry_run=not is_acted_on,
            by="autoscaler" if ordered is None else ordered.by,
            inputs=plan.inputs,
        )
        _tell(decided, plan, scaled.plan)
        if plan.is_change:
            scaled.changes.appendleft(decided)
        scaled.plan, scaled.standing, scaled.is_acted_on = plan, plan.standing, is_acted_on
        return decided


def changing(frame: ScalingFrame) -> tuple[object, ...]:
    """What of a frame is news; the numbers of every look are not."""
    return tuple(
        (
            each.policy,
            each.ordered,
            each.wanted.executors,
            None if each.executors is None else (each.executors.have, each.executors.want, each.executors.waits_for),
            None if each.decided is None else (each.decided.rule, each.decided.want),
            each.changes[:1],
            each.reason,
        )
        for each in frame.targets
    )


def _tell(decided: ScalingDecided, plan: ScalePlan, before: ScalePlan | None) -> None:
    """A change always; what holds one up when it begins to."""
    dry = " (not acted on)" if decided.is_dry_run else ""
    if plan.is_change:
        _log.info("%s: %s executors%s, rule %s: %s", decided.target, plan.want, dry, plan.rule, plan.reason)
    elif plan.rule in _WORTH_TELLING and (before is None or before.rule != plan.rule):
        _log.info("%s: as it is%s, rule %s: %s", decided.target, dry, plan.rule, plan.reason)
