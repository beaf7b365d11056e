"""What would a record be sent as, and would it be let through?

It is decoded by its writer's schema, fixed, and encoded again: by the version that it was written in where it still fits
that, else by the newest that has all of its fields. Then it is read as route will read it, and judged by today's rules.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.validation import ValidationError, validate

from controlplane.contract.avro import name_of
from controlplane.contract.evolution import reader_for
from controlplane.contract.names import Reason
from controlplane.contract.replays import Judged, ReadAs
from quality.inbox.decode import How, read, shown
from quality.replay.steps import StepError, fixed, moment
from quality.schemas import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from controlplane.contract.replays import FixStep
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
    made = [_made(record, value, steps, today, schema) for record, value in records]
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


def _made(record: str, value: bytes | None, steps: Sequence[FixStep], today: Today, schema: SchemaById) -> Prepared:
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
    found = _encoded(after, payload.schema_id, today)
    if isinstance(found, str):
        return Prepared(record, Judged.UNFIT, before, after, why=found)
    return Prepared(
        record, Judged.READY, before, after, key=key_of(after, today.stream), value=found[0], event=found[1]
    )


def key_of(event: Mapping[str, Any], stream: StreamDefinition) -> bytes:
    """The Kafka key of an event, as the producer makes it (`pipeline.producer`)."""
    return "|".join(str(event.get(each) or "") for each in stream.key).encode()


def _encoded(event: dict[str, Any], written: int | None, today: Today) -> tuple[bytes, dict[str, Any]] | str:
    """Framed bytes, and the event as route reads it; or why it fits no version."""
    whys = []
    for schema_id, version in _candidates(written, today):
        found = _fitted(event, version)
        if isinstance(found, str):
            whys.append(found)
            continue
        body = io.BytesIO()
        schemaless_writer(body, parsed(version), found)
        data = body.getvalue()
        try:
            event_read: Any = schemaless_reader(
                io.BytesIO(data), parsed(version), parsed(reader_for(version, today.reader))
            )
        except Exception as error:  # noqa: BLE001 (fastavro raises all sorts of errors for what does not resolve)
            whys.append(f"route cannot read it: {error}")
            continue
        return b"\x00" + schema_id.to_bytes(4, "big") + data, event_read
    return whys[0] if whys else "the registry has no version of the stream's schema"


def _candidates(written: int | None, today: Today) -> Iterator[tuple[int, dict[str, Any]]]:
    if written is not None and written in today.versions:
        yield written, today.versions[written]
    for schema_id in reversed(list(today.versions)):
        if schema_id != written:
            yield schema_id, today.versions[schema_id]


def _fitted(event: Mapping[str, Any], version: dict[str, Any]) -> dict[str, Any] | str:
    """The event with what its fields' types ask for; or the first thing that does not fit."""
    fields = {each["name"]: each for each in version["fields"]}
    if unknown := [name for name in event if name not in fields]:
        return f"the schema has no field {unknown[0]}"
    found: dict[str, Any] = {}
    for name, one in fields.items():
        if name not in event and "default" not in one:
            return f"field {name} is missing"
        found[name] = _typed(event.get(name, one.get("default")), one["type"])
        if not _is_of(found[name], one["type"], version):
            return f"field {name}: {shown(found[name])} is no {_type_name(one['type'])}"
    return found


def _typed(value: Any, avro: Any) -> Any:  # noqa: ANN401 (Avro types are JSON of any shape)
    """A time that is written as text becomes one where the schema asks for it."""
    name = _logical(avro)
    if not isinstance(value, str) or name not in ("timestamp-millis", "timestamp-micros", "date"):
        return value
    try:
        return date.fromisoformat(value) if name == "date" else moment(value)
    except (ValueError, OverflowError, OSError):
        return value


def _is_of(value: Any, avro: Any, version: dict[str, Any]) -> bool:  # noqa: ANN401
    """Asked of a record of one field, so that names of the schema's types are known."""
    single = {**version, "fields": [{"name": "it", "type": _spelled_out(avro, version)}]}
    try:
        return bool(validate({"it": value}, parsed(single), raise_errors=False))
    except (ValidationError, TypeError, ValueError, OverflowError, AttributeError):
        return False


def _spelled_out(avro: Any, version: dict[str, Any]) -> Any:  # noqa: ANN401
    """A type that is only named is replaced by what the name stands for."""
    if isinstance(avro, list):
        return [_spelled_out(each, version) for each in avro]
    named = {each["type"]["name"]: each["type"] for each in version["fields"] if _has_name(each["type"])}
    return named.get(avro, avro) if isinstance(avro, str) else avro


def _has_name(avro: Any) -> bool:  # noqa: ANN401
    return isinstance(avro, dict) and "name" in avro


def _logical(avro: Any) -> str | None:  # noqa: ANN401
    branches = avro if isinstance(avro, list) else [avro]
    return next(
        (str(each["logicalType"]) for each in branches if isinstance(each, dict) and "logicalType" in each), None
    )


def _type_name(avro: Any) -> str:  # noqa: ANN401
    branches = avro if isinstance(avro, list) else [avro]
    return " or ".join(name_of(each) for each in branches)
