"""By which definition was the last minute routed? It is kept, because what a run began has to be finished by the same rules.

A run reads the last minute again, and the tails drop what is there already: that is exact as long as each record goes
where it went before. A changed rule, or an id that has become known, sends it to another output, and it would be in two.
So the stream's folder, the schema that its versions made and the ids that a run followed are kept. Where today's say otherwise,
what is in doubt is first finished by those of before, and today's begin behind it. New reference tables send no record elsewhere,
but they make another record of it: they count as well.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlplane.contract.folders import StreamInvalidError, load_stream
from controlplane.contract.valid import valid_schema
from pipeline.references.fingerprint import fingerprint_of
from pipeline.route.decode import Schemas

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

_IDS = "ids.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Before:
    """What the run before followed."""

    stream: StreamDefinition
    schemas: Schemas
    digest: str
    """Of the stream's folder."""
    since: Mapping[int, int] = field(default_factory=dict)
    """Source partition -> first offset that this definition is for; what is before it has landed, by an older one."""

    def sends_elsewhere(self, digest: str, schemas: Schemas, reader: Mapping[str, Any]) -> bool:
        """May a record that this definition has routed go to another output by today's?

        Args:
            digest: of today's folder.
            schemas: of today.
            reader: what events are read as today: what could not be read before may be valid now.
        """
        mine = self.schemas.writers.keys()
        learned, lost = schemas.writers.keys() - mine, mine - schemas.writers.keys()
        was_dead = learned & (self.schemas.refused | self.schemas.misread) if self.schemas.stop_at_unknown else learned
        return digest != self.digest or reader != self.stream.avro_schema or bool(was_dead or lost)


class Kept:
    """The definition of a stream's last run, in a folder; replaced in one step."""

    def __init__(self, folder: Path, stream: str) -> None:
        self._folder = folder / f"{stream}.before"
        self._name = stream

    def read(self) -> Before | None:
        """The definition; None when there is none, or none that can be followed any more."""
        if not (self._folder / _IDS).exists():
            return None
        ids = json.loads((self._folder / _IDS).read_text())
        folder = self._folder / ids.get("references", "") / self._name
        try:
            folders = load_stream(folder)
        except StreamInvalidError as error:
            _log.warning("%s: what was begun before cannot be finished by its own definition: %s", self._name, error)
            return None
        stream = folders.model_copy(update={"avro_schema": ids.get("reader", folders.avro_schema)})
        if valid_schema(stream) != ids.get("valid"):
            _log.warning("%s: valid records are written otherwise since Tidegate has changed; it goes on", self._name)
            return None
        schemas = Schemas(
            writers={int(each): schema for each, schema in ids["writers"].items()},
            valid_id=ids["valid_id"],
            refused=frozenset(ids["refused"]),
            misread=frozenset(ids.get("misread", ())),
            stop_at_unknown=ids["stop_at_unknown"],
        )
        return Before(stream, schemas, digest_of(folder), {int(each): start for each, start in ids["since"].items()})

    def write(self, stream: StreamDefinition, schemas: Schemas, since: Mapping[int, int]) -> None:
        """Keep this one from now on."""
        partial, old = self._folder.with_suffix(".part"), self._folder.with_suffix(".old")
        for each in (partial, old):
            shutil.rmtree(each, ignore_errors=True)
        # Its path names the version: what this process has once read of a path (`reference_columns`) must stay true.
        references = fingerprint_of(stream)
        shutil.copytree(stream.folder, partial / references / self._name)
        ids = {
            "references": references,
            "reader": stream.avro_schema,
            "valid": valid_schema(stream),
            "writers": schemas.writers,
            "valid_id": schemas.valid_id,
            "refused": sorted(schemas.refused),
            "misread": sorted(schemas.misread),
            "stop_at_unknown": schemas.stop_at_unknown,
            "since": since,
        }
        (partial / _IDS).write_text(json.dumps(ids))
        if self._folder.exists():
            self._folder.rename(old)
        partial.rename(self._folder)
        shutil.rmtree(old, ignore_errors=True)


def digest_of(folder: Path) -> str:
    """Of every file in a stream's folder, by its path and content."""
    found = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        found.update(f"{file.relative_to(folder)}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
