"""`tidegate users`, `tidegate login` and the address that `tidegate up` prints, against an API in this process."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from controlplane.commands import asking, login, users
from controlplane.commands.credentials import KEPT, control_plane, kept
from controlplane.commands.users import address_to_open
from controlplane.contract.access import LOCAL_TOKEN, Grant, Role, authorization
from controlplane.contract.settings import Settings
from controlplane.service.access.access import Access, Terms
from controlplane.service.api import create_api
from controlplane.service.database import create_all, engine_of
from controlplane.service.service import Service

if TYPE_CHECKING:
    from click.testing import Result

GOOD = "correct horse battery"


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """Whom the commands talk to, as the owner of the folder."""
    engine = engine_of(f"sqlite:///{tmp_path / 'a.sqlite'}")
    create_all(engine)
    made = Access(engine, Terms(), lambda: datetime.now(UTC), "", "owner")
    service = Service([], lambda *_, **__: [], "http://127.0.0.1:8050", 0.05)
    api = create_api(service, access=made)

    def client(**how: Any) -> TestClient:
        how.pop("timeout", None)
        return TestClient(api, **{"base_url": "http://api", **how})

    def request(method: str, url: str, *, json: Any = None, headers: dict[str, str], timeout: float) -> httpx.Response:
        answer = client().request(method, url, json=json, headers=headers)
        return httpx.Response(answer.status_code, content=answer.content, request=httpx.Request(method, url))

    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.setattr(httpx, "post", lambda url, **how: request("POST", url, **how))
    monkeypatch.setattr(httpx, "get", lambda url, timeout: request("GET", url, headers={}, timeout=timeout))
    monkeypatch.setattr(httpx, "Client", client)
    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://api", authorization("owner")))
    running = SimpleNamespace(environment={"TIDEGATE_CONSOLE": "http://127.0.0.1:8050"})
    monkeypatch.setattr(users, "running_in", lambda _: running)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "none"))
    return made


def run(*words: str, given: str | None = None) -> Result:
    app = typer.Typer()
    app.add_typer(users.app, name="users")
    app.command()(login.login)
    app.command()(login.logout)
    return CliRunner().invoke(app, words, input=given)


def _once(said: str) -> str:
    return said.rpartition("once=")[2].strip()


def test_a_user_is_added_with_roles_of_streams_and_signs_in_by_the_link_that_is_printed(access: Access) -> None:
    done = run("users", "add", "bob", "viewer", "operator@shop,flights")
    assert done.exit_code == 0
    assert "http://127.0.0.1:8050/sign-in?once=" in done.output
    user = access.links.use(_once(done.output), None, GOOD, access.now())
    assert user.grants == (Grant(role=Role.VIEWER), Grant(role=Role.OPERATOR, streams=("shop", "flights")))
    listed = run("users", "ls").output
    assert all(each in listed for each in ("bob", "viewer, operator@shop,flights", "has a password"))
    assert run("users", "grant", "bob", "admin").output == "bob is admin.\n"
    assert run("users", "disable", "bob").exit_code == 0
    assert "disabled" in run("users", "ls").output
    assert run("users", "enable", "bob").exit_code == 0
    assert run("users", "link", "bob").exit_code == 0


def test_a_users_tokens_are_listed_and_taken_back(access: Access) -> None:
    access.users.add("bob", [Grant(role=Role.VIEWER)], "a test", access.now())
    made, secret = access.tokens.make("bob", "nightly export", None, access.now())
    listed = run("users", "tokens", "bob").output
    assert all(each in listed for each in (made.id, "nightly export", "never", "holds"))
    assert secret not in run("users", "tokens", "bob", "-o", "json").output
    assert run("users", "revoke", made.id).output == f"Token {made.id} is revoked.\n"
    assert access.tokens.find(secret, access.now()) is None
    assert "revoked" in run("users", "tokens", "bob").output
    assert run("users", "revoke", made.id).exit_code == 1


def test_a_key_is_printed_alone_so_that_a_script_can_take_it(access: Access) -> None:
    said = run("users", "key", "checkout", "--streams", "shop,flights", "--for", "90d")
    assert said.exit_code == 0, said.output
    key = said.stdout.strip()
    assert access.tokens.find(key, datetime.now(UTC)) is not None
    assert "users revoke" in said.stderr
    assert access.users.all()[0].grants == (Grant(role=Role.PRODUCER, streams=("shop", "flights")),)


@pytest.mark.parametrize("word", ["boss", "operator@", "@shop", ""])
def test_what_is_no_role_is_named(access: Access, word: str) -> None:
    done = run("users", "add", "bob", word)
    assert (done.exit_code, "is no role" in done.output) == (2, True)
    assert access.users.all() == []


def test_a_user_that_there_is_not_is_named(access: Access) -> None:
    done = run("users", "link", "bob")
    assert (done.exit_code, "there is no user 'bob'" in done.output) == (1, True)


def test_a_first_start_prints_a_link_and_a_later_one_the_plain_address(access: Access, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / LOCAL_TOKEN).write_text("owner")
    settings = Settings(data=tmp_path, api="http://api")
    first = address_to_open(settings)
    assert first.startswith("http://127.0.0.1:8050/sign-in?once=")
    access.links.use(_once(first), "ana", GOOD, access.now())
    assert address_to_open(settings) == "http://127.0.0.1:8050"


def test_who_signs_in_elsewhere_keeps_a_token_until_they_sign_out(access: Access, tmp_path: Path) -> None:
    once = access.links.first(access.now())
    assert once is not None
    access.links.use(once, "ana", GOOD, access.now())
    wrong = run("login", "--url", "http://api/", "--user", "ana", given="wrong wrong wrong\n")
    assert (wrong.exit_code, kept()) == (1, {})
    done = run("login", "--url", "http://api/", "--user", "ana", "--for", "12h", given=f"{GOOD}\n")
    assert done.exit_code == 0, done.output
    assert GOOD not in done.output
    file = tmp_path / "home" / KEPT
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    api, headers = control_plane(None)
    with httpx.Client(base_url=api, headers=headers) as client:
        assert client.get("/api/v1/session").json()["by"] == "token"
    assert run("logout").exit_code == 0
    with httpx.Client(base_url=api, headers=headers) as client:
        assert client.get("/api/v1/session").status_code == 401
    assert kept() == {}
    assert run("logout").exit_code == 2
