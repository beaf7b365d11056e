"""What would a record be sent as, and would it be let through?

It is decoded by its writer's schema, fixed, and encoded again: by the version that it was written in where it still fits
that, else by the newest that has all of its fields. Then it is read as route will read it, and judged by today's rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.contract.fix_steps import ReadAs
from controlplane.contract.names import Reason
from controlplane.contract.replays import Judged
from quality.inbox.decode import How, read
from quality.replay.fit import Fit
from quality.replay.steps import StepError, fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from controlplane.contract.fix_steps import FixStep
    from controlplane.contract.streams import StreamDefinition
    from quality.replay.today import Today

    Rules = Callable[[Today, Sequence[Mapping[str, Any]]], Sequence[tuple[str, ...]]]
    """Events as route reads them in, the names of the rules that each breaks out."""
    SchemaById = Callable[[int], dict[str, Any] | None]


@dataclass(frozen=True)
class Prepared:
    """One record of a replay."""

    id: str
    judged: Judged
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    why: str | None = None
    rules: tuple[str, ...] = ()
    key: bytes = b""
    value: bytes | None = None
    """What would be sent; None when nothing can be."""
    event: dict[str, Any] = field(default_factory=dict)
    """As route will read it."""


def prepared(
    records: Sequence[tuple[str, bytes | None]],
    steps: Sequence[FixStep],
    today: Today,
    schema: SchemaById,
    rules: Rules,
    now: datetime,
) -> list[Prepared]:
    """Decode, fix, encode and judge records.

    Args:
        records: id and value of each.
        steps: what is to be done with each.
        today: what counts now.
        schema: schemas by id.
        rules: says which rules an event breaks.
        now: the time, for events dated too far ahead.
    """
    fits = {each: Fit(each, version, today.reader) for each, version in today.versions.items()}
    made = [_made(record, value, steps, fits, today, schema) for record, value in records]
    sendable = [each for each in made if each.value is not None]
    broken = rules(today, [each.event for each in sendable]) if sendable else ()
    judged = {
        each.id: _judged(each, (*names, *_too_far_ahead(each, today, now)))
        for each, names in zip(sendable, broken, strict=True)
    }
    return [judged.get(each.id, each) for each in made]


def _judged(one: Prepared, names: tuple[str, ...]) -> Prepared:
    if not names:
        return one
    return replace(one, judged=Judged.BROKEN, rules=names, why=f"breaks {', '.join(names)}")


def _too_far_ahead(one: Prepared, today: Today, now: datetime) -> tuple[str, ...]:
    at = one.event.get(today.stream.event_time.field)
    is_ahead = isinstance(at, datetime) and at > now + today.stream.event_time.ahead
    return (Reason.EVENT_TIME_AHEAD.value,) if is_ahead else ()


def _made(  # noqa: PLR0913 (what a record is made by)
    record: str,
    value: bytes | None,
    steps: Sequence[FixStep],
    fits: Mapping[int, Fit],
    today: Today,
    schema: SchemaById,
) -> Prepared:
    as_said = next((step for step in steps if isinstance(step, ReadAs)), None)
    payload = read(value, schema, None if as_said is None else as_said.schema_id)
    is_json = payload.how is How.JSON and as_said is not None and as_said.schema_id is None
    if payload.fields is None or not (payload.how is How.AVRO or is_json):
        return Prepared(record, Judged.UNDECODED, why=payload.why)
    before = payload.fields
    try:
        after = fixed(before, steps)
    except StepError as error:
        return Prepared(record, Judged.UNFIT, before, why=str(error))
    found = _encoded(after, payload.schema_id, fits)
    if isinstance(found, str):
        return Prepared(record, Judged.UNFIT, before, after, why=found)
    return Prepared(
        record, Judged.READY, before, after, key=key_of(after, today.stream), value=found[0], event=found[1]
    )


def key_of(event: Mapping[str, Any], stream: StreamDefinition) -> bytes:
    """The Kafka key of an event, as the producer makes it (`pipeline.producer`)."""
    return "|".join(str(event.get(each) or "") for each in stream.key).encode()


def _encoded(event: dict[str, Any], written: int | None, fits: Mapping[int, Fit]) -> tuple[bytes, dict[str, Any]] | str:
    """Framed bytes, and the event as route reads it; or why it fits no version."""
    whys = []
    for fit in _candidates(written, fits):
        found = fit.encoded(event)
        if not isinstance(found, str):
            return found
        whys.append(found)
    return whys[0] if whys else "the registry has no version of the stream's schema"


def _candidates(written: int | None, fits: Mapping[int, Fit]) -> Iterator[Fit]:
    """The version that it was written in, then the newest first."""
    if written is not None and written in fits:
        yield fits[written]
    yield from (fits[each] for each in reversed(list(fits)) if each != written)
