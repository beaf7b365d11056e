"""Every change of a schema in every mode: what the registry lets through, and what route makes of both producers' records."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from itertools import count, product
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from pyspark.sql import DataFrame

from controlplane.contract.evolution import evolution, evolved
from controlplane.contract.names import Hop, subject
from controlplane.contract.refusals import SchemaRefusedError
from controlplane.contract.streams import Compatibility, EventTime, StreamDefinition
from controlplane.contract.valid import valid_schema
from controlplane.up import Platform
from pipeline.registry import await_registry, register, require_mode
from pipeline.route.decode import Schemas
from pipeline.route.frame import route
from quality.compile import broken_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from confluent_kafka.schema_registry import SchemaRegistryClient
    from pyspark.sql import SparkSession

    Schema = dict[str, Any]
    Event = dict[str, Any]

NUMBERS = count()
MODES = [mode for mode in Compatibility if mode is not Compatibility.NONE]
ANY, BACKWARD = frozenset(MODES), frozenset({"BACKWARD", "BACKWARD_TRANSITIVE"})
ARRIVED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KAFKA_ROW = "key binary, value binary, topic string, partition int, offset long, timestamp timestamp, timestampType int"
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
BASE: Event = {"id": "1", "at": ARRIVED}


def field(name: str, avro: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, **more}


def schema(*fields: dict[str, Any]) -> Schema:
    both = [field("id", "string"), field("at", MILLIS)]
    return {"type": "record", "name": "Visit", "namespace": "test", "fields": [*both, *fields]}


def kind(*symbols: str) -> dict[str, Any]:
    return field("kind", {"type": "enum", "name": "Kind", "symbols": list(symbols)})


PAGE, USER, N = field("page", "string", default="/"), field("user", "string"), field("n", "int")


@dataclass(frozen=True)
class Change:
    """From an old schema to a new one, what their producers send, and what is read of it."""

    old: Schema
    new: Schema
    allowed: frozenset[Any]
    """Modes that let it through, by Avro's rules of resolution."""
    sent: tuple[Event, Event]
    """By the old producer and by the new one."""
    read: tuple[tuple[Event, Event], tuple[Event, Event]]
    """While the folder has the old schema, and when it has the new one."""


CHANGES = {
    "a-field-added-with-a-default": Change(
        schema(),
        schema(PAGE),
        ANY,
        ({}, {"page": "/a"}),
        (({"page": None}, {"page": "/a"}), ({"page": "/"}, {"page": "/a"})),
    ),
    "a-field-removed-that-had-a-default": Change(
        schema(PAGE),
        schema(),
        ANY,
        ({"page": "/a"}, {}),
        (({"page": "/a"}, {"page": "/"}), ({"page": "/a"}, {"page": None})),
    ),
    "a-field-removed-that-had-none": Change(
        schema(USER),
        schema(),
        BACKWARD,
        ({"user": "u"}, {}),
        (({"user": "u"}, {"user": None}), ({"user": "u"}, {"user": None})),
    ),
    "a-number-widened": Change(
        schema(N),
        schema(field("n", "long")),
        BACKWARD,
        ({"n": 7}, {"n": 2**40}),
        (({"n": 7}, {"n": 2**40}), ({"n": 7}, {"n": 2**40})),
    ),
    "a-field-renamed-by-an-alias": Change(
        schema(USER),
        schema(field("visitor", "string", aliases=["user"])),
        BACKWARD,
        ({"user": "u"}, {"visitor": "v"}),
        (({"user": "u"}, {"user": "v"}), ({"visitor": "u"}, {"visitor": "v"})),
    ),
    "a-symbol-added": Change(
        schema(kind("a", "b")),
        schema(kind("c", "a", "b")),
        BACKWARD,
        ({"kind": "b"}, {"kind": "c"}),
        (({"kind": "b"}, {"kind": "c"}), ({"kind": "b"}, {"kind": "c"})),
    ),
    "a-union-widened-by-null": Change(
        schema(USER),
        schema(field("user", ["null", "string"])),
        BACKWARD,
        ({"user": "u"}, {"user": None}),
        (({"user": "u"}, {"user": None}), ({"user": "u"}, {"user": None})),
    ),
}
LATER: dict[str, tuple[tuple[Schema, Schema, Schema], frozenset[Any]]] = {
    "a-default-taken-away-from-a-field-that-the-first-version-lacks": (
        (schema(), schema(PAGE), schema(field("page", "string"))),
        frozenset({"BACKWARD", "FORWARD", "FORWARD_TRANSITIVE", "FULL"}),
    ),
    "a-field-removed-that-had-no-default-in-the-first-version": (
        (schema(field("page", "string")), schema(PAGE), schema()),
        frozenset({"BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FULL"}),
    ),
}
"""What only the transitive modes refuse, for the version before the last."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaRegistryClient]:
    with Platform(tmp_path_factory.mktemp("platform"), only=("registry",), told=lambda _: None) as platform:
        platform.start()
        with await_registry(platform.settings.registry) as client:
            yield client


def is_allowed(client: SchemaRegistryClient, mode: Compatibility, *versions: Schema) -> bool:
    """Does the registry take the last version behind the others?"""
    name = subject(f"matrix{next(NUMBERS)}", Hop.RAW)
    register(client, name, versions[0])
    require_mode(client, name, mode)
    for version in versions[1:-1]:
        register(client, name, version)
    try:
        register(client, name, versions[-1])
    except SchemaRefusedError:
        return False
    return True


@pytest.mark.parametrize("mode", MODES)
def test_the_registry_lets_through_what_avro_resolves(mode: Compatibility, registry: SchemaRegistryClient) -> None:
    found = {name: is_allowed(registry, mode, change.old, change.new) for name, change in CHANGES.items()}
    assert found == {name: mode in change.allowed for name, change in CHANGES.items()}
    later = {name: is_allowed(registry, mode, *versions) for name, (versions, _) in LATER.items()}
    assert later == {name: mode in allowed for name, (_, allowed) in LATER.items()}


@dataclass(frozen=True)
class Deployment:
    """A change, at one moment of it: which schema the folder has, and which version was registered first."""

    name: str
    folder_is_new: bool
    new_is_first: bool
    stream: StreamDefinition
    """As its folder says."""

    @property
    def change(self) -> Change:
        return CHANGES[self.name]

    @property
    def versions(self) -> dict[int, Schema]:
        """Id -> schema, in the order of registration."""
        both = {1: self.change.old, 2: self.change.new}
        return {each: both[each] for each in ((2, 1) if self.new_is_first else (1, 2))}

    @property
    def evolved(self) -> StreamDefinition:
        return evolved(self.stream, list(self.versions.values()))

    def framed(self) -> Iterator[bytes]:
        """The old producer's record, then the new one's."""
        for schema_id, value in enumerate(self.change.sent, 1):
            body = io.BytesIO()
            fastavro.schemaless_writer(body, deepcopy(self.versions[schema_id]), {**BASE, **value})
            yield b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


def deployments(folder: Path) -> Iterator[Deployment]:
    for name, folder_is_new, new_is_first in product(CHANGES, (False, True), (False, True)):
        change = CHANGES[name]
        stream = StreamDefinition(
            title="Visits",
            key=("id",),
            event_time=EventTime(field="at"),
            name=f"visits{next(NUMBERS)}",
            folder=folder,
            avro_schema=change.new if folder_is_new else change.old,
        )
        yield Deployment(name, folder_is_new, new_is_first, stream)


def routed(spark: SparkSession, one: Deployment) -> DataFrame:
    rows = [(b"k", bytearray(each), "", 0, at, ARRIVED, 1) for at, each in enumerate(one.framed())]
    writers = {each: json.dumps(version) for each, version in one.versions.items()}
    raw = spark.createDataFrame(rows, KAFKA_ROW).coalesce(1)
    return route(raw, one.evolved, Schemas(writers=writers, valid_id=9), {}, broken_rules, {})


def read(value: bytes, writer: Schema) -> Event:
    assert value[:5] == b"\x00\x00\x00\x00\x09"
    body = io.BytesIO(value[5:])
    found: Any = fastavro.schemaless_reader(body, deepcopy(writer))
    assert not body.read()
    return {name: each for name, each in found.items() if not name.startswith("tg_")}


def test_old_and_new_producers_are_read_whole_whoever_is_deployed_first(spark: SparkSession, tmp_path: Path) -> None:
    """One job for all: each change, with the folder before and after it, registered in either order."""
    many = list(deployments(tmp_path))
    frames = reduce(DataFrame.unionAll, (routed(spark, each) for each in many))
    rows: dict[str, list[bytes]] = {}
    for row in frames.collect():
        rows.setdefault(row.topic, []).append(bytes(row.value))
    for one in many:
        assert not evolution(one.stream, list(one.versions.values())).conflicts
        got = [read(value, valid_schema(one.evolved)) for value in rows.pop(f"{one.stream.name}.valid")]
        wanted = [{**BASE, **event} for event in one.change.read[one.folder_is_new]]
        assert got == wanted, one
    assert not rows, "nothing is dead or quarantined"


def test_what_route_writes_is_compatible_at_each_step(registry: SchemaRegistryClient, tmp_path: Path) -> None:
    """The valid subject is BACKWARD: lake and ClickHouse read what was written before. At last the folder follows."""
    for one in deployments(tmp_path):
        if one.folder_is_new:
            continue
        name, steps, versions = subject(one.stream.name, Hop.VALID), [], list(one.versions.values())
        for known in range(3):
            steps.append(valid_schema(evolved(one.stream, versions[:known], steps)))
        followed = one.stream.model_copy(update={"avro_schema": one.change.new})
        steps.append(valid_schema(evolved(followed, versions, steps)))
        register(registry, name, steps[0])
        require_mode(registry, name, Compatibility.BACKWARD)
        for step in steps[1:]:
            register(registry, name, step)
