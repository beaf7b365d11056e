"""Signing in at a real OpenID provider: oidc-provider, as npm has it, run by node."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from controlplane.contract.access import Grant, Role
from controlplane.contract.settings import Settings
from controlplane.service.access.access import Access, Terms
from controlplane.service.access.claims import rules_of
from controlplane.service.access.openid import OpenId, Provider
from controlplane.service.access.openid_answers import BACK, BEGIN
from controlplane.service.api import create_api
from controlplane.service.database import create_all, engine_of
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from load_tests.bench.browser import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent / "openid"
CONSOLE = "http://127.0.0.1:8050"
_FETCHED_WITHIN_S = 120.0
RULES = "groups=ops:operator@shop;groups=admins:admin"


@pytest.fixture(scope="module")
def program() -> list[str]:
    """What runs the provider; its packages are fetched once, by their lock."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node and npm on this machine: Debian's packages are `nodejs` and `npm`")
    kept = Settings().cache / "openid-provider-8.8.1"
    if not (kept / "node_modules").exists():
        shutil.copytree(HERE, kept, dirs_exist_ok=True)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=kept, capture_output=True, text=True, check=True, timeout=_FETCHED_WITHIN_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(kept / "node_modules", ignore_errors=True)
            pytest.skip(f"npm does not get oidc-provider: {error} {error.stderr}")
    shutil.copy(HERE / "provider.mjs", kept)
    return [node, str(kept / "provider.mjs")]


class Door:
    """A control plane that knows a provider, and a browser."""

    def __init__(self, folder: Path, api: int, provider: int) -> None:
        engine = engine_of(f"sqlite:///{folder / 'a.sqlite'}")
        create_all(engine)
        self.api, self.issuer = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{provider}"
        asked = Provider(self.issuer, "tidegate", "a secret of a test", rules_of(RULES), f"{self.api}{BACK}")
        self.openid = OpenId(asked, lambda: datetime.now(UTC))
        terms = Terms(console=CONSOLE)
        self.access = Access(engine, terms, lambda: datetime.now(UTC), "parts", "owner", self.openid)
        service = Service([], lambda *_, **__: [], CONSOLE, 0.05)
        self.app = create_api(service, access=self.access)

    def browser(self) -> httpx.Client:
        return httpx.Client(timeout=10)

    def to_provider(self, browser: httpx.Client, wanted: str = "/lag") -> str:
        """Where one is sent."""
        answer = browser.get(f"{self.api}{BEGIN}", params={"next": wanted})
        assert answer.status_code == 303
        return answer.headers["location"]

    def through(self, browser: httpx.Client, name: str, wanted: str = "/lag") -> str:
        """Signs in there by a name; where one is sent back to."""
        where = self.to_provider(browser, wanted)
        for _ in range(12):
            if where.startswith(self.api):
                return where
            answer = browser.get(where)
            if answer.status_code == 200:
                prompt = re.findall(r'name="prompt" value="(\w+)"', answer.text)[0]
                action = re.findall(r'action="([^"]+)"', answer.text)[0]
                said = {"prompt": prompt, **({"login": name, "password": "x"} if prompt == "login" else {})}
                answer = browser.post(httpx.URL(where).join(action), data=said)
            where = str(httpx.URL(where).join(answer.headers["location"]))
        raise AssertionError(f"the provider leads nowhere: {where}")

    def came(self, browser: httpx.Client, name: str, wanted: str = "/lag") -> tuple[str, str | None]:
        """The sign-in page that one ends at, and who one is there."""
        answer = browser.get(self.through(browser, name, wanted))
        return answer.headers["location"], self.who(browser)

    def who(self, browser: httpx.Client) -> str | None:
        said = browser.get(f"{self.api}/api/v1/session")
        return said.json()["name"] if said.is_success else None


@pytest.fixture(scope="module")
def door(
    program: list[str], tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]
) -> Iterator[Door]:
    folder, provider, api = tmp_path_factory.mktemp("openid"), free_port(), free_port()
    found = Door(folder, api, provider)
    with (folder / "log").open("w") as log:
        command = [*program, str(provider), f"{found.api}{BACK}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            config = f"{found.issuer}/.well-known/openid-configuration"
            eventually(lambda: _answers(config), f"the provider answers; see {folder / 'log'}")
            with served(found.app, api):
                eventually(lambda: _answers(f"{found.api}/healthz"), "the control plane answers")
                yield found
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def test_who_the_provider_knows_is_signed_in_with_the_role_of_their_group(door: Door) -> None:
    with door.browser() as browser:
        assert door.came(browser, "ana+ops", "/lag?minutes=5") == (
            f"{CONSOLE}/sign-in?next=%2Flag%3Fminutes%3D5",
            "oidc:ana",
        )
        found = door.access.users.find("oidc:ana")
    assert found is not None
    assert (found.grants, found.is_external) == ((Grant(role=Role.OPERATOR, streams=("shop",)),), True)
    assert door.access.users.by_password("oidc:ana", "", datetime.now(UTC)) is None


def test_the_request_carries_state_nonce_and_a_challenge_whose_verifier_never_leaves(door: Door) -> None:
    with door.browser() as browser:
        asked = parse_qs(urlsplit(door.to_provider(browser)).query)
        cookie = next(each for each in browser.cookies.jar if each.name == "tidegate_openid")
    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert asked["state"] == [cookie.value]
    assert cookie.has_nonstandard_attr("HttpOnly")
    pending = door.openid._pending[asked["state"][0]]
    assert asked["nonce"] == [pending.nonce]
    assert pending.verifier not in str(asked)


def test_who_has_no_group_of_the_rules_is_not_signed_in_and_is_told_so(door: Door) -> None:
    with door.browser() as browser:
        assert door.came(browser, "eve") == (f"{CONSOLE}/sign-in?why=no-role&next=%2F", None)
    assert door.access.users.find("oidc:eve") is None


def test_rights_are_those_of_today_and_who_is_disabled_here_stays_out(door: Door) -> None:
    with door.browser() as browser:
        door.came(browser, "bob+admins")
        assert browser.get(f"{door.api}/api/v1/users").status_code == 200
    door.access.users.disable("oidc:bob", is_disabled=True)
    with door.browser() as browser:
        assert door.came(browser, "bob+admins") == (f"{CONSOLE}/sign-in?why=refused&next=%2F", None)


def test_an_answer_that_another_browser_was_to_bring_is_refused_and_a_code_works_once(door: Door) -> None:
    with door.browser() as theirs, door.browser() as ours:
        where = door.through(theirs, "ana+ops")
        door.to_provider(ours)
        assert "why=refused" in ours.get(where).headers["location"]
        assert door.who(ours) is None
        assert "why=refused" in theirs.get(where).headers["location"], "the state was used up by the attempt"
        good = door.through(theirs, "ana+ops")
        assert "why=" not in theirs.get(good).headers["location"]
        theirs.cookies.delete("tidegate_session")
        assert "why=refused" in theirs.get(good).headers["location"]
        assert door.who(theirs) is None


@pytest.mark.parametrize("broken", ["nonce", "verifier"])
def test_an_answer_to_another_sign_in_is_refused(door: Door, broken: str) -> None:
    with door.browser() as browser:
        where = door.through(browser, "ana+ops")
        state = parse_qs(urlsplit(where).query)["state"][0]
        door.openid._pending[state] = replace(door.openid._pending[state], **{broken: "x" * 43})
        assert "why=refused" in browser.get(where).headers["location"]
        assert door.who(browser) is None


def test_what_the_provider_refuses_is_said_and_a_foreign_place_is_not_gone_to(door: Door) -> None:
    with door.browser() as browser:
        refused = browser.get(f"{door.api}{BACK}", params={"error": "access_denied", "state": "x"})
        assert refused.headers["location"] == f"{CONSOLE}/sign-in?why=refused&next=%2F"
        location, _ = door.came(browser, "ana+ops", "//evil.example/")
        assert location == f"{CONSOLE}/sign-in?next=%2F"
