"""What would the autoscaler do with this load and this policy? The real one, on a simulated cluster, in simulated time; seeded."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.service.scaling.kept import ScalingFile
from controlplane.service.scaling.scaler import Scaler
from controlplane.service.scaling.simulated import STREAM, Cluster, SimulatedCluster
from controlplane.service.state import Known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.scaling import ScalingDecided, ScalingPolicy
    from controlplane.service.scaling.profile import Profile

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BEAT = timedelta(seconds=2)
_STEPS_A_BEAT = 4
_TARGET = "lake"


@dataclass(frozen=True)
class Moment:
    """How it stood at one beat."""

    elapsed_s: float
    events_per_s: float
    """That were produced."""
    lag_events: int
    have: int
    decided: ScalingDecided
    is_change: bool


def simulate(
    profile: Profile, policy: ScalingPolicy, cluster: Cluster, *, seed: int = 1, lasts_s: float | None = None
) -> Iterator[Moment]:
    """A moment a beat.

    Args:
        profile: the load.
        policy: what the autoscaler may do; in a dry run the cluster stays as it is.
        cluster: what it is tried with.
        seed: another one, other noise and other deaths.
        lasts_s: how long; None: as long as the profile.
    """
    kept = ScalingFile()
    kept.set_policy(_TARGET, policy)
    known, scaler = Known(), Scaler(kept, [STREAM])
    simulated = SimulatedCluster(cluster, BEGAN, random.Random(seed))  # noqa: S311 (noise)
    beats = int((profile.lasts_s if lasts_s is None else lasts_s) / BEAT.total_seconds())
    for number in range(1, beats + 1):
        for step in range(1 - _STEPS_A_BEAT, 1):
            now = BEGAN + number * BEAT + step * BEAT / _STEPS_A_BEAT
            facts = tuple(simulated.step(now, BEAT / _STEPS_A_BEAT, profile.at((now - BEGAN).total_seconds())))
            scaler.fold(facts)
            known.fold(facts)
        facts = tuple(simulated.said(now))
        scaler.fold(facts)
        known.fold(facts)
        [decided] = scaler.beat(known, now)
        known.fold([decided])
        wanted = scaler.wanted(_TARGET, now).executors
        if wanted is not None:
            simulated.scale(wanted, now)
        elapsed_s = (now - BEGAN).total_seconds()
        is_change = decided in scaler.frame(known, now).targets[0].changes[:1]
        yield Moment(elapsed_s, profile.at(elapsed_s), simulated.lag, simulated.have(now), decided, is_change)
