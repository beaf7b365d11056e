"""What is done to the platform by its operators? An operation: plan, confirmation, progress, result, undo.

An operation is asked for by kind and with what that kind asks; the worker plans it: `Plan.stages` is data, and those very stages
run when it is confirmed, one after the other, each of which can be run again after a crash. What a plan rests on (`basis`) must
still hold when it runs. Two operations that touch the same partitions of a table, one of them writing, never run together.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field, JsonValue

from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATH = "/api/v1/operations"
LEASE_PATH = f"{PATH}/lease"
ALL = "*"
"""Every partition of a table, every table of a stream."""
PLAN_HOLDS_S = 900
"""A plan that is older has to be made again."""


class Kind(StrEnum):
    """What an operation does."""

    BACKFILL = "backfill"
    ROLLBACK = "rollback"
    TRIAL = "trial"
    PROMOTION = "promotion"
    """A trial's changed definition becomes today's."""
    LOAD_TEST = "load_test"
    MAINTENANCE = "maintenance"
    """What the lake's tables need now, without waiting for the policy's next look."""


class OperationState(StrEnum):
    """The life of an operation."""

    PLANNING = "planning"
    PLANNED = "planned"
    """Waits for its confirmation; nothing is done yet."""
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Or refused: `reason` says why, and what to do."""

    @property
    def has_ended(self) -> bool:
        """Nothing more comes of it."""
        return self in (OperationState.DONE, OperationState.CANCELLED, OperationState.FAILED)

    @property
    def holds(self) -> bool:
        """What it touches is its own: it conflicts with others."""
        return self in (OperationState.QUEUED, OperationState.RUNNING, OperationState.PAUSED)


class Wish(StrEnum):
    """What operators want of an operation that is under way."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class StageState(StrEnum):
    """The life of a stage."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Touch(Frozen):
    """What an operation reads or writes."""

    stream: str
    table: str = ALL
    """Folder of a table in the lake, such as `events`; `*`: all of the stream."""
    partitions: tuple[str, ...] = (ALL,)
    writes: bool = True

    def meets(self, other: Touch) -> bool:
        """May the two not run at the same time?"""
        if not (self.writes or other.writes) or self.stream != other.stream:
            return False
        if ALL not in (self.table, other.table) and self.table != other.table:
            return False
        return (
            ALL in self.partitions
            or ALL in other.partitions
            or not frozenset(self.partitions).isdisjoint(other.partitions)
        )


class StagePlanned(Frozen):
    """One step, as data: what the plan shows is what runs."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_.:=-]*$", max_length=120)
    """Unique in its operation, such as `build:2013-01-07`."""
    does: str
    """Name of what the kind knows to do."""
    title: str
    """In words."""
    partition: str | None = None
    """Which partition it is about; a matrix shows one cell for each."""
    given: dict[str, JsonValue] = Field(default_factory=dict)
    """What it is done with."""
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    """Estimates; None when unknown."""


class Plan(Frozen):
    """What will change; nothing is done yet."""

    at: AwareDatetime
    stages: tuple[StagePlanned, ...]
    touches: tuple[Touch, ...]
    basis: dict[str, JsonValue] = Field(default_factory=dict)
    """What must still hold when it runs, such as a version or a definition's fingerprint; otherwise the plan is stale."""
    rows: int | None = None
    bytes: int | None = None
    partitions: int | None = None
    seconds: float | None = None
    """Of all of it, about."""
    confirmation: str
    """What has to be typed, such as the stream's name."""
    notes: tuple[str, ...] = ()
    """What an operator should know before."""
    preview: dict[str, Any] = Field(default_factory=dict)
    """By kind: what changes, with examples."""
    fingerprint: str
    """Of stages, touches and basis: who confirms says which plan."""


def fingerprint_of(stages: Sequence[StagePlanned], touches: Sequence[Touch], basis: Mapping[str, JsonValue]) -> str:
    """Of what a plan does and rests on: SHA-256 of its canonical JSON, first 16 hex digits."""
    said = [[each.model_dump(mode="json") for each in (*stages, *touches)], basis]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class StageProgress(Frozen):
    """How far a stage is."""

    key: str
    state: StageState = StageState.WAITING
    done: int | None = None
    total: int | None = None
    unit: str = ""
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    note: str = ""
    """What it does or waits for right now."""
    result: dict[str, JsonValue] = Field(default_factory=dict)
    """What it found; later stages may read it, also after a crash."""


class OperationAsked(Frozen):
    """An operation as it is asked for."""

    kind: Kind
    asked: dict[str, JsonValue]
    """By kind: `BackfillAsked`, `RollbackAsked`, `TrialAsked`, `PromotionAsked`, `LoadAsked`, `MaintenanceAsked`."""
    why: str = Field("", max_length=300)
    """Kept with it, and told to PagerDuty."""


class Operation(Frozen):
    """One operation."""

    id: str
    kind: Kind
    stream: str
    asked: dict[str, JsonValue]
    why: str = ""
    by: str
    """Who asked for it."""
    at: AwareDatetime
    changed_at: AwareDatetime
    state: OperationState
    wish: Wish = Wish.RUN
    confirmed_by: str | None = None
    confirmed_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    plan: Plan | None = None
    stages: tuple[StageProgress, ...] = ()
    """As the plan has them, in order; before the plan none."""
    waits_for: str | None = None
    """What holds it up right now, such as live's lag; None when nothing does."""
    reason: str | None = None
    """Why it failed or was refused, with what to do."""
    result: dict[str, JsonValue] = Field(default_factory=dict)
    undo: dict[str, JsonValue] | None = None
    """What the operation that undoes it asks for (an `OperationAsked`); None when there is none."""
    undoes: str | None = None
    """The operation that this one undoes."""
    undone_by: str | None = None
    schedule: str | None = None
    """The schedule that asked for it."""
    dry_run: bool = False
    """It was only to be planned: it cannot be confirmed."""
    attempts: int = 0
    """How often a worker has begun or gone on with it."""
    cli: str = ""
    """The command that asks for the same."""


class Does(StrEnum):
    """What a worker is to do with an operation that it leases."""

    PLAN = "plan"
    RUN = "run"
    CLEAN_UP = "clean_up"
    """It was cancelled, or cannot be done: only what it has left is taken back."""


class Leased(Frozen):
    """Work for a worker: nobody else does it while the worker is heard of."""

    operation: Operation
    does: Does
    lease: str
    """What the worker says it by; who has an older one is not listened to."""


class LeaseAsked(Frozen):
    """A worker asks for work."""

    worker: str = Field(max_length=200)
    """Its name; the same when it starts anew, so that what it had is free at once."""
    holds: tuple[str, ...] = ()
    """The leases of what it is at work on."""
    does: tuple[Does, ...] = tuple(Does)
    """What it has room for."""
    wait_s: float = Field(0, ge=0, le=20)


class Heard(Frozen):
    """What a worker is answered."""

    wish: Wish


class LogLine(Frozen):
    """A line of an operation's log."""

    number: int
    at: AwareDatetime
    text: str


class WorkerSays(Frozen):
    """What the worker tells of an operation that it has leased; None says nothing of a field."""

    worker: str
    """The lease."""
    state: OperationState | None = None
    plan: Plan | None = None
    stream: str | None = None
    stages: tuple[StageProgress, ...] = ()
    """Those that have changed."""
    waits_for: str | None = None
    reason: str | None = None
    result: dict[str, JsonValue] | None = None
    undo: dict[str, JsonValue] | None = None
    log: tuple[str, ...] = ()
    """New lines."""


class ScheduleAsked(Frozen):
    """An operation that is asked for again and again."""

    cron: str = Field(max_length=100)
    """Five fields of a crontab, in UTC, such as `30 3 * * 1`."""
    ask: OperationAsked
    """`today` and such as `today-7` in it stand for days as of the run."""
    confirm: bool = False
    """Does it run without anybody's confirmation? Only who may confirm the operation may say so."""
    is_on: bool = True


class Schedule(ScheduleAsked):
    """A schedule as it is kept. A run that was missed while nothing ran is made up for once."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)
    by: str
    """Who made it what it is: its operations are asked for in this name."""
    at: AwareDatetime
    next_at: AwareDatetime | None = None
    """None while it is off."""
    last_at: AwareDatetime | None = None
    last_operation: str | None = None
    reason: str | None = None
    """Why its last run asked for nothing."""


class OperationsFrame(Frozen):
    """What the hub pushes: the newest operations, newest first, without plans and results; stages of those that have not ended."""

    at: AwareDatetime
    operations: tuple[Operation, ...]
    worker_at: AwareDatetime | None = None
    """When the worker was heard last; None: never."""
