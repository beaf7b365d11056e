"""Signing in, in Chromium: the first link, a wrong password, what a role may not do, signing out, and where one was going."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.contract.access import SESSION_COOKIE, Grant, Role
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from dash_app.door.known import AskedSessions
from load_tests.bench.browser import opened_console, says, served
from load_tests.bench.signed import signed

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.access.access import Access

_WITHIN_MS = 15_000
_GOOD = "correct horse battery"


def _says(page: Any, selector: str, *texts: str) -> None:
    says(page, selector, *texts, within_ms=_WITHIN_MS)


def _tells(page: Any, selector: str, text: str) -> None:
    """On the sign-in page, whose policy lets nothing evaluate a string."""
    page.locator(selector, has_text=text).wait_for(timeout=_WITHIN_MS)


def test_the_first_link_makes_an_admin_and_nobody_sees_a_page_without_signing_in(
    shop: StreamDefinition, tmp_path: Path, looked_at: Any
) -> None:
    api, port = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    access = signed(tmp_path, [Grant(role=Role.VIEWER)]).access
    with access.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM access_users")
    once = access.links.first(access.now())
    service = Service([shop], lambda *_, **__: [], address, 0.1)
    console = create_app(ConsoleData({"shop": shop}, api), AskedSessions(f"http://127.0.0.1:{api}"))
    with (
        served(console.server, port),
        served(create_api(service, access=access), api),
        opened_console(f"{address}/scaling?minutes=5") as page,
    ):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        _tells(page, "#door-words", "There is no user yet: `tidegate up` has printed a link")
        looked_at(page, "sign-in")
        page.goto(f"{address}/sign-in?once={once}")
        _makes_the_admin(page, tmp_path)
        page.wait_for_url(f"{address}/", timeout=_WITHIN_MS)
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        _says(page, "#signed-in", "ana", "admin")
        page.goto(f"{address}/sign-in?once={once}")
        _tells(page, "#door-said", "works once")
        assert "once" not in page.url
        _signs_in_again(page, address, access)
        _may_not_operate(page, tmp_path)
        _is_signed_out_by_the_server(page, access)
        assert complaints == []


def _makes_the_admin(page: Any, tmp_path: Path) -> None:
    _tells(page, "#door-words", "makes the first admin")
    page.fill("#door-name", "ana")
    page.fill("#door-password", _GOOD)
    page.fill("#door-again", "something else")
    page.click("#door-go")
    _tells(page, "#door-said", "The two passwords differ")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=str(tmp_path / "sign-in-first.png"))
    page.fill("#door-again", _GOOD)
    page.click("#door-go")


def _signs_in_again(page: Any, address: str, access: Access) -> None:
    page.goto(f"{address}/")
    page.click("#person-open")
    page.click("[data-session-end]")
    page.wait_for_url(f"{address}/sign-in*", timeout=_WITHIN_MS)
    access.users.grant("ana", [Grant(role=Role.VIEWER)])
    page.goto(f"{address}/scaling?minutes=5")
    page.wait_for_url(f"{address}/sign-in?next=*", timeout=_WITHIN_MS)
    page.fill("#door-name", "ana")
    page.fill("#door-password", "wrong wrong wrong")
    page.click("#door-go")
    _tells(page, "#door-said", "The name or the password is wrong")
    page.fill("#door-password", _GOOD)
    page.click("#door-go")
    page.wait_for_url(f"{address}/scaling?minutes=5", timeout=_WITHIN_MS)


def _may_not_operate(page: Any, tmp_path: Path) -> None:
    _says(page, "#signed-in", "ana", "viewer")
    page.wait_for_selector("[data-scaling-ask='plan'].is-denied", timeout=_WITHIN_MS, state="attached")
    denied = page.query_selector("[data-scaling-ask='on']")
    assert denied.get_attribute("aria-disabled") == "true"
    assert denied.get_attribute("title") == "ana (viewer) may not approve for the platform as a whole"
    page.wait_for_selector('.nav a[href="/audit"].is-denied', timeout=_WITHIN_MS, state="attached")
    page.screenshot(path=str(tmp_path / "viewer.png"))


def _is_signed_out_by_the_server(page: Any, access: Access) -> None:
    access.sessions.end_of("ana")
    page.context.add_cookies([{"name": SESSION_COOKIE, "value": "forged", "domain": "127.0.0.1", "path": "/"}])
    page.wait_for_url("**/sign-in?next=%2Fscaling%3Fminutes%3D5", timeout=_WITHIN_MS)
