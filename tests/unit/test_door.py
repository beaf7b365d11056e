"""Who gets the console's pages, and where the others are led."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi.testclient import TestClient

from controlplane.contract.access import SESSION_COOKIE
from dash_app.app import create_app
from dash_app.data import ConsoleData
from dash_app.door.known import AskedSessions


class FakeSessions:
    """One cookie is somebody's."""

    cookie = SESSION_COOKIE

    async def holds(self, cookie: str) -> bool:
        return cookie == "good"


@pytest.fixture(scope="module")
def console() -> TestClient:
    app = create_app(ConsoleData({}, 8090), FakeSessions())
    return TestClient(app.server, follow_redirects=False)


def _cookie(value: str) -> dict[str, str]:
    return {"Cookie": f"other=1; {SESSION_COOKIE}={value}"}


@pytest.mark.parametrize(
    ("path", "to"),
    [("/", "/sign-in"), ("/lag?minutes=5", "/sign-in?next=%2Flag%3Fminutes%3D5"), ("/none", "/sign-in?next=%2Fnone")],
)
@pytest.mark.parametrize("headers", [{}, _cookie("forged"), _cookie("")], ids=["nothing", "forged", "empty"])
def test_who_is_not_signed_in_is_led_to_the_sign_in(
    console: TestClient, path: str, to: str, headers: dict[str, str]
) -> None:
    answer = console.get(path, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, to)


@pytest.mark.parametrize("path", ["/_dash-layout", "/_dash-dependencies"])
def test_what_scripts_ask_for_is_refused_without_a_session(console: TestClient, path: str) -> None:
    assert console.get(path).status_code == 401
    assert console.post("/_dash-update-component", json={}).status_code == 401
    assert console.get(path, headers=_cookie("good")).status_code == 200


def test_who_is_signed_in_gets_the_page(console: TestClient) -> None:
    answer = console.get("/", headers=_cookie("good"))
    assert (answer.status_code, "_dash" in answer.text) == (200, True)


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/assets/console.css", "/sign-in", "/sign-in/page.js"])
def test_what_shows_nothing_of_the_platform_is_open(console: TestClient, path: str) -> None:
    assert console.get(path).status_code == 200


def test_the_sign_in_runs_no_script_but_its_own_and_is_framed_by_nobody(console: TestClient) -> None:
    answer = console.get("/sign-in?next=/lag")
    policy = answer.headers["content-security-policy"]
    assert all(each in policy for each in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"))
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert 'data-push-port="8090"' in answer.text


class Api:
    """The control plane's answers, and how often it was asked."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert request.headers["cookie"] == f"{SESSION_COOKIE}=c"
        if self.status is None:
            raise httpx.ConnectError("away", request=request)
        return httpx.Response(self.status)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def sessions(api: Api, monkeypatch: pytest.MonkeyPatch) -> AskedSessions:
    monkeypatch.setattr("dash_app.door.known._ASKED_EVERY_S", 0.0)
    return AskedSessions("", client=httpx.AsyncClient(transport=httpx.MockTransport(api), base_url="http://api"))


def test_a_session_holds_as_long_as_the_control_plane_says_so(api: Api, sessions: AskedSessions) -> None:
    assert asyncio.run(sessions.holds("c"))
    api.status = 401
    assert not asyncio.run(sessions.holds("c"))
    api.status = None
    assert not asyncio.run(sessions.holds("c")), "it was said to be over"


@pytest.mark.parametrize("status", [None, 503], ids=["it is away", "its database is away"])
def test_while_the_control_plane_is_away_only_who_was_signed_in_before_gets_pages(
    api: Api, sessions: AskedSessions, status: int | None
) -> None:
    api.status = status
    assert not asyncio.run(sessions.holds("c"))
    api.status = 200
    assert asyncio.run(sessions.holds("c"))
    api.status = status
    assert asyncio.run(sessions.holds("c"))


def test_what_was_said_counts_for_a_few_seconds(
    api: Api, sessions: AskedSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dash_app.door.known._ASKED_EVERY_S", 60.0)
    assert [asyncio.run(sessions.holds("c")) for _ in range(3)] == [True] * 3
    assert api.asked == 1
    assert not asyncio.run(sessions.holds("")), "nobody is asked about nothing"
