"""The push protocol's page, its schema and the code name the same; a hub answers what the page promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from controlplane.contract.access import Grant, Principal, Role
from controlplane.contract.push import (
    BEARER,
    LIVE,
    PROTOCOL,
    SERVER_MESSAGE,
    TAKES_WITHIN_S,
    TOPICS,
    ClientMessage,
    CloseCode,
    Resumption,
    ServerMessage,
    Update,
    schema,
)
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.hub import Most
from controlplane.service.service import Service

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition

PAGE = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text().split("\n## Push protocol\n")[1].split("\n## ")[0]
_SENT, _GOT = (PAGE.split(heading)[1].split("\n\n")[1] for heading in ("**You send**", "**You get**"))


def _types(union: Any) -> dict[str, Any]:
    return {each.model_fields["type"].default: each for each in get_args(get_args(union)[0])}


@pytest.mark.parametrize(("table", "union"), [(_SENT, ClientMessage), (_GOT, ServerMessage)], ids=["sent", "got"])
def test_every_message_is_on_the_page_with_its_fields_and_no_other(table: str, union: Any) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE))
    assert rows.keys() == _types(union).keys()
    for name, message in _types(union).items():
        missing = [
            field for field in message.model_fields.keys() - {"type", "reason"} if f"`{field}`" not in rows[name]
        ]
        assert not missing, f"{name}: {missing}"


def test_every_topic_is_on_the_page_and_no_other() -> None:
    named = PAGE.split("**Topics.** ")[1].split(": `data` is all")[0]
    assert {*re.findall(r"`([^`]+)`", named), LIVE} == set(TOPICS)
    assert f"`{LIVE}`" in PAGE


def test_every_close_code_and_answer_is_on_the_page() -> None:
    written = dict(re.findall(r"^\| (\d+) `(\w+)` \|", PAGE, re.MULTILINE))
    assert written == {str(code.value): code.name.lower() for code in CloseCode}
    assert [each for each in Resumption if f"`{each}`" not in PAGE] == []
    assert [each for each in (PROTOCOL, BEARER, f"{TAKES_WITHIN_S:.0f} s") if each not in PAGE] == []


def test_what_an_update_holds_is_a_topic() -> None:
    assert set(get_args(Update.model_fields["data"].annotation)) == set(TOPICS.values())


def test_the_schema_names_every_message_and_resolves() -> None:
    made = schema()
    references = set(re.findall(r"'#/\$defs/(\w+)'", str(made)))
    assert references <= made["$defs"].keys()
    assert made["topics"].keys() == TOPICS.keys()
    names = {each["$ref"].rpartition("/")[2] for each in (*made["client"], *made["server"])}
    messages = {**_types(ClientMessage), **_types(ServerMessage)}
    assert {made["$defs"][name]["properties"]["type"]["const"] for name in names} == messages.keys()


@pytest.fixture
def client(shop: StreamDefinition) -> TestClient:
    service = Service([shop], lambda *_, **__: [], "http://127.0.0.1:8050", 0.1, watchers=Most(in_all=9, each=2))
    who = Principal(name="ana", grants=(Grant(role=Role.VIEWER),))
    return TestClient(create_api(service, access=AnyoneIs(who)))


def test_the_schema_is_served(client: TestClient) -> None:
    assert client.get("/api/v1/push/schema").json() == schema()


def test_a_version_is_chosen_and_another_refused_with_the_reason(client: TestClient) -> None:
    with client.websocket_connect("/api/v1/push", subprotocols=["tidegate.push.v9", PROTOCOL]) as socket:
        assert socket.accepted_subprotocol == PROTOCOL
        assert SERVER_MESSAGE.validate_json(socket.receive_text()).type == "welcome"
    with (
        client.websocket_connect("/api/v1/push", subprotocols=["tidegate.push.v9"]) as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_text()
    assert (closed.value.code, PROTOCOL in closed.value.reason) == (CloseCode.VERSION, True)


def test_one_watcher_too_many_is_closed_with_the_reason(client: TestClient) -> None:
    with (
        client.websocket_connect("/api/v1/push"),
        client.websocket_connect("/api/v1/push"),
        client.websocket_connect("/api/v1/push") as third,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        third.receive_text()
    assert (closed.value.code, "ana has 2 watchers" in closed.value.reason) == (CloseCode.TOO_MANY, True)


def test_who_sends_something_else_than_text_is_let_go(client: TestClient) -> None:
    with client.websocket_connect("/api/v1/push") as socket:
        socket.receive_text()
        socket.send_bytes(b"x")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
