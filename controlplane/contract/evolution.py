"""What is a stream's schema while producers of several versions write it?

The folder's schema is where it begins: its fields keep their names and their order. Every version that is registered
extends it by what its records need to be read whole: a field that the folder does not have is added as optional, a type
is widened, a field that a version lacks may be null. It is a fold over the versions in their order, so every part that
knows the same versions has the same schema, and each step can read what was written by the one before.

What is hard is names. A version may call a field by another name (an alias, in either direction) and is the same column
then; and Avro resolves aliases without asking whether both names are there (`reader_for`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from controlplane.contract.avro import Clash, Held, held, is_column, joint, name_of, qualified
from controlplane.contract.names import is_ours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.streams import StreamDefinition

    Schema = dict[str, Any]
    """A record schema."""
    Field = dict[str, Any]


@dataclass(frozen=True)
class Conflict:
    """What of a version was not adopted."""

    version: int
    """In the order of the versions, from 1."""
    reason: str
    """A clause with its field, such as `field 'n' is double there and long here; this part of it is not adopted`."""

    def __str__(self) -> str:
        return f"version {self.version}: {self.reason}"


@dataclass(frozen=True)
class Evolution:
    """What the versions make of a stream's schema."""

    reader: Schema
    """The folder's schema, extended: what every version's records are read as."""
    conflicts: tuple[Conflict, ...] = ()
    misread: frozenset[int] = frozenset()
    """Positions of versions whose records Avro would read without an error, to wrong values: they must not be read."""


def evolved(stream: StreamDefinition, versions: Sequence[Schema], written: Sequence[Schema] = ()) -> StreamDefinition:
    """The stream with the schema that all versions make; see `evolution`."""
    return stream.model_copy(update={"avro_schema": evolution(stream, versions, written).reader})


def evolution(stream: StreamDefinition, versions: Sequence[Schema], written: Sequence[Schema] = ()) -> Evolution:
    """Fold a stream's versions.

    Args:
        stream: whose folder's schema the fold begins with.
        versions: every version of the raw subject, in order.
        written: every version of the valid subject, in order: what may be null in records that are written already
            may be null in what reads them. They add no fields and are never in conflict.
    """
    fixed = frozenset({stream.event_time.field, *stream.key, *(name for each in stream.enrich for name in each.on)})
    taken = frozenset(name for each in stream.enrich for name in each.take)
    found = Evolution(stream.avro_schema)
    for number, version in enumerate(versions, 1):
        if not isinstance(version, dict) or version.get("type") != "record":
            conflict = Conflict(number, "it is not a record; nothing of it is adopted")
            found = replace(found, conflicts=(*found.conflicts, conflict), misread=found.misread | {number - 1})
            continue
        draft = _Draft(number, found.reader, fixed, taken)
        draft.adopt(version)
        misread = found.misread | ({number - 1} if draft.is_misread else set())
        found = Evolution(draft.schema, (*found.conflicts, *draft.conflicts), misread)
    return replace(found, reader=reduce(lambda reader, each: _as_wide_as(reader, each, fixed), written, found.reader))


def reader_for(writer: Schema, reader: Schema) -> Schema:
    """The reader's schema as one writer's records are resolved to it.

    Aliases that would find a column twice, or another column, are left out: Avro's Java library renames by each.
    """
    names = _names_in(writer, reader)

    def resolved(one: Field) -> Field:
        others = {key: value for key, value in one.items() if key != "aliases"}
        name = names.get(one["name"], one["name"])
        return others if name == one["name"] else {**others, "aliases": [name]}

    return {**reader, "fields": [resolved(one) for one in reader["fields"]]}


def _names_in(version: Schema, reader: Schema) -> dict[str, str]:
    """Column -> what the version calls it: its name, else the first of its aliases that the version has."""
    there = {one["name"] for one in version["fields"]}
    own = {one["name"] for one in reader["fields"]}
    names: dict[str, str] = {}
    for one in reader["fields"]:
        called = (one["name"], *(alias for alias in one.get("aliases", ()) if alias not in own))
        name = next((each for each in called if each in there and each not in names.values()), None)
        if name is not None:
            names[one["name"]] = name
    return names


def _as_wide_as(reader: Schema, written: Schema, fixed: frozenset[str]) -> Schema:
    draft = _Draft(0, reader, fixed, frozenset())
    # What route writes takes its namespace from the stream where the folder has none: the types in it are the same.
    same = {**written, "namespace": reader.get("namespace", "")}
    draft.widen(same, _names_in(written, reader))
    return draft.schema


@dataclass
class _Draft:
    """The reader's schema while one version is adopted."""

    version: int
    reader: Schema
    fixed: frozenset[str]
    """Fields that may never be null."""
    taken: frozenset[str]
    """Names of columns that are not the event's."""
    conflicts: list[Conflict] = field(default_factory=list)
    is_misread: bool = False

    def __post_init__(self) -> None:
        self.fields: dict[str, Field] = {one["name"]: dict(one) for one in self.reader["fields"]}

    @property
    def schema(self) -> Schema:
        return {**self.reader, "fields": list(self.fields.values())}

    def adopt(self, version: Schema) -> None:
        """Everything of it that can be."""
        names = _names_in(version, self.reader)
        for one in version["fields"]:
            if one["name"] not in names.values() and (column := self._renamed(one, names)) is not None:
                names[column] = one["name"]
                self.fields[column] |= {"aliases": [*self.fields[column].get("aliases", ()), one["name"]]}
        self.widen(version, names)
        for one in version["fields"]:
            if one["name"] not in names.values():
                self._add(one, version)

    def widen(self, version: Schema, names: dict[str, str]) -> None:
        """Make every column hold what the version's field of it may be."""
        written = {one["name"]: one["type"] for one in version["fields"]}
        for column, one in list(self.fields.items()):
            if column in names:
                self._widen(one, self._held(written[names[column]], version))
            elif "default" not in one:
                self._make_optional(one)

    def _renamed(self, one: Field, names: dict[str, str]) -> str | None:
        """The column that a version's field was before it was renamed, if the version does not have that as well."""
        before = set(one.get("aliases", ()))
        free = (each for each in self.fields.values() if each["name"] not in names)
        return next((each["name"] for each in free if before & {each["name"], *each.get("aliases", ())}), None)

    def _widen(self, column: Field, theirs: Held | Clash) -> None:
        mine = self._held(column["type"], self.reader)
        if isinstance(mine, Clash):
            return self._refuse(column["name"], mine)
        if isinstance(theirs, Clash):
            return self._refuse(column["name"], theirs)
        kind = joint(mine.kind, theirs.kind)
        if isinstance(kind, Clash):
            return self._refuse(column["name"], kind)
        if theirs.is_nullable and not mine.is_nullable and column["name"] in self.fixed:
            return self._refuse(
                column["name"], Clash("may be null there, and an event time, a key or what is joined by never is")
            )
        if kind != mine.kind:
            _set_kind(column, kind)
        if theirs.is_nullable and not mine.is_nullable:
            _set_nullable(column)
        return None

    def _make_optional(self, column: Field) -> None:
        if column["name"] in self.fixed:
            self._refuse(
                column["name"], Clash("is not there, and an event time, a key or what is joined by can't be left out")
            )
        else:
            _set_nullable(column)
            column.setdefault("default", None)

    def _add(self, one: Field, version: Schema) -> None:
        theirs = self._held(one["type"], version)
        if isinstance(theirs, Clash):
            return self._refuse(one["name"], theirs)
        if (clash := self._why_no_column(one["name"], theirs.kind)) is not None:
            return self._refuse(one["name"], clash)
        added: Field = {"name": one["name"], "type": ["null", theirs.kind], "default": None}
        self.fields[one["name"]] = added | {key: one[key] for key in ("doc", "aliases") if key in one}
        return None

    def _why_no_column(self, name: str, kind: Any) -> Clash | None:  # noqa: ANN401 (Avro types are JSON of any shape)
        if owner := next((each for each in self.fields.values() if name in each.get("aliases", ())), None):
            return Clash(f"is another name of {owner['name']}, which it has as well")
        if is_ours(name) or name.lower() in {each.lower() for each in (*self.fields, *self.taken)}:
            return Clash("is the name of a column that is there already")
        if not is_column(kind):
            return Clash(f"is {name_of(kind)}, which no column holds")
        named = {each["name"] for each in map(_enum_in, self.fields.values()) if each is not None}
        if name_of(kind) == "enum" and kind["name"] in {*named, self.reader["name"]}:
            return Clash(f"is the enum {kind['name']}, whose name another type has")
        return None

    def _held(self, avro: Any, version: Schema) -> Held | Clash:  # noqa: ANN401
        found, namespace = held(avro), version.get("namespace", "")
        if isinstance(found, Clash):
            return found
        return replace(found, kind=qualified(found.kind, namespace, within=self.reader.get("namespace", "")))

    def _refuse(self, name: str, clash: Clash) -> None:
        reason = f"field {name!r} {clash.reason}; this part of it is not adopted"
        self.conflicts.append(Conflict(self.version, reason))
        self.is_misread |= clash.is_misread


def _enum_in(column: Field) -> dict[str, Any] | None:
    found = held(column["type"])
    return found.kind if isinstance(found, Held) and name_of(found.kind) == "enum" else None


def _set_kind(column: Field, kind: Any) -> None:  # noqa: ANN401 (Avro types are JSON of any shape)
    written = column["type"]
    column["type"] = [each if each == "null" else kind for each in written] if isinstance(written, list) else kind
    default = column.get("default")
    if kind == "double" and isinstance(default, int) and not isinstance(default, bool):
        column["default"] = float(default)


def _set_nullable(column: Field) -> None:
    """Null goes first where the default allows: a union's default is of its first branch."""
    if isinstance(column["type"], list):
        return
    is_given = column.get("default") is not None
    column["type"] = [column["type"], "null"] if is_given else ["null", column["type"]]
    if not is_given:
        column["default"] = None
