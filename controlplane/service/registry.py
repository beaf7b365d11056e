"""What does the control plane want from a schema registry? Subjects, versions, modes, and whether it would take a schema."""

from __future__ import annotations

import json
from typing import Any, Protocol

from fastavro import parse_schema

from controlplane.contract.frozen import Frozen
from controlplane.contract.resolution import can_read
from controlplane.contract.streams import Compatibility

NO_REASON = "it gives no reason"


class Version(Frozen):
    """A version of a subject."""

    version: int
    id: int
    """What producers write before each record."""
    avro: dict[str, Any]


class RegistryAwayError(OSError):
    """The registry does not answer, or not as it should; says why."""


class NotASchemaError(ValueError):
    """This is no Avro record schema; says why."""


class RefusedError(Exception):
    """The registry does not take a schema."""

    def __init__(self, causes: tuple[str, ...]) -> None:
        self.causes = causes
        super().__init__("; ".join(causes))


class SchemaRegistry(Protocol):
    """Subjects, their versions and modes. Every method raises `RegistryAwayError`."""

    def subjects(self) -> list[str]:
        """Names of all."""

    def mode(self, subject: str) -> str:
        """The compatibility that counts for it."""

    def versions(self, subject: str) -> list[Version]:
        """Oldest first; empty when there is no such subject."""

    def objections(self, subject: str, avro: dict[str, Any]) -> tuple[str, ...]:
        """Why it would not be taken; empty when it would.

        Raises:
            NotASchemaError: if the registry cannot read it.
        """

    def register(self, subject: str, avro: dict[str, Any]) -> int:
        """Make it a version, or find it, and return its id.

        Raises:
            RefusedError: if it is not compatible.
            NotASchemaError: if the registry cannot read it.
        """


class FakeRegistry:
    """Subjects in memory; compatibility by `can_read`. What is in `away` is raised by every method."""

    def __init__(self, modes: dict[str, Compatibility] | None = None) -> None:
        self._modes = modes or {}
        self._subjects: dict[str, list[Version]] = {}
        self.away: RegistryAwayError | None = None

    def subjects(self) -> list[str]:
        """See `SchemaRegistry`."""
        self._answer()
        return sorted(self._subjects)

    def mode(self, subject: str) -> str:
        """See `SchemaRegistry`."""
        self._answer()
        return self._modes.get(subject, Compatibility.BACKWARD)

    def versions(self, subject: str) -> list[Version]:
        """See `SchemaRegistry`."""
        self._answer()
        return list(self._subjects.get(subject, ()))

    def objections(self, subject: str, avro: dict[str, Any]) -> tuple[str, ...]:
        """See `SchemaRegistry`."""
        mode, found = self.mode(subject), self.versions(subject)
        compared = found if mode.endswith("_TRANSITIVE") else found[-1:]
        is_refused = any(
            (mode.startswith(("BACKWARD", "FULL")) and not can_read(each.avro, avro))
            or (mode.startswith(("FORWARD", "FULL")) and not can_read(avro, each.avro))
            for each in compared
        )
        return (NO_REASON,) if is_refused else ()

    def register(self, subject: str, avro: dict[str, Any]) -> int:
        """See `SchemaRegistry`."""
        held = self._subjects.setdefault(subject, []) if self.away is None else []
        known = next((each for each in held if each.avro == avro), None)
        if known is None:
            if causes := self.objections(subject, avro):
                raise RefusedError(causes)
            ids = [each.id for versions in self._subjects.values() for each in versions]
            known = Version(version=len(held) + 1, id=max(ids, default=0) + 1, avro=avro)
            held.append(known)
        return known.id

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away


def read_schema(text: str | bytes) -> dict[str, Any]:
    """An Avro record schema from its JSON.

    Raises:
        NotASchemaError: saying where and why it is none.
    """
    try:
        avro = json.loads(text)
    except ValueError as error:
        raise NotASchemaError(f"this is not JSON: {error}") from error
    if not isinstance(avro, dict) or avro.get("type") != "record":
        raise NotASchemaError('the top level is not an Avro record: {"type": "record", "name": ..., "fields": [...]}')
    if not isinstance(avro.get("fields"), list) or not avro["fields"]:
        raise NotASchemaError("this record has no fields")
    try:
        parse_schema(avro)
    except KeyError as error:
        raise NotASchemaError(f"this is not an Avro schema: a type in it has no {error}") from error
    except Exception as error:  # a parser raises whatever it trips over
        raise NotASchemaError(f"this is not an Avro schema: {type(error).__name__}: {error}") from error
    names = [field["name"] for field in avro["fields"]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise NotASchemaError(f"a field is given twice: {', '.join(twice)}")
    return avro
