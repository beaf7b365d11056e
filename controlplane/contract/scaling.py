"""How many executors should a part have, who says so, and how many has it?

The control plane decides and keeps what is wanted; the part asks for it and reconciles towards it, at a boundary of its
micro-batches. So an autoscaler that is away changes nothing, and a part that was away reads the same again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from controlplane.contract.durations import Duration
from controlplane.contract.frozen import Frozen, Reported


class ScalingPolicy(Frozen):
    """What an operator lets the autoscaler do."""

    is_on: bool = True
    """Off: executors stay as they are, and what would be done is not even looked at."""
    is_dry_run: bool = False
    """What would be done is said and not done."""
    least: int = Field(2, ge=1, le=1000)
    most: int = Field(8, ge=1, le=1000)
    utilisation: tuple[float, float] = (0.5, 0.8)
    """Band of the share of time that executors work: within it nothing changes; it aims at the middle."""
    catch_up: Duration = timedelta(minutes=5)
    """A backlog is to be gone after so long."""
    out_cool_down: Duration = timedelta(seconds=30)
    """Between a change and a further step out."""
    in_cool_down: Duration = timedelta(minutes=3)
    """Between a change and a step in; it has to be too much all the while."""
    out_step: int = Field(64, ge=1)
    """Executors that are added at once, at most."""
    in_step: int = Field(8, ge=1)
    events_per_s: float | None = Field(None, gt=0)
    """What one executor is known to do; None: it is measured."""

    @model_validator(mode="after")
    def _has_an_order(self) -> ScalingPolicy:
        low, high = self.utilisation
        if not 0 < low < high <= 1:
            message = "utilisation: give two shares, 0 < low < high <= 1"
            raise ValueError(message)
        if self.least > self.most:
            message = f"least ({self.least}) is more than most ({self.most})"
            raise ValueError(message)
        return self


class ScaleOrdered(Frozen):
    """An operator has said how many executors a target is to have; the autoscaler leaves it alone until then."""

    target: str
    executors: int = Field(ge=1, le=1000)
    at: AwareDatetime
    until: AwareDatetime | None = None
    """None: until somebody gives the target back to the autoscaler."""
    by: str = "operator"


class ScaleAsked(Frozen):
    """Body of `POST /api/v1/scaling/<target>/scale`."""

    executors: int = Field(ge=1, le=1000)
    lasts: Duration | None = Field(None, alias="for")
    """`for`: how long it holds, such as `30m`; None: until it is given back."""
    by: str = Field("operator", min_length=1, max_length=100)


class ScalePlanned(Frozen):
    """What an order would change; nothing is done (`?dry_run=true`)."""

    order: ScaleOrdered
    have: int | None
    """Executors that are there; None when that is not known."""
    wanted: int | None
    """What is wanted now; None: leave it as it is."""
    changes: str
    """One sentence: what would be otherwise."""
    against: tuple[str, ...] = ()
    """What stands against it, a sentence each; it would be done all the same."""


class Wanted(Frozen):
    """What a target is to have now: `GET /api/v1/scaling/<target>/wanted`, which the part asks every second."""

    target: str
    executors: int | None = None
    """None: leave it as it is."""
    at: AwareDatetime
    reason: str = ""


class ScalingDecided(Reported):
    """The autoscaler has looked at a target, and said what is to be."""

    kind: Literal["scaling_decided"] = "scaling_decided"
    target: str
    """Part whose executors it is about: `lake`."""
    have: int | None = None
    """Executors that are there; None when that is not known."""
    want: int | None = None
    """Executors that should be; None when nothing can be said."""
    rule: int
    """Number of the rule that decided."""
    reason: str
    """One sentence with the numbers that it rests on."""
    is_acted_on: bool = False
    """False in a dry run, when it is off, and when nothing is to change."""
    is_dry_run: bool = False
    by: str = "autoscaler"
    """Or the operator who ordered it."""
    inputs: dict[str, float | None] = Field(default_factory=dict)
    """What was looked at, by name with the unit last."""


class ExecutorsChanged(Reported):
    """A part's executors as the part itself knows them; said at each change and again every 15 s."""

    kind: Literal["executors_changed"] = "executors_changed"
    target: str
    have: int
    """Registered with the driver, without the driver."""
    want: int
    """What the part was last told, and has asked its cluster for."""
    cores: int
    """Of one executor."""
    least: int
    most: int
    """What the cluster can give; it never asks for more."""
    port: str
    """`spark standalone`, `kubernetes`, `local`: a local session does not scale."""
    waits_for: str | None = None
    """Why `have` is not `want` yet."""
    shares_partitions: bool = False
    """Several of its tasks may read one partition of a topic, so that partitions are no ceiling for its executors."""
    batch_events: int | None = None
    """Most events of a micro-batch for each executor: it does no more in an interval, however fast it is; None: no such bound."""
    failed: int = 0
    """Executors that ended by themselves since the part started."""


class ScalingTarget(Frozen):
    """One target on the Scaling page."""

    name: str
    policy: ScalingPolicy
    ordered: ScaleOrdered | None = None
    """An operator's order that holds now."""
    wanted: Wanted
    executors: ExecutorsChanged | None = None
    """None when the part has not said so lately; `reason` says so."""
    decided: ScalingDecided | None = None
    """The last look."""
    changes: tuple[ScalingDecided, ...] = ()
    """The last decisions that were for another number than before, the newest first; also those of a dry run."""
    reason: str | None = None
    """Why it can't be scaled, or what is not known."""


class ScalingFrame(Frozen):
    """Every target as known at `at`."""

    at: AwareDatetime
    targets: tuple[ScalingTarget, ...]


class ScalingPoint(Frozen):
    """What was decided for a target, or how many executors it had, from ClickHouse's `tidegate_scaling`."""

    at: AwareDatetime
    kind: Literal["decided", "executors"]
    have: int | None = None
    want: int | None = None
    rule: int | None = None
    reason: str | None = None
    """Of a decision; of executors: what they wait for."""
    is_acted_on: bool = False
    is_dry_run: bool = False
    by: str | None = None
