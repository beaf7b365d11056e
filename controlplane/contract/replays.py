"""What can be done with records that were turned away? They are replayed, with fixes, or discarded; each at most once.

One piece of work is first planned: which records, what each would become, and why some stay. What was planned is what runs.
What was done with a record is a marker in its stream's `replays_topic`, written in the transaction that did it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field, field_validator

from controlplane.contract.fix_steps import FixStep, parse_step
from controlplane.contract.frozen import Frozen, Reported
from controlplane.contract.names import Hop, Reason

MOST_RECORDS = 1_000_000
"""Of one piece of work: their ids are kept with it."""


class Status(StrEnum):
    """What was done with a record."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Selection(Frozen):
    """Which records of a stream: those of these ids, or those that all the other fields fit."""

    ids: tuple[str, ...] = Field((), max_length=10_000)
    reason: Reason | None = None
    rule: str | None = None
    """One of the rules that it broke."""
    rules: str | None = None
    """Exactly the rules that it broke, as a group has them: comma-separated."""
    hop: Hop | None = None
    """`dead` or `quarantine`."""
    schema_id: int | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    """Turned away in `[since, until)`."""
    text: str | None = Field(None, max_length=200)
    """Somewhere in the payload's bytes, as UTF-8."""
    status: Status | None = None


class Action(StrEnum):
    """What a piece of work does with its records."""

    REPLAY = "replay"
    DISCARD = "discard"


class Marker(Frozen):
    """What was done with a record: the value of its key in `replays_topic`, as JSON."""

    replay: str
    """Which piece of work did it."""
    action: Literal[Status.REPLAYED, Status.DISCARDED]
    raw: str | None = None
    """`partition:offset` of the raw record that it became."""
    at: AwareDatetime
    by: str = ""
    why: str = ""


class Judged(StrEnum):
    """What a plan finds of a record."""

    READY = "ready"
    """It would be let through."""
    BROKEN = "broken"
    """It would still break rules."""
    UNFIT = "unfit"
    """It fits no version of the stream's schema."""
    UNDECODED = "undecoded"
    """It cannot be decoded, so it cannot be fixed."""
    DONE = "done"
    """It has been replayed or discarded already."""


class Example(Frozen):
    """One record of a plan, before and after."""

    id: str
    judged: Judged
    before: str | None
    """JSON; None when it cannot be decoded."""
    after: str | None
    """JSON of what would be sent; None when nothing can be."""
    rules: tuple[str, ...] = ()
    """Which it would break."""
    why: str | None = None


class WorkState(StrEnum):
    """The life of a piece of work."""

    PLANNING = "planning"
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class WorkAsked(Frozen):
    """A piece of work as an operator asks for it."""

    action: Action = Action.REPLAY
    selection: Selection = Selection()
    steps: tuple[FixStep, ...] = Field((), max_length=50)
    even_if_broken: bool = False
    """Replay also what today's rules would turn away again."""
    why: str = Field("", max_length=300)
    """discard: the reason, kept with each record."""
    by: str = Field("operator", max_length=100)

    @field_validator("steps", mode="before")
    @classmethod
    def _are_read(cls, given: object) -> object:
        """Steps may be given as they are written on a line."""
        if not isinstance(given, list | tuple):
            return given
        return tuple(parse_step(each) if isinstance(each, str) else each for each in given)


class Work(Frozen):
    """A replay or a discard: what was planned, and how far it is."""

    id: str
    stream: str
    asked: WorkAsked
    state: WorkState
    at: AwareDatetime
    """When it was asked for."""
    changed_at: AwareDatetime
    planned_at: AwareDatetime | None = None
    """When the plan was complete; None before, and if it failed."""
    suite: str = ""
    """Fingerprint of the rules that the plan was judged by."""
    records: int = 0
    """That the selection fits."""
    looked_at: int = 0
    """Of them, so far by the plan."""
    counts: dict[Judged, int] = Field(default_factory=dict)
    """What the plan found."""
    broken: dict[str, int] = Field(default_factory=dict)
    """By rule, or what else is wrong: how many records."""
    examples: tuple[Example, ...] = ()
    rate: float | None = None
    """Records a second, at most."""
    done: int = 0
    """Records that this work has replayed or discarded."""
    skipped: int = 0
    """Records that it has left as they are."""
    took_s: float | None = None
    reason: str | None = None
    """Why it failed, or what it waits for."""


class RejectGroup(Frozen):
    """Records that were turned away for the same reason."""

    hop: Hop
    reason: str
    rules: str
    """Comma-separated; empty when no rule was broken."""
    records: int
    waiting: int
    replayed: int
    discarded: int
    first_at: AwareDatetime
    last_at: AwareDatetime


class RejectsKept(Reported):
    """A stream's records that were turned away, as the lake keeps them and as far as they have been dealt with."""

    kind: Literal["rejects_kept"] = "rejects_kept"
    stream: str
    total: int | None = None
    waiting: int | None = None
    replayed: int | None = None
    discarded: int | None = None
    newest_at: AwareDatetime | None = None
    groups: tuple[RejectGroup, ...] = ()
    """The largest ones."""
    reason: str | None = None
    """Why the numbers are not known, or how far they are behind."""
