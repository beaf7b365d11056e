"""How have gates judged over time, and how do they stand now? What the API answers and the Quality page shows.

A `GateDecided` has every rule and its examples. What is kept for a month is less: the outcome, the rules that were broken
and by how much, the suite, and how long it took.
"""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from controlplane.contract.frozen import Frozen
from controlplane.contract.gates import BreakerChanged, GateDecided, GateOrdered, Outcome, Policy, Stage, SuiteFollowed


class VerdictPoint(Frozen):
    """One verdict as it is remembered."""

    id: str
    """Of its `GateDecided`."""
    at: AwareDatetime
    stage: Stage
    table: str | None = None
    outcome: Outcome
    suite: str
    rows: int
    judged: int
    broken: dict[str, float | None] = Field(default_factory=dict)
    """Rule -> share of the judged rows that break it; None for a rule that is not about rows."""
    unevaluated: tuple[str, ...] = ()
    """Rules that could not be evaluated."""
    took_s: float | None = None
    stage_took_s: float | None = None
    reason: str | None = None


class VerdictBucket(Frozen):
    """A stretch of time at one gate; with `outcome` None nobody has judged in it."""

    at: AwareDatetime
    """Where it begins."""
    outcome: Outcome | None = None
    """The worst."""
    verdicts: int = 0
    """As remembered: of those that passed one a minute."""
    broken: tuple[str, ...] = ()
    unevaluated: tuple[str, ...] = ()
    reason: str | None = None
    """Of the worst."""


class GateHistory(Frozen):
    """One gate's strip, oldest first, without holes."""

    stage: Stage
    table: str | None
    buckets: tuple[VerdictBucket, ...]


class SuiteSeen(Frozen):
    """A version of a stage's suite was in use."""

    stage: Stage
    suite: str
    """Fingerprint."""
    since: AwareDatetime
    """When it was first taken, or judged by."""
    until: AwareDatetime
    """When it was last heard of."""
    rules: int | None = None
    """None when only verdicts tell of it."""


class TurnedAway(Frozen):
    """What route turned away of what came since the point before."""

    at: AwareDatetime
    routed: int | None
    """None when a count is missing or has begun anew."""
    dead: int | None
    quarantined: int | None
    share: float | None
    """Of what was routed; None when that is unknown or nothing came."""


class QualityHistory(Frozen):
    """A stream's gates over the last hours."""

    stream: str
    at: AwareDatetime
    hours: float
    bucket_s: float
    gates: tuple[GateHistory, ...]
    suites: tuple[SuiteSeen, ...]
    """The newest first."""
    turned_away: tuple[TurnedAway, ...]
    """Oldest first, by minute."""


class GateState(Frozen):
    """One gate as known now."""

    stage: Stage
    table: str | None
    policy: Policy
    followed: SuiteFollowed | None
    """None when nobody has said lately which suite is followed; `reason` says so."""
    reason: str | None = None
    last: GateDecided | None = None
    """None while it has not judged."""
    is_stale: bool = False
    """The last verdict may not be how it is now: its part has been silent, or should have judged again."""
    breaker: BreakerChanged | None = None
    """None when nobody has said lately how it stands; rollup and serving have none."""
    breaker_reason: str | None = None
    share: float | None = None
    """Of the stage's time, that which the gate took, over its last verdicts; None when that was not measured."""
    share_of: int = 0
    """How many verdicts that is."""
    ordered: GateOrdered | None = None
    """An operator's order that no verdict has followed yet."""


class StreamQuality(Frozen):
    """A stream's gates in the order of an event's way."""

    name: str
    title: str
    validity: float
    """The service level: least share of events that are valid."""
    gates: tuple[GateState, ...]


class QualityFrame(Frozen):
    """Every stream's gates as known at `at`."""

    at: AwareDatetime
    streams: tuple[StreamQuality, ...]
