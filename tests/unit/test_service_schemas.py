"""The API's schemas over a fake registry: versions and who is on them, what is refused and why, and who may ask."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from controlplane.contract.facts import FACTS, SchemaRead, SchemaSeen
from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.streams import Compatibility
from controlplane.contract.valid import valid_schema
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.registry import FakeRegistry, NotASchemaError, RegistryAwayError, read_schema
from controlplane.service.service import Service

SHOP = load_stream(SHIPPED_STREAMS / "shop")
CONSOLE = "http://127.0.0.1:8050"
NOTE = {"name": "note", "type": "string", "default": ""}
FIRST: dict[str, Any] = SHOP.avro_schema
SECOND: dict[str, Any] = {**FIRST, "fields": [*FIRST["fields"], NOTE]}
BROKEN: dict[str, Any] = {**FIRST, "fields": [*SECOND["fields"], {"name": "x", "type": "string"}]}


@pytest.fixture
def registry() -> FakeRegistry:
    fake = FakeRegistry({"shop.raw-value": Compatibility.FULL})
    for name, avro in (("shop.raw-value", FIRST), ("shop.valid-value", valid_schema(SHOP)), ("shop.raw-value", SECOND)):
        fake.register(name, avro)
    return fake


@pytest.fixture
def client(registry: FakeRegistry) -> TestClient:
    service = Service([SHOP], lambda *_, **__: [], CONSOLE, 0.05, None, registry)
    return TestClient(create_api(service, access=AnyoneIs()))


def report(client: TestClient, *facts: SchemaSeen | SchemaRead) -> None:
    assert client.post("/api/v1/facts", content=FACTS.dump_json(list(facts))).status_code == 204


def seen(producer: str | None, schema_id: int) -> SchemaSeen:
    now = datetime.now(UTC)
    return SchemaSeen(at=now, stream="shop", producer=producer, schema_id=schema_id, sampled=3, of=10, seen_at=now)


def read(reader: str, hop: Hop, *ids: int, writes: int | None = None) -> SchemaRead:
    return SchemaRead(at=datetime.now(UTC), stream="shop", reader=reader, hop=hop, schema_ids=ids, writes=writes)


def test_a_version_says_what_is_different_and_who_is_on_it(client: TestClient) -> None:
    report(client, seen("new", 3), seen("old", 1), seen(None, 1), seen("lost", 99))
    report(client, read("route", Hop.RAW, 1, 3, writes=2), read("lake", Hop.VALID, 2))
    shown = client.get("/api/v1/schemas/shop").json()
    raw, valid = shown["subjects"]
    assert (raw["subject"], raw["mode"], valid["mode"]) == ("shop.raw-value", "FULL", "BACKWARD")
    newest, first = raw["versions"]
    assert (newest["version"], newest["id"], first["id"]) == (2, 3, 1)
    assert [each["sentence"] for each in newest["differences"]] == ['`note` is added as string, with the default ""']
    assert first["differences"] == []
    assert [each["producer"] for each in newest["producers"]] == ["new"]
    assert {each["producer"] for each in first["producers"]} == {"old", None}
    assert [each["producer"] for each in raw["strangers"]] == ["lost"]
    assert [each["reader"] for each in newest["readers"]] == ["route"]
    assert [each["reader"] for each in valid["versions"][0]["readers"]] == ["lake"]
    assert [each["reader"] for each in valid["versions"][0]["writers"]] == ["route"]


def test_the_list_has_modes_versions_and_ids_and_no_more(client: TestClient) -> None:
    [shop] = client.get("/api/v1/schemas").json()
    raw = shop["subjects"][0]
    assert raw["versions"] == [{"version": 2, "id": 3}, {"version": 1, "id": 1}]
    assert set(raw) == {"subject", "hop", "mode", "versions"}


def test_what_would_be_accepted_changes_nothing_until_it_is_registered(
    client: TestClient, registry: FakeRegistry
) -> None:
    third = {**SECOND, "fields": [*SECOND["fields"], {"name": "x", "type": "int", "default": 0}]}
    checked = client.post("/api/v1/schemas/shop/check", json=third)
    assert (checked.status_code, checked.json()["accepted"], checked.json()["id"]) == (200, True, None)
    assert (checked.json()["against"], len(registry.versions("shop.raw-value"))) == (2, 2)
    assert checked.json()["differences"][0]["field"] == "x"
    done = client.post("/api/v1/schemas/shop", json=third, headers={"Origin": CONSOLE})
    assert (done.status_code, done.json()["id"], len(registry.versions("shop.raw-value"))) == (200, 4, 3)
    assert client.post("/api/v1/schemas/shop", json=third).json()["id"] == 4


@pytest.mark.parametrize("path", ["/api/v1/schemas/shop/check", "/api/v1/schemas/shop"], ids=["check", "register"])
def test_what_is_refused_is_409_with_the_reason(client: TestClient, registry: FakeRegistry, path: str) -> None:
    answer = client.post(path, json=BROKEN)
    assert answer.status_code == 409
    refusal = answer.json()["refusal"]
    assert (refusal["mode"], refusal["registry_says"]) == ("FULL", ["it gives no reason"])
    [objection] = refusal["objections"]
    assert objection.startswith("`x` is added as string, without a default: events of version 2 could not be read")
    assert len(registry.versions("shop.raw-value")) == 2


def test_a_version_says_what_of_it_is_not_adopted_and_whether_it_is_read(
    client: TestClient, registry: FakeRegistry
) -> None:
    micros = {"type": "long", "logicalType": "timestamp-micros"}
    fields = [{**each, "type": micros} if each["name"] == "event_time" else each for each in FIRST["fields"]]
    taken = {**SECOND, "fields": [*SECOND["fields"], {"name": "Region", "type": "int", "default": 0}]}
    registry.register("shop.raw-value", taken)
    [third, second, _] = client.get("/api/v1/schemas/shop").json()["subjects"][0]["versions"]
    assert second["adoption"] == {"left_out": [], "is_read": True}
    assert third["adoption"]["is_read"]
    assert third["adoption"]["left_out"][0].startswith("field 'Region' is the name of a column that is there already")
    judged = client.post("/api/v1/schemas/shop/check", json={**FIRST, "fields": fields}).json()
    assert not judged["adoption"]["is_read"]


def test_an_objection_names_the_field(client: TestClient) -> None:
    narrowed = {**SECOND, "fields": [each for each in SECOND["fields"] if each["name"] != SECOND["fields"][0]["name"]]}
    [said] = client.post("/api/v1/schemas/shop/check", json=narrowed).json()["refusal"]["objections"]
    assert said.startswith(f"`{SECOND['fields'][0]['name']}` (")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Origin": CONSOLE}, 200),
        ({"Origin": "http://localhost:8050"}, 200),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "https://127.0.0.1:8050"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
    ids=["a-program", "the-console", "the-console-by-name", "another-port", "another-scheme", "elsewhere", "a-file"],
)
def test_only_the_console_and_programs_may_ask(client: TestClient, headers: dict[str, str], code: int) -> None:
    for path in ("/api/v1/schemas/shop/check", "/api/v1/schemas/shop"):
        answer = client.post(path, json=SECOND, headers=headers)
        assert answer.status_code == code
    allowed = client.get("/api/v1/schemas", headers=headers).headers.get("access-control-allow-origin")
    assert allowed == (headers.get("Origin") if code == 200 else None)


def test_a_registry_that_is_away_is_503_with_the_reason(client: TestClient, registry: FakeRegistry) -> None:
    registry.away = RegistryAwayError("the schema registry at x does not answer: refused")
    asked = [client.get("/api/v1/schemas"), client.get("/api/v1/schemas/shop")]
    asked += [client.post(f"/api/v1/schemas/shop{path}", json=SECOND) for path in ("", "/check")]
    assert {(each.status_code, each.json()["detail"]) for each in asked} == {(503, str(registry.away))}


def test_without_a_registry_it_says_so() -> None:
    client = TestClient(create_api(Service([SHOP], lambda *_, **__: [], CONSOLE, 0.05), access=AnyoneIs()))
    assert client.get("/api/v1/schemas/shop").status_code == 503


def test_a_stream_that_is_not_there_is_404(client: TestClient) -> None:
    assert client.get("/api/v1/schemas/nobody").status_code == 404
    assert client.post("/api/v1/schemas/nobody", json=SECOND).status_code == 404


def test_a_stream_that_was_never_registered_has_no_versions() -> None:
    client = TestClient(
        create_api(Service([SHOP], lambda *_, **__: [], CONSOLE, 0.05, None, FakeRegistry()), access=AnyoneIs())
    )
    assert [each["versions"] for each in client.get("/api/v1/schemas/shop").json()["subjects"]] == [[], []]
    assert client.post("/api/v1/schemas/shop/check", json=FIRST).json()["against"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type"', "this is not JSON: Expecting ':' delimiter: line 1 column 8"),
        ("[]", "the top level is not an Avro record"),
        ('{"type": "record", "name": "R"}', "this record has no fields"),
        ({"name": "x", "type": "strin"}, "this is not an Avro schema: UnknownType: strin"),
        ({"name": "x", "type": "int", "default": "a"}, "Default value <a> must match schema type: int"),
        ({"name": "x", "type": {"type": "enum", "name": "E"}}, "a type in it has no 'symbols'"),
        ({"name": "x"}, "Record field 'x' is missing 'type'"),
    ],
    ids=["no-json", "no-record", "no-fields", "no-such-type", "no-such-default", "no-symbols", "no-type"],
)
def test_what_is_no_schema_is_422_and_says_where(client: TestClient, text: str | dict[str, Any], said: str) -> None:
    body = text if isinstance(text, str) else json.dumps({"type": "record", "name": "R", "fields": [text]})
    answer = client.post("/api/v1/schemas/shop/check", content=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_field_that_is_given_twice_is_no_schema() -> None:
    with pytest.raises(NotASchemaError, match="a field is given twice: note"):
        read_schema(json.dumps({"type": "record", "name": "R", "fields": [NOTE, NOTE]}))
