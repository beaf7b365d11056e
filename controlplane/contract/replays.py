"""What can be done with records that were turned away? They are replayed, with fixes, or discarded; each at most once.

One piece of work is first planned: which records, what each would become, and why some stay. What was planned is what runs.
What was done with a record is a marker in its stream's `replays_topic`, written in the transaction that did it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, field_validator

from controlplane.contract.frozen import Frozen, Reported
from controlplane.contract.names import Hop, Reason

MOST_RECORDS = 1_000_000
"""Of one piece of work: their ids are kept with it."""
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Scalar = str | int | float | bool | None


class CastType(StrEnum):
    """What a value can be turned into."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    """From ISO 8601, or seconds or milliseconds since 1970."""


class SetField(Frozen):
    """Give a field this value."""

    kind: Literal["set"] = "set"
    field: FieldName
    value: Scalar


class CastField(Frozen):
    """Turn a field's value into another type."""

    kind: Literal["cast"] = "cast"
    field: FieldName
    to: CastType


class DropField(Frozen):
    """Leave a field out."""

    kind: Literal["drop"] = "drop"
    field: FieldName


class ChangeCase(Frozen):
    """Write a field's text in capitals, or without."""

    kind: Literal["upper", "lower"]
    field: FieldName


class RenameField(Frozen):
    """Give a field another name."""

    kind: Literal["rename"] = "rename"
    field: FieldName
    to: FieldName


class DefaultField(Frozen):
    """Give a field this value where it has none."""

    kind: Literal["default"] = "default"
    field: FieldName
    value: Scalar


class ReadAs(Frozen):
    """Read the payload as an operator says, not as its frame does; the first step when there is one."""

    kind: Literal["read_as"] = "read_as"
    schema_id: int | None = Field(None, ge=1)
    """Of the registry; None: the payload is JSON."""


FixStep = Annotated[
    SetField | CastField | DropField | ChangeCase | RenameField | DefaultField | ReadAs, Field(discriminator="kind")
]
_FORMS = {
    "set": "set FIELD VALUE",
    "cast": f"cast FIELD {'|'.join(CastType)}",
    "drop": "drop FIELD",
    "upper": "upper FIELD",
    "lower": "lower FIELD",
    "rename": "rename OLD NEW",
    "default": "default FIELD VALUE",
    "read_as": "read_as SCHEMA_ID|json",
}
STEP_FORMS = tuple(_FORMS.values())
"""How steps are written, in a line each."""
_STEP: TypeAdapter[FixStep] = TypeAdapter(FixStep)


def parse_step(text: str) -> FixStep:
    """A fix step as it is written on a line: `set quantity 1`, `cast amount double`, `rename old new`.

    A value is the rest of the line: taken as JSON where it is JSON (`1`, `2.5`, `true`, `null`, `"1"`), else as a string.

    Raises:
        ValueError: if it is none; says how steps are written.
    """
    kind, *rest = text.split(maxsplit=1) or ("",)
    form = _FORMS.get(kind)
    if form is None:
        raise ValueError(f"{text!r} is no fix step; write one of: {'; '.join(STEP_FORMS)}")
    needed = len(form.split()) - 1
    words = " ".join(rest).split(maxsplit=needed - 1)
    if len(words) != needed:
        raise ValueError(f"{text!r}: write {form}")
    try:
        return _STEP.validate_python({"kind": kind, **_arguments(kind, words)})
    except ValueError as error:
        raise ValueError(f"{text!r}: write {form}") from error


def _arguments(kind: str, rest: list[str]) -> dict[str, Any]:
    match kind:
        case "set" | "default":
            return {"field": rest[0], "value": _scalar(rest[1])}
        case "cast" | "rename":
            return {"field": rest[0], "to": rest[1]}
        case "read_as":
            return {"schema_id": None if rest[0] == "json" else int(rest[0])}
        case _:
            return {"field": rest[0]}


def _scalar(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        is_quoted = len(text) > 1 and text[0] == text[-1] == "'"
        return text[1:-1] if is_quoted else text.strip()
    return value if value is None or isinstance(value, str | int | float | bool) else text.strip()


def written(step: FixStep) -> str:
    """A step on a line, as `parse_step` reads it."""
    match step:
        case SetField() | DefaultField():
            return f"{step.kind} {step.field} {_quoted(step.value)}"
        case CastField() | RenameField():
            return f"{step.kind} {step.field} {step.to}"
        case ReadAs():
            return f"read_as {'json' if step.schema_id is None else step.schema_id}"
        case _:
            return f"{step.kind} {step.field}"


def _quoted(value: Scalar) -> str:
    """Bare where it is read back as the same string."""
    is_plain = isinstance(value, str) and value.isprintable() and value.split() == [value] and _scalar(value) == value
    return str(value) if is_plain else json.dumps(value)


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
