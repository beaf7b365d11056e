"""By which schema and rules are records judged today? As route judges them: the folder's suite, the registry's versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.contract.evolution import evolution
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.names import Hop, subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.contract.streams import StreamDefinition
    from quality.schemas import Schemas


@dataclass(frozen=True)
class Today:
    """What counts for a stream now."""

    stream: StreamDefinition
    """As its folder says."""
    versions: Mapping[int, dict[str, Any]]
    """Schema id -> schema of what producers write, the newest last; but for those that route does not read."""
    reader: dict[str, Any]
    """What all of them are read as: the columns that rules are about."""

    @property
    def suite(self) -> str:
        """Fingerprint of the rules."""
        return self.stream.fingerprint(Stage.INGEST)


def today(stream: StreamDefinition, schemas: Schemas) -> Today:
    """What counts now.

    Raises:
        StreamInvalidError: if the stream's folder has mistakes.
        RegistryAwayError: if the registry does not answer.
    """
    now = load_stream(stream.today)
    versions = schemas.versions(subject(stream.name, Hop.RAW)) or {}
    valid = schemas.versions(subject(stream.name, Hop.VALID))
    found = evolution(now, list(versions.values()), list(valid.values()))
    # What was written by a version that would be read to wrong values is written again by another one.
    usable = {each: schema for number, (each, schema) in enumerate(versions.items()) if number not in found.misread}
    return Today(now, usable, found.reader)
