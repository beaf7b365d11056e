"""Who is let through to a route, and what the others are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from controlplane.contract.access import (
    CSRF_HEADER,
    SESSION_COOKIE,
    STREAMS_HEADER,
    USER_HEADER,
    Grant,
    Role,
    authorization,
)
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.access import Access, Terms
from controlplane.service.access.hashes import csrf_of
from controlplane.service.api import create_api
from controlplane.service.audit.port import NotKept
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.service import Service

if TYPE_CHECKING:
    from pathlib import Path

CONSOLE = "http://127.0.0.1:8050"
STREAMS = [load_stream(SHIPPED_STREAMS / name) for name in ("shop", "flights")]
ORDER = {"stream": "shop", "stage": "lake", "order": "divert"}
ORDERS = "/api/v1/gates/orders"


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


class Door:
    """An API with users, and ways to ask it."""

    def __init__(self, folder: Path) -> None:
        engine = engine_of(f"sqlite:///{folder / 'a.sqlite'}")
        create_all(engine)
        self.clock = Clock()
        self.access = Access(engine, Terms(), self.clock, "parts-token", "owners-token")
        desk = Desk(engine, [stream.name for stream in STREAMS], NotKept())
        schedules = Schedules(engine, desk)
        self.service = Service(STREAMS, lambda *_, **__: [], CONSOLE, 0.05, operations=desk, schedules=schedules)
        self.client = TestClient(create_api(self.service, access=self.access), raise_server_exceptions=False)

    def user(self, name: str, role: Role, *streams: str) -> str:
        """A user with a role; the cookie of a session of theirs."""
        self.access.users.add(name, [Grant(role=role, streams=streams or ("*",))], "a test", self.clock())
        return self.access.sessions.begin(name, "127.0.0.1", self.clock()).cookie

    def token(self, name: str, lasts: timedelta | None = None) -> tuple[str, str]:
        """Id and secret of a user's token."""
        until = None if lasts is None else self.clock() + lasts
        made, secret = self.access.tokens.make(name, "a test", until, self.clock())
        return made.id, secret

    def page(self, cookie: str, **more: str) -> dict[str, str]:
        """Headers of a page of the console that has this session."""
        shown = {"Cookie": f"{SESSION_COOKIE}={cookie}", CSRF_HEADER: csrf_of(cookie), "Origin": CONSOLE}
        return {**shown, **more}

    def order(self, headers: dict[str, str], **more: Any) -> tuple[int, str]:
        answer = self.client.post(ORDERS, json={**ORDER, **more}, headers=headers)
        return answer.status_code, str(answer.json().get("detail", answer.json().get("by")))


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_an_operator_orders_and_the_order_bears_their_name_whatever_the_body_says(door: Door) -> None:
    assert door.order(door.page(door.user("ana", Role.OPERATOR)), by="somebody else") == (201, "ana")


def test_a_viewer_reads_and_orders_nothing(door: Door) -> None:
    headers = door.page(door.user("vic", Role.VIEWER))
    assert door.client.get(ORDERS, headers=headers).status_code == 200
    status, why = door.order(headers)
    assert status == 403
    assert "vic may not operate for shop: it takes the role operator (vic is viewer of *)" in why


def test_an_operator_of_one_stream_orders_nothing_for_another(door: Door) -> None:
    headers = door.page(door.user("fay", Role.OPERATOR, "flights"))
    assert door.order(headers, stream="flights")[0] == 201
    status, why = door.order(headers, stream="shop")
    assert (status, "may not operate for shop" in why) == (403, True)


def test_who_has_a_role_for_some_streams_changes_nothing_of_the_platform_as_a_whole(door: Door) -> None:
    headers = door.page(door.user("fay", Role.ADMIN, "flights"))
    answer = door.client.delete("/api/v1/scaling/lake/scale", headers=headers)
    assert (answer.status_code, "the platform as a whole" in answer.json()["detail"]) == (403, True)
    assert door.client.get("/api/v1/users", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("role", "status"), [(Role.OPERATOR, 403), (Role.APPROVER, 404), (Role.ADMIN, 404)], ids=["operator", "approver", "admin"]
)  # fmt: skip
def test_what_changes_a_definition_takes_an_approver(door: Door, role: Role, status: int) -> None:
    answer = door.client.put("/api/v1/scaling/none/policy", json={}, headers=door.page(door.user("ana", role)))
    assert answer.status_code == status


def test_a_key_sends_to_its_streams_and_does_nothing_else(door: Door) -> None:
    asked = {"name": "checkout", "streams": ["shop"], "for": "90d"}
    made = door.client.post("/api/v1/users/keys", json=asked, headers=door.page(door.user("ana", Role.ADMIN)))
    assert made.status_code == 201
    key = authorization(made.json()["token"])
    may = door.client.get("/api/v1/session", headers=key).json()["may"]
    assert {action for action, streams in may.items() if streams} == {"produce"}
    assert may["produce"] == ["shop"]
    assert door.client.get(ORDERS, headers=key).status_code == 403
    assert door.order(key)[0] == 403
    door.clock.at += timedelta(days=91)
    assert door.client.get("/api/v1/session", headers=key).status_code == 401


@pytest.mark.parametrize(("role", "sends"), [(Role.VIEWER, []), (Role.OPERATOR, ["*"]), (Role.ADMIN, ["*"])])
def test_who_operates_may_send_too_and_who_looks_may_not(door: Door, role: Role, sends: list[str]) -> None:
    said = door.client.get("/api/v1/session", headers=door.page(door.user("ana", role))).json()
    assert said["may"]["produce"] == sends


def test_no_key_is_made_in_the_name_of_somebody_with_other_rights(door: Door) -> None:
    headers = door.page(door.user("ana", Role.ADMIN))
    answer = door.client.post("/api/v1/users/keys", json={"name": "ana"}, headers=headers)
    assert (answer.status_code, "a user with other rights" in answer.json()["detail"]) == (409, True)
    assert door.client.post("/api/v1/users/keys", json={"name": "a", "streams": ["shop"]}, headers=headers).is_success
    assert door.client.post("/api/v1/users/keys", json={"name": "a", "streams": ["shop"]}, headers=headers).is_success
    assert door.client.post("/api/v1/users/keys", json={"name": "a"}, headers=headers).status_code == 409


def test_facts_are_told_by_parts_and_by_no_user_whoever_they_are(door: Door) -> None:
    assert door.client.post("/api/v1/facts", content=b"[]", headers=authorization("parts-token")).status_code == 204
    admin = door.page(door.user("ana", Role.ADMIN))
    assert door.client.post("/api/v1/facts", content=b"[]", headers=admin).status_code == 403
    assert door.client.post("/api/v1/facts", content=b"[]", headers=authorization("owners-token")).status_code == 403


def test_the_owner_of_the_folder_may_do_everything_under_the_name_of_the_system(door: Door) -> None:
    headers = {**authorization("owners-token"), USER_HEADER: "ro<ot"}
    assert door.order(headers) == (201, "local:root")
    assert door.client.get("/api/v1/session", headers=headers).json()["by"] == "local"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": f"{SESSION_COOKIE}=forged"},
        {"Cookie": f"{SESSION_COOKIE}="},
        {"Authorization": "Bearer forged"},
        {"Authorization": "Bearer tg_forged"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic cGFydHMtdG9rZW46"},
        {"Authorization": "parts-token"},
    ],
    ids=["nothing", "a-forged-session", "an-empty-session", "a-forged-part", "a-forged-token", "an-empty-token",
         "another-scheme", "no-scheme"],
)  # fmt: skip
def test_who_is_not_known_is_answered_nothing(door: Door, headers: dict[str, str]) -> None:
    answer = door.client.get("/api/v1/overview", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert "sign in first" in answer.json()["detail"]


def test_without_secrets_nobody_is_taken_for_a_part_or_the_owner(tmp_path: Path) -> None:
    door = Door(tmp_path)
    bare = Access(door.access.engine, Terms(), door.clock)
    client = TestClient(create_api(door.service, access=bare))
    assert client.get("/api/v1/overview", headers={"Authorization": "Bearer "}).status_code == 401


def test_a_token_that_does_not_hold_is_not_made_up_for_by_a_session(door: Door) -> None:
    headers = door.page(door.user("ana", Role.ADMIN), **authorization("tg_forged"))
    assert door.client.get("/api/v1/overview", headers=headers).status_code == 401


def test_a_token_asks_without_csrf_until_it_is_over_or_taken_back(door: Door) -> None:
    door.user("ana", Role.OPERATOR)
    name, secret = door.token("ana", timedelta(days=1))
    headers = authorization(secret)
    assert door.order(headers) == (201, "ana")
    door.clock.at += timedelta(days=1)
    assert door.order(headers)[0] == 401, "expired"
    name, secret = door.token("ana")
    assert door.order(authorization(secret))[0] == 201
    assert door.access.tokens.revoke(name, "ana", door.clock())
    assert door.order(authorization(secret))[0] == 401, "revoked"


def test_a_session_ends_when_it_is_not_used_and_after_its_time(door: Door) -> None:
    headers = door.page(door.user("ana", Role.ADMIN))
    for _ in range(15):
        door.clock.at += timedelta(hours=11)
        assert door.client.get("/api/v1/overview", headers=headers).status_code == 200
    door.clock.at += timedelta(hours=11)
    assert door.client.get("/api/v1/overview", headers=headers).status_code == 401, "older than seven days"
    headers = door.page(door.access.sessions.begin("ana", "here", door.clock()).cookie)
    door.clock.at += timedelta(hours=12)
    assert door.client.get("/api/v1/overview", headers=headers).status_code == 401, "not used for twelve hours"


def test_who_is_disabled_is_known_no_more_by_session_and_token(door: Door) -> None:
    cookie = door.user("ana", Role.ADMIN)
    _, secret = door.token("ana")
    door.access.users.disable("ana", is_disabled=True)
    for headers in (door.page(cookie), authorization(secret)):
        assert door.client.get("/api/v1/overview", headers=headers).status_code == 401


def test_a_change_of_rights_counts_from_the_next_request_on(door: Door) -> None:
    headers = door.page(door.user("ana", Role.ADMIN))
    door.access.users.grant("ana", [Grant(role=Role.VIEWER)])
    assert door.order(headers)[0] == 403


def test_when_the_database_is_away_parts_go_on_and_users_are_told(door: Door) -> None:
    headers = door.page(door.user("ana", Role.ADMIN))
    with door.access.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE access_sessions")
    answer = door.client.get("/api/v1/overview", headers=headers)
    assert (answer.status_code, "database of users" in answer.json()["detail"]) == (503, True)
    assert door.client.get("/api/v1/overview", headers=authorization("parts-token")).status_code == 200


@pytest.mark.parametrize("shown", [None, "", "forged"])
def test_a_cookie_alone_changes_nothing(door: Door, shown: str | None) -> None:
    headers = door.page(door.user("ana", Role.ADMIN))
    del headers[CSRF_HEADER]
    status, why = door.order({**headers, **({} if shown is None else {CSRF_HEADER: shown})})
    assert (status, CSRF_HEADER in why) == (403, True)
    assert door.client.get(ORDERS, headers=headers).json() == []


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8051", "https://127.0.0.1:8050", "null"])
def test_a_foreign_page_is_told_nothing_even_with_a_session(door: Door, origin: str) -> None:
    headers = door.page(door.user("ana", Role.ADMIN), Origin=origin)
    assert door.order(headers)[0] == 403
    answer = door.client.get("/api/v1/overview", headers=headers)
    assert (answer.status_code, origin in answer.json()["detail"]) == (403, True)
    assert "access-control-allow-origin" not in answer.headers


def _close_code(door: Door, headers: dict[str, str]) -> int:
    with pytest.raises(WebSocketDisconnect) as refused, door.client.websocket_connect("/api/v1/push", headers=headers):
        pass
    return refused.value.code


def test_a_socket_is_opened_by_who_is_signed_in_from_the_console_and_by_nobody_else(door: Door) -> None:
    headers = door.page(door.user("ana", Role.VIEWER))
    with door.client.websocket_connect("/api/v1/push", headers=headers) as socket:
        assert socket.receive_json()["type"] == "welcome"
    assert _close_code(door, {"Origin": CONSOLE}) == 1008, "nobody is signed in"
    assert _close_code(door, {**headers, "Origin": "http://evil.example"}) == 1008, "a foreign page"
    assert _close_code(door, door.page("forged")) == 1008, "a forged session"


def test_a_socket_is_closed_when_its_session_ends(door: Door) -> None:
    headers = door.page(door.user("ana", Role.VIEWER))
    with door.client, door.client.websocket_connect("/api/v1/push", headers=headers) as socket:
        assert socket.receive_json()["type"] == "welcome"
        assert door.client.delete("/api/v1/session", headers=headers).status_code == 204
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert (closed.value.code, closed.value.reason) == (1008, "the session has ended")


ROLLBACK = {"kind": "rollback", "asked": {"stream": "shop", "version": 3}}


def test_an_operation_is_planned_by_an_operator_of_its_stream_and_confirmed_by_who_may_approve_it(door: Door) -> None:
    def ask(cookie: str, path: str = "", body: Any = ROLLBACK) -> Any:
        return door.client.post(f"/api/v1/operations{path}", json=body, headers=door.page(cookie))

    operator, approver = door.user("ola", Role.OPERATOR), door.user("pia", Role.APPROVER, "shop")
    assert ask(door.user("vic", Role.VIEWER)).status_code == 403
    assert ask(door.user("fay", Role.OPERATOR, "flights")).status_code == 403
    planned = ask(operator)
    assert (planned.status_code, planned.json()["by"]) == (202, "ola")
    number, word = planned.json()["id"], {"fingerprint": "f", "confirmation": "shop"}
    refused = ask(operator, f"/{number}/confirm", word)
    assert (refused.status_code, "may not approve" in refused.json()["detail"]) == (403, True)
    assert ask(approver, f"/{number}/confirm", word).status_code == 409, "it has no plan yet"
    assert ask(approver, "/lease", {"worker": "w", "holds": []}).status_code == 403, "that is for the worker"


class Room:
    """What a room was asked, and with which headers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = {name: request.headers.get(name, "") for name in (USER_HEADER, STREAMS_HEADER, "authorization")}
        self.asked.append((request.method, request.url.path, headers))
        return httpx.Response(200, json={})


@pytest.fixture
def room(door: Door, monkeypatch: pytest.MonkeyPatch) -> Room:
    """Every room behind the control plane."""
    made, real = Room(), httpx.AsyncClient
    transport = httpx.MockTransport(made)
    monkeypatch.setattr(
        "controlplane.service.forwarded.httpx.AsyncClient", lambda **how: real(transport=transport, **how)
    )
    rooms = dict.fromkeys(("quarantine", "alerts", "sql", "tables", "trials"), "http://room")
    door.client = TestClient(create_api(door.service, rooms, access=door.access))
    return made


def test_a_room_is_asked_with_the_parts_token_for_whom_and_for_which_streams(door: Door, room: Room) -> None:
    headers = door.page(door.user("fay", Role.OPERATOR, "flights"), **{USER_HEADER: "root", STREAMS_HEADER: "*"})
    answer = door.client.post("/api/v1/quarantine/replays/1/run", json={}, headers=headers)
    assert answer.status_code == 200
    told = {USER_HEADER: "fay", STREAMS_HEADER: "flights", "authorization": "Bearer parts-token"}
    assert room.asked == [("POST", "/api/v1/quarantine/replays/1/run", told)], "whatever the page says of itself"


@pytest.mark.parametrize(
    ("method", "path", "role", "stream", "status"),
    [
        ("GET", "quarantine/streams/shop/groups", Role.VIEWER, "flights", 200),
        ("POST", "quarantine/streams/flights/replays", Role.OPERATOR, "flights", 200),
        ("POST", "quarantine/streams/shop/replays", Role.OPERATOR, "flights", 403),
        ("POST", "quarantine/streams/flights/replays", Role.VIEWER, "flights", 403),
        ("POST", "quarantine/replays/1/run", Role.VIEWER, "flights", 403),
        ("POST", "sql", Role.VIEWER, "flights", 200),
        ("POST", "alerts/incidents/1/acknowledge", Role.OPERATOR, "flights", 403),
        ("POST", "alerts/incidents/1/acknowledge", Role.OPERATOR, "*", 200),
        ("DELETE", "alerts/windows/1", Role.VIEWER, "*", 403),
        ("POST", "anything/else", Role.VIEWER, "*", 404),
        ("POST", "trials/folders", Role.VIEWER, "*", 403),
        ("DELETE", "trials/1", Role.OPERATOR, "*", 200),
        ("POST", "sql/%2e%2e/trials/folders", Role.VIEWER, "*", 404),
        ("POST", "quarantine/streams/shop%2f..%2f..%2freplays/1/run", Role.OPERATOR, "flights", 404),
    ],
)
def test_what_is_forwarded_takes_the_right_to_do_it(  # noqa: PLR0913 (a row of a table)
    door: Door, room: Room, method: str, path: str, role: Role, stream: str, status: int
) -> None:
    headers = door.page(door.user("fay", role, stream))
    answer = door.client.request(method, f"/api/v1/{path}", headers=headers)
    assert answer.status_code == status
    assert bool(room.asked) is (status == 200)
