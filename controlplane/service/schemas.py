"""Which versions does a stream's schema have, what is different from one to the next, and who is on which?

The registry knows the versions, the facts know who reads and writes them; the two meet in the schema id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime  # noqa: TC002 (a field)

from controlplane.contract.changes import Difference  # noqa: TC001 (a field)
from controlplane.contract.differences import differences
from controlplane.contract.evolution import evolution
from controlplane.contract.facts import SchemaRead, SchemaSeen
from controlplane.contract.frozen import Frozen
from controlplane.contract.names import Hop, subject
from controlplane.contract.refusals import Refusal, refusal
from controlplane.service.registry import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.registry import SchemaRegistry, Version
    from controlplane.service.state import Known

_HOPS = (Hop.RAW, Hop.VALID)
"""The topics that hold Avro of the stream's own."""


class Adoption(Frozen):
    """What the platform makes of a version's records; the registry asks whether readers can read them, not how."""

    left_out: tuple[str, ...]
    """What of it is not adopted and why, a clause each."""
    is_read: bool
    """False when its records become dead letters, since they would be read to wrong values."""


class VersionShown(Frozen):
    """A version of a subject, and who is on it."""

    version: int
    id: int
    avro: dict[str, Any]
    differences: tuple[Difference, ...]
    """To the version before; empty for the first."""
    adoption: Adoption | None = None
    """None for what route writes: that is made of what was adopted."""
    producers: tuple[SchemaSeen, ...] = ()
    """Seen in a sample, the latest first."""
    readers: tuple[SchemaRead, ...] = ()
    """Parts that read records of it."""
    writers: tuple[SchemaRead, ...] = ()
    """Parts that write records of it."""


class SubjectShown(Frozen):
    """A subject with its versions."""

    subject: str
    hop: Hop
    mode: str
    """The compatibility that counts."""
    versions: tuple[VersionShown, ...]
    """Newest first."""
    strangers: tuple[SchemaSeen, ...] = ()
    """Producers whose schema id is no version of this subject."""


class SchemasShown(Frozen):
    """All that is known of a stream's schemas at `at`."""

    at: AwareDatetime
    stream: str
    title: str
    subjects: tuple[SubjectShown, ...]


class Judged(Frozen):
    """Is a schema a possible next version?"""

    subject: str
    mode: str
    accepted: bool
    against: int | None
    """The newest version, which `differences` are to; None while there is none."""
    differences: tuple[Difference, ...]
    adoption: Adoption
    """How its records would be read, once it is a version."""
    refusal: Refusal | None = None
    id: int | None = None
    """Its id, once it is registered."""


def shown(registry: SchemaRegistry, known: Known, stream: StreamDefinition, now: datetime) -> SchemasShown:
    """A stream's subjects.

    Raises:
        RegistryAwayError: if the registry does not answer.
    """
    raw, valid = (_subject(registry, known, stream.name, hop) for hop in _HOPS)
    return SchemasShown(
        at=now, stream=stream.name, title=stream.title, subjects=(_with_adoptions(raw, valid, stream), valid)
    )


def _subject(registry: SchemaRegistry, known: Known, stream: str, hop: Hop) -> SubjectShown:
    name = subject(stream, hop)
    versions = registry.versions(name)
    producers = known.writers(stream) if hop is Hop.RAW else ()
    ids = {each.id for each in versions}
    return SubjectShown(
        subject=name,
        hop=hop,
        mode=registry.mode(name),
        versions=tuple(
            reversed(
                [_version(each, before, hop, producers, known.readers(stream)) for before, each in _steps(versions)]
            )
        ),
        strangers=tuple(each for each in producers if each.schema_id not in ids),
    )


def _steps(versions: Sequence[Version]) -> list[tuple[Version | None, Version]]:
    return list(zip([None, *versions], versions, strict=False))


def _with_adoptions(raw: SubjectShown, valid: SubjectShown, stream: StreamDefinition) -> SubjectShown:
    versions, written = (list(reversed(each.versions)) for each in (raw, valid))
    adoptions = _adoptions(stream, [each.avro for each in versions], [each.avro for each in written])
    shown = [each.model_copy(update={"adoption": adoption}) for each, adoption in zip(versions, adoptions, strict=True)]
    return raw.model_copy(update={"versions": tuple(reversed(shown))})


def _adoptions(
    stream: StreamDefinition, raw: Sequence[dict[str, Any]], valid: Sequence[dict[str, Any]]
) -> list[Adoption]:
    """Of each raw version, oldest first: as route and all behind it fold them."""
    found = evolution(stream, raw, valid)
    return [
        Adoption(
            left_out=tuple(each.reason for each in found.conflicts if each.version == number),
            is_read=number - 1 not in found.misread,
        )
        for number in range(1, len(raw) + 1)
    ]


def _version(
    one: Version, before: Version | None, hop: Hop, producers: Sequence[SchemaSeen], parts: Sequence[SchemaRead]
) -> VersionShown:
    return VersionShown(
        **one.model_dump(),
        differences=() if before is None else differences(before.avro, one.avro),
        producers=tuple(each for each in producers if each.schema_id == one.id),
        readers=tuple(each for each in parts if each.hop is hop and one.id in each.schema_ids),
        writers=tuple(each for each in parts if each.hop is not hop and each.writes == one.id),
    )


def judged(registry: SchemaRegistry, stream: StreamDefinition, avro: dict[str, Any]) -> Judged:
    """Would the registry take it as the next version of what producers write, and what would the platform make of it?

    Raises:
        RegistryAwayError: if the registry does not answer.
        NotASchemaError: if it cannot read the schema.
    """
    return _judged(registry, stream, avro, registry.objections(subject(stream.name, Hop.RAW), avro))


def registered(registry: SchemaRegistry, stream: StreamDefinition, avro: dict[str, Any]) -> Judged:
    """Register it; what the registry refuses is judged, not raised. Raises as `judged`."""
    before = _judged(registry, stream, avro, ())
    try:
        return before.model_copy(update={"id": registry.register(subject(stream.name, Hop.RAW), avro)})
    except RefusedError as error:
        return _judged(registry, stream, avro, error.causes)


def _judged(
    registry: SchemaRegistry, stream: StreamDefinition, avro: dict[str, Any], causes: tuple[str, ...]
) -> Judged:
    name = subject(stream.name, Hop.RAW)
    versions, mode = registry.versions(name), registry.mode(name)
    newest = versions[-1] if versions else None
    earlier = {each.version: each.avro for each in versions}
    written = [each.avro for each in registry.versions(subject(stream.name, Hop.VALID))]
    return Judged(
        subject=name,
        mode=mode,
        accepted=not causes,
        against=None if newest is None else newest.version,
        differences=() if newest is None else differences(newest.avro, avro),
        adoption=_adoptions(stream, [*earlier.values(), avro], written)[-1],
        refusal=refusal(name, mode, earlier, avro, causes) if causes else None,
    )
