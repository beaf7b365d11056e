"""Signing in: by name and password, by a link that works once; at most so often. The same on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from controlplane.contract.access import CSRF_HEADER, SESSION_COOKIE, Grant, Role, authorization, session_cookie
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access import hashes
from controlplane.service.access.access import BY_ADDRESS, BY_NAME, Access, Terms
from controlplane.service.access.hashes import hash_of, is_password, password_hash
from controlplane.service.access.tries import Tries
from controlplane.service.api import create_api
from controlplane.service.audit.port import NotKept
from controlplane.service.database import create_all, engine_of
from controlplane.service.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

CONSOLE = "http://127.0.0.1:8050"
OWNER = authorization("owner")
SESSION, USERS, TOKENS = "/api/v1/session", "/api/v1/users", "/api/v1/tokens"
SHOP = load_stream(SHIPPED_STREAMS / "shop")
GOOD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2036, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


class Kept(NotKept):
    """What was put on the record."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []
        self.all: list[tuple[str, str, str, Any]] = []

    def record(  # noqa: PLR0913 (the port's)
        self,
        actor: str,
        by: str,  # noqa: ARG002 (the same)
        action: str,
        subject: str,
        *,
        outcome: str = "ok",
        details: Any = None,
        **_: Any,  # noqa: ARG002 (the same)
    ) -> None:
        self.entries.append((actor, action, outcome))
        self.all.append((actor, action, subject, details))


class Door:
    def __init__(self, engine: Engine, console: str = CONSOLE) -> None:
        self.clock, self.audit = Clock(), Kept()
        self.access = Access(engine, Terms(console=console), self.clock, "parts", "owner")
        service = Service([SHOP], lambda *_, **__: [], console, 0.05, audit=self.audit)
        self.client = TestClient(create_api(service, access=self.access))

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        self.client.cookies.clear()
        return self.client.post(path, json=body, headers=headers)

    def sign_in(self, name: str = "ana", password: str = GOOD) -> Any:
        return self.post(SESSION, {"name": name, "password": password})

    def admin(self, name: str = "ana") -> None:
        once = self.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
        assert self.post(f"{SESSION}/link", {"once": once, "name": name, "password": GOOD}).status_code == 201


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with parameters that take no time: what they are is tested by itself."""
    hasher = hashes.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(hashes, "_HASHER", hasher)
    hashes._nobodys.cache_clear()


@pytest.fixture
def door(tmp_path: Path) -> Door:
    engine = engine_of(f"sqlite:///{tmp_path / 'a.sqlite'}")
    create_all(engine)
    return Door(engine)


@pytest.fixture
def each(database: Engine) -> Door:
    """On each kind of database."""
    return Door(database)


def test_the_first_link_makes_an_admin_who_is_signed_in_at_once(each: Door) -> None:
    assert each.client.get(f"{SESSION}/ways").json() == {"password": True, "has_users": False, "openid": None}
    once = each.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
    assert each.post(f"{SESSION}/link/look", {"once": once}).json() == {"user": None}
    answer = each.post(f"{SESSION}/link", {"once": once, "name": "ana", "password": GOOD})
    assert (answer.status_code, answer.json()["name"]) == (201, "ana")
    assert answer.json()["may"]["administer"] == ["*"]
    assert each.client.get(SESSION).json()["name"] == "ana"
    assert each.post(f"{USERS}/first-link", headers=OWNER).status_code == 409, "there is a user now"
    assert each.client.get(f"{SESSION}/ways").json()["has_users"] is True


def test_a_link_works_once(each: Door) -> None:
    once = each.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
    used = {"once": once, "name": "ana", "password": GOOD}
    assert each.post(f"{SESSION}/link", used).status_code == 201
    for path, body in ((f"{SESSION}/link", {**used, "name": "eve"}), (f"{SESSION}/link/look", {"once": once})):
        answer = each.post(path, body)
        assert answer.status_code == 403
        assert "works once" in answer.json()["detail"]
    assert [user.name for user in each.access.users.all()] == ["ana"]
    assert ("anonymous", "session.link", "refused") in each.audit.entries


def test_a_link_ends_after_a_day_and_when_a_newer_one_is_made(door: Door) -> None:
    first = door.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
    second = door.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
    assert "a newer one replaces it" in door.post(f"{SESSION}/link/look", {"once": first}).json()["detail"]
    door.clock.at += timedelta(hours=24)
    answer = door.post(f"{SESSION}/link/look", {"once": second})
    assert (answer.status_code, "ended at 2036-01-02" in answer.json()["detail"]) == (403, True)


def test_a_first_link_makes_no_second_admin_when_somebody_else_has_come_first(door: Door) -> None:
    once = door.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
    door.access.users.add("bob", [Grant(role=Role.VIEWER)], "a test", door.clock())
    answer = door.post(f"{SESSION}/link", {"once": once, "name": "eve", "password": GOOD})
    assert (answer.status_code, "an admin already" in answer.json()["detail"]) == (403, True)


def test_an_admins_link_sets_a_password_for_its_user_and_ends_their_sessions(each: Door) -> None:
    each.admin()
    made = each.post(USERS, {"name": "bob", "grants": [{"role": "viewer", "streams": ["shop"]}]}, OWNER).json()
    answer = each.post(f"{SESSION}/link", {"once": made["once"], "name": "eve", "password": GOOD})
    assert answer.json()["name"] == "bob", "whatever name is sent along"
    before = answer.cookies[SESSION_COOKIE]
    once = each.post(f"{USERS}/bob/link", headers=OWNER).json()["once"]
    assert each.post(f"{SESSION}/link", {"once": once, "password": "another long one"}).status_code == 201
    assert each.client.get(SESSION, headers={"Cookie": f"{SESSION_COOKIE}={before}"}).status_code == 401
    assert each.sign_in("bob", GOOD).status_code == 401
    assert each.sign_in("bob", "another long one").status_code == 201


def test_a_short_password_is_refused_and_not_repeated(door: Door) -> None:
    once = door.post(f"{USERS}/first-link", headers=OWNER).json()["once"]
    answer = door.post(f"{SESSION}/link", {"once": once, "name": "ana", "password": "hunter2"})
    assert answer.status_code == 422
    assert "password" in answer.json()["detail"]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("name", ["local:root", "oidc:eve", "a b", "", "-x", "x" * 65, "<b>"])
def test_names_that_would_be_taken_for_another_or_break_a_line_are_refused(door: Door, name: str) -> None:
    assert door.post(USERS, {"name": name, "grants": []}, OWNER).status_code == 422


def test_the_cookie_is_for_no_script_and_no_other_site_and_under_https_for_nothing_else(database: Engine) -> None:
    door = Door(database)
    door.admin()
    said = door.sign_in().headers["set-cookie"]
    assert all(word in said for word in ("HttpOnly", "SameSite=strict", "Path=/", "expires="))
    assert "Secure" not in said
    safe = Door(database, "https://tidegate.example")
    assert "Secure" in safe.sign_in().headers["set-cookie"]


def test_two_platforms_on_one_host_have_a_cookie_each() -> None:
    found = [session_cookie(each) for each in ("http://127.0.0.1:8090", "https://tidegate.example", "http://x")]
    assert found == ["tidegate_session_8090", "tidegate_session_443", "tidegate_session_80"]


def test_nothing_that_lets_one_in_is_kept_as_it_is(each: Door) -> None:
    each.admin()
    cookie = each.sign_in().cookies[SESSION_COOKIE]
    _, secret = each.access.tokens.make("ana", "a test", None, each.clock())
    with each.access.engine.connect() as connection:
        kept = "".join(
            str(connection.execute(text(f"SELECT * FROM access_{name}")).all())  # noqa: S608 (our own names)
            for name in ("users", "sessions", "tokens", "links")
        )
    assert hash_of(cookie) in kept
    assert "$argon2id$" in kept
    assert all(secret not in kept for secret in (cookie, secret, GOOD))


def test_a_wrong_name_and_a_wrong_password_are_answered_alike(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.admin()
    verified: list[str] = []
    real = hashes._HASHER

    class Counting:
        def verify(self, kept: str, given: str) -> bool:
            verified.append(kept[:10])
            return bool(real.verify(kept, given))

        def hash(self, password: str) -> str:
            return str(real.hash(password))

    monkeypatch.setattr(hashes, "_HASHER", Counting())
    wrong, unknown = door.sign_in("ana", "wrong wrong wrong"), door.sign_in("nobody", "wrong wrong wrong")
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert wrong.status_code == 401
    assert verified == ["$argon2id$", "$argon2id$"], "both take as long as a password does"
    assert ("nobody", "session.begin", "refused") in door.audit.entries
    assert "set-cookie" not in wrong.headers


def test_who_is_disabled_or_has_no_password_yet_is_not_signed_in(door: Door) -> None:
    door.admin()
    door.access.users.add("bob", [Grant(role=Role.VIEWER)], "a test", door.clock())
    assert door.sign_in("bob", "").status_code == 401
    door.access.users.disable("ana", is_disabled=True)
    assert door.sign_in().status_code == 401
    assert door.post(f"{USERS}/ana/link", headers=OWNER).status_code == 404


def test_too_many_tries_at_a_name_lock_it_even_for_the_right_password_for_a_while(door: Door) -> None:
    door.admin()
    assert [door.sign_in("ana", "wrong wrong").status_code for _ in range(BY_NAME)] == [401] * BY_NAME
    answer = door.sign_in("ANA")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "300")
    assert "too many tries" in answer.json()["detail"]
    assert door.sign_in("bob", "wrong wrong").status_code == 401, "another name is not locked by that"
    door.clock.at += timedelta(minutes=5)
    assert door.sign_in().status_code == 201


def test_too_many_tries_from_an_address_lock_it_for_every_name_and_for_links(door: Door) -> None:
    for number in range(BY_ADDRESS):
        assert door.sign_in(f"user{number}", "wrong wrong").status_code == 401
    assert door.sign_in("another").status_code == 429
    assert door.post(f"{SESSION}/link/look", {"once": "guessed"}).status_code == 429


def test_signing_in_rightly_does_not_count_as_a_try(door: Door) -> None:
    door.admin()
    assert {door.sign_in().status_code for _ in range(2 * BY_NAME)} == {201}


def test_a_foreign_page_signs_nobody_in(door: Door) -> None:
    door.admin()
    answer = door.post(SESSION, {"name": "ana", "password": GOOD}, {"Origin": "http://evil.example"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_who_signs_out_is_signed_out_on_the_server_too(each: Door) -> None:
    each.admin()
    signed = each.sign_in()
    cookie, csrf = signed.cookies[SESSION_COOKIE], signed.json()["csrf"]
    each.client.cookies.clear()
    kept = {"Cookie": f"{SESSION_COOKIE}={cookie}", CSRF_HEADER: csrf}
    assert each.client.delete(SESSION, headers=kept).status_code == 204
    assert each.client.get(SESSION, headers=kept).status_code == 401
    assert ("ana", "session.end", "ok") in each.audit.entries


def test_a_token_is_shown_once_is_ones_own_and_makes_no_other(door: Door) -> None:
    door.admin()
    csrf = door.sign_in().json()["csrf"]
    made = door.client.post(TOKENS, json={"title": "ci", "for": "1h"}, headers={CSRF_HEADER: csrf}).json()
    [listed] = door.client.get(TOKENS).json()
    assert ("token" in listed, listed["title"], listed["expires_at"][:13]) == (False, "ci", "2036-01-01T01")
    by_token = authorization(made["token"])
    assert door.post(TOKENS, {}, by_token).status_code == 403
    assert door.client.delete(f"{TOKENS}/{made['id']}", headers=by_token).status_code == 204
    assert door.client.get(SESSION, headers=by_token).status_code == 401
    assert door.post(TOKENS, {}, OWNER).status_code == 409, "the owner of the folder is no user"


def test_nobody_takes_back_the_token_of_another_but_an_admin(each: Door) -> None:
    for name in ("bob", "eve"):
        each.access.users.add(name, [Grant(role=Role.APPROVER)], "a test", each.clock())
    made, _ = each.access.tokens.make("bob", "", None, each.clock())
    _, secret = each.access.tokens.make("eve", "", None, each.clock())
    assert each.client.delete(f"{TOKENS}/{made.id}", headers=authorization(secret)).status_code == 404
    assert each.client.delete(f"{TOKENS}/{made.id}", headers=OWNER).status_code == 204


def test_only_the_owner_of_the_folder_opens_a_session_without_a_password(door: Door) -> None:
    door.admin()
    _, secret = door.access.tokens.make("ana", "", None, door.clock())
    assert door.post(f"{SESSION}/local", headers=authorization(secret)).status_code == 403
    assert door.post(f"{SESSION}/local", headers=authorization("parts")).status_code == 403
    answer = door.post(f"{SESSION}/local", headers=OWNER)
    assert (answer.status_code, answer.json()["name"]) == (201, "local:owner")
    door.client.cookies.clear()
    door.client.cookies.set(SESSION_COOKIE, answer.cookies[SESSION_COOKIE])
    assert door.client.get(USERS).status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.APPROVER])
def test_users_are_an_admins_business(door: Door, role: Role) -> None:
    door.access.users.add("bob", [Grant(role=role)], "a test", door.clock())
    _, secret = door.access.tokens.make("bob", "", None, door.clock())
    headers = authorization(secret)
    asked = [door.client.get(USERS, headers=headers)]
    asked += [door.post(path, {"name": "x", "grants": []}, headers) for path in (USERS, f"{USERS}/bob/link")]
    assert [each.status_code for each in asked] == [403, 403, 403]


def test_what_is_done_to_users_is_on_the_record_with_their_name_and_rights_and_no_secret(door: Door) -> None:
    once = door.post(USERS, {"name": "bob", "grants": [{"role": "viewer"}]}, OWNER).json()["once"]
    door.client.put(f"{USERS}/bob/grants", json={"grants": [{"role": "operator"}]}, headers=OWNER)
    door.post(f"{USERS}/bob/disable", headers=OWNER)
    kept = [each for each in door.audit.all if each[1].startswith("user.")]
    found = [(action, actor, subject) for actor, action, subject, _ in kept]
    assert found == [(f"user.{what}", "local:owner", "bob") for what in ("add", "grant", "disable")]
    assert kept[1][3] == {"grants": [{"role": "operator", "streams": ["*"]}]}
    assert once not in str(door.audit.all)


def test_a_user_that_there_is_or_is_not_is_named(door: Door) -> None:
    door.admin()
    again = door.post(USERS, {"name": "ana", "grants": []}, OWNER)
    assert (again.status_code, "'ana' already" in again.json()["detail"]) == (409, True)
    missing = door.post(f"{USERS}/bob/disable", headers=OWNER)
    assert (missing.status_code, "tidegate users ls" in missing.json()["detail"]) == (404, True)


def test_passwords_are_kept_as_argon2id_with_the_parameters_of_rfc_9106(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_HASHER", hashes.PasswordHasher())
    kept = password_hash(GOOD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert is_password(kept, GOOD)
    assert not is_password(kept, "wrong")
    assert not is_password("no hash", GOOD)


def test_tries_are_counted_in_a_while_and_the_oldest_makes_room_first() -> None:
    tries, at = Tries(2, timedelta(minutes=1)), datetime(2036, 1, 1, tzinfo=UTC)
    assert [tries.take("a", at + timedelta(seconds=each)) for each in (0, 30)] == [timedelta(0)] * 2
    assert tries.take("a", at + timedelta(seconds=40)) == timedelta(seconds=20)
    assert tries.take("b", at + timedelta(seconds=40)) == timedelta(0)
    assert tries.take("a", at + timedelta(seconds=60)) == timedelta(0)
    tries.forgive("a")
    assert tries.take("a", at + timedelta(seconds=61)) == timedelta(0)
