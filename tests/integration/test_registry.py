"""The real registry, and the fake beside its port, let the same schemas through; and what is refused is said in words."""

from __future__ import annotations

import subprocess
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from controlplane.contract.names import Hop, subject
from controlplane.contract.refusals import SchemaRefusedError
from controlplane.contract.settings import Settings
from controlplane.contract.streams import Compatibility
from controlplane.service.confluent import HttpRegistry
from controlplane.service.registry import FakeRegistry, NotASchemaError, RefusedError, RegistryAwayError
from controlplane.setup.jars import JarCache
from controlplane.up.addresses import pick
from controlplane.up.checks import free_port
from controlplane.up.parts import Plan
from pipeline.registry import mode_of, register, register_stream, require_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.registry import SchemaRegistry

NUMBERS = count()


def record(*fields: dict[str, Any], name: str = "Order", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, avro: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, **more}


def kind(*symbols: str, **more: Any) -> dict[str, Any]:
    return field("kind", {"type": "enum", "name": "Kind", "symbols": list(symbols), **more})


ID, N, KIND, NOTE = field("id", "string"), field("n", "int"), kind("A", "B"), field("note", "string", default="")
FIRST, SECOND = record(ID, N, KIND), record(ID, N, KIND, NOTE)
CHANGES = {
    "added-with-a-default": record(ID, N, KIND, NOTE, field("x", "int", default=0)),
    "added-without-a-default": record(ID, N, KIND, NOTE, field("x", "int")),
    "removed-that-was-required": record(ID, KIND, NOTE),
    "removed-that-had-a-default": record(ID, N, KIND),
    "widened": record(ID, field("n", "long"), KIND, NOTE),
    "narrowed-again": record(ID, N, KIND, field("note", "int", default=0)),
    "renamed-by-an-alias": record(field("order_id", "string", aliases=["id"]), N, KIND, NOTE),
    "renamed-without-an-alias": record(field("order_id", "string"), N, KIND, NOTE),
    "a-symbol-added": record(ID, N, kind("A", "B", "C"), NOTE),
    "a-symbol-removed": record(ID, N, kind("A"), NOTE),
    "a-symbol-removed-from-an-enum-with-a-default": record(ID, N, kind("A", default="A"), NOTE),
    "made-optional": record(ID, field("n", ["null", "int"]), KIND, NOTE),
    "a-union-widened": record(field("id", ["string", "long"]), N, KIND, NOTE),
    "the-record-renamed": record(ID, N, KIND, NOTE, name="Purchase"),
    "the-record-renamed-by-an-alias": record(ID, N, KIND, NOTE, name="Purchase", aliases=["Order"]),
    "the-same-in-another-order": record(NOTE, KIND, N, ID),
    "a-default-taken-away": record(ID, N, KIND, field("note", "string")),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]) -> Iterator[str]:
    """The registry as the platform starts it, by itself."""
    folder = tmp_path_factory.mktemp("registry")
    part = Plan(folder, pick(folder, None), JarCache(Settings().cache / "jars"))._registry()
    part.prepare()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(part.argv, stdout=log, stderr=log)
    try:
        eventually(part.probe, "the registry answers")
        part.on_ready()
        yield part.address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def client(url: str) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": url})


def registries(url: str, client: SchemaRegistryClient, name: str, mode: Compatibility) -> list[SchemaRegistry]:
    """A subject with two versions under a mode, in the real one and in the fake."""
    fake = FakeRegistry({name: mode})
    for avro in (FIRST, SECOND):
        register(client, name, avro)
    fake._subjects[name] = HttpRegistry(url).versions(name)
    require_mode(client, name, mode)
    return [HttpRegistry(url), fake]


@pytest.mark.parametrize("mode", Compatibility, ids=str)
def test_what_a_mode_lets_through_is_what_a_check_says_and_what_the_fake_lets_through(
    url: str, client: SchemaRegistryClient, mode: Compatibility
) -> None:
    decided: dict[str, list[bool]] = {}
    for change, avro in CHANGES.items():
        real, fake = registries(url, client, name := f"mode-{next(NUMBERS)}", mode)
        assert (real.mode(name), [each.avro for each in real.versions(name)]) == (mode, [FIRST, SECOND])
        decided[change] = [
            not real.objections(name, avro),
            not fake.objections(name, avro),
            registers(real, name, avro),
        ]
    assert {change: each for change, each in decided.items() if len(set(each)) > 1} == {}
    assert len({each[0] for each in decided.values()}) == (1 if mode is Compatibility.NONE else 2)


def registers(registry: SchemaRegistry, name: str, avro: dict[str, Any]) -> bool:
    try:
        registry.register(name, avro)
    except RefusedError as error:
        return not error.causes
    return True


def test_a_transitive_mode_looks_at_every_version(url: str, client: SchemaRegistryClient) -> None:
    """`note` may be taken away and given again as another type under BACKWARD, not under BACKWARD_TRANSITIVE."""
    back = record(ID, N, KIND, field("note", "int", default=0))
    for mode, is_taken in ((Compatibility.BACKWARD, True), (Compatibility.BACKWARD_TRANSITIVE, False)):
        name = f"transitive-{next(NUMBERS)}"
        for avro in (SECOND, FIRST):
            register(client, name, avro)
        require_mode(client, name, mode)
        registry = HttpRegistry(url)
        assert (not registry.objections(name, back), registers(registry, name, back)) == (is_taken, is_taken)


def test_a_refusal_names_the_field_and_what_to_do(url: str, client: SchemaRegistryClient) -> None:
    registries(url, client, name := f"refusal-{next(NUMBERS)}", Compatibility.FULL)
    with pytest.raises(SchemaRefusedError) as refused:
        register(client, name, record(ID, field("n", "string"), KIND, NOTE, field("x", "int")))
    said = refused.value.refusal
    assert (said.subject, said.mode) == (name, "FULL")
    assert any("reader type: INT not compatible with writer type: STRING" in each for each in said.registry_says)
    assert [each.split(";")[0].split(":")[0] for each in said.objections] == [
        "`n` is changed from int to string",
        "`n` is changed from int to string",
        "`x` is added as int, without a default",
    ]
    assert "give it a default" in str(refused.value)
    assert set(HttpRegistry(url).objections(name, record(ID, KIND))) == {"n at /fields/1"}


def test_a_stream_is_registered_under_its_own_compatibility(
    url: str, client: SchemaRegistryClient, shop: StreamDefinition
) -> None:
    for mode in (Compatibility.FULL_TRANSITIVE, Compatibility.NONE, Compatibility.FORWARD):
        stream = shop.model_copy(update={"name": f"shop{next(NUMBERS)}", "compatibility": mode})
        raw, valid = subject(stream.name, Hop.RAW), subject(stream.name, Hop.VALID)
        for _ in range(2):
            register_stream(client, stream)
            assert (mode_of(client, raw), mode_of(client, valid)) == (mode, "BACKWARD")
        again = stream.model_copy(update={"compatibility": Compatibility.BACKWARD})
        register_stream(client, again)
        assert mode_of(client, raw) == "BACKWARD"
        assert len(HttpRegistry(url).versions(raw)) == 1


def test_a_mode_that_is_as_it_should_be_is_not_set_again(
    client: SchemaRegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_mode(client, name := f"once-{next(NUMBERS)}", Compatibility.FULL)
    monkeypatch.setattr(httpx, "put", None)
    require_mode(client, name, Compatibility.FULL)


def test_a_subject_that_is_not_there_takes_anything(url: str) -> None:
    registry = HttpRegistry(url)
    assert (registry.versions("nobody"), registry.objections("nobody", FIRST)) == ([], ())
    assert registry.mode("nobody") == "BACKWARD"


def test_what_is_no_schema_is_not_refused_but_not_understood(url: str, client: SchemaRegistryClient) -> None:
    registries(url, client, name := f"none-{next(NUMBERS)}", Compatibility.BACKWARD)
    with pytest.raises(NotASchemaError):
        HttpRegistry(url).register(name, {"type": "record"})
    with pytest.raises(NotASchemaError):
        HttpRegistry(url).objections(name, {"type": "record"})


def test_a_registry_that_is_away_is_named() -> None:
    with pytest.raises(RegistryAwayError, match=r"does not answer: .*refused"):
        HttpRegistry(f"http://127.0.0.1:{free_port()}").subjects()
