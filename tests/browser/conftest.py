"""The console in Chromium, over an API in the test's own process that is told facts over HTTP."""

from __future__ import annotations

import contextlib
import io
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from typer.main import get_command

from controlplane.cli import app
from controlplane.contract.facts import FACTS
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import opened_console, served
from load_tests.bench.signed import Signed, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from controlplane.contract.facts import Fact
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.frames import Query

_WITHIN_MS = 15_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keep-snapshots", action="store_true", help="keep what test_snapshots.py sees as what is compared with"
    )


@dataclass(frozen=True)
class Opened:
    """A console of one stream that is open and connected."""

    page: Any
    address: str
    """Of the console."""
    api: str
    headers: dict[str, str]
    """Of a part."""
    complaints: list[str] = field(default_factory=list)
    """Errors of the page's scripts."""

    def report(self, *facts: Fact) -> None:
        """Tell the API."""
        httpx.post(
            f"{self.api}/api/v1/facts", content=FACTS.dump_json(list(facts)), headers=self.headers
        ).raise_for_status()

    def press(self, key: str, page: str) -> None:
        """Go to a page by `g` and its key."""
        self.page.wait_for_selector(f'.nav a[href="{page}"]', timeout=_WITHIN_MS)
        self.page.keyboard.press("g")
        self.page.keyboard.press(key)


@contextmanager
def _opened(
    shop: StreamDefinition, query: Query, who: Signed, rooms: Mapping[str, str] | None, **parts: Any
) -> Iterator[Opened]:
    api, console = free_port(), free_port()
    address = f"http://127.0.0.1:{console}"
    with (
        served(create_app(ConsoleData({"shop": shop}, api)).server, console),
        served(create_api(Service([shop], query, address, 0.1, **parts), rooms, access=who.access), api),
        opened_console("about:blank", who.cookie) as page,
    ):
        opened = Opened(page, address, f"http://127.0.0.1:{api}", who.headers)
        page.on("pageerror", lambda error: opened.complaints.append(error.stack or str(error)))
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(address)
        page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        yield opened


@pytest.fixture
def who(tmp_path: Path) -> Signed:
    """Who is signed in: an admin."""
    return signed(tmp_path)


@pytest.fixture
def opened(shop: StreamDefinition, who: Signed) -> Callable[..., AbstractContextManager[Opened]]:
    """Opens a console; `query` answers for ClickHouse, `rooms` for prefixes of the API; others are parts of the service."""
    return lambda query, rooms=None, **parts: _opened(shop, query, who, rooms, **parts)


_RULES = {"light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "dark": ["color-contrast"]}
"""The themes differ in their colours only."""
_SCREEN, _PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
_TABS_AT_MOST = 200
_COPIED = "[...document.querySelectorAll('[data-copies]')].flatMap((each) => each.dataset.copies.split('\\n'))"
_TOO_WIDE = """() => {
  const scrolls = (each) => getComputedStyle(each).overflowX !== "visible";
  const isInBox = (each) => Boolean(each.parentElement) && (scrolls(each.parentElement) || isInBox(each.parentElement));
  const right = (each) => Math.round(each.getBoundingClientRect().right);
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const found = [...document.querySelectorAll("main *")].filter((each) => right(each) > innerWidth && !isInBox(each));
  return found.slice(0, 12).map((each) => `${each.tagName} .${each.className} ${right(each)}`);
}"""


@pytest.fixture
def looked_at() -> Callable[[Any, str], None]:
    """Looks at a page as it is now: axe finds nothing in either theme, nothing scrolls sideways, not on a phone either, and each
    command that it offers to be copied is one."""

    def look(page: Any, name: str) -> None:
        before, size = page.evaluate("document.documentElement.dataset.theme"), page.viewport_size
        wrong: list[str] = []
        for theme, rules in _RULES.items():
            page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
            wrong += [f"{theme}: {each}" for each in _broken(page, rules)]
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", before)
        for place, wide in (("screen", _SCREEN), ("phone", _PHONE)):
            page.set_viewport_size(wide)
            wrong += [f"{place}, wider than it: {each}" for each in page.evaluate(_TOO_WIDE)]
        page.set_viewport_size(size)
        wrong += filter(None, map(_no_command, page.evaluate(_COPIED)))
        assert not wrong, "\n".join([f"{name}:", *wrong])

    return look


@pytest.fixture
def by_keyboard() -> Callable[[Any, str], None]:
    """Goes to what a selector finds by Tab alone, from the beginning of the page; the focus is seen there."""

    def go(page: Any, selector: str) -> None:
        page.evaluate("() => { document.activeElement.blur(); getSelection().collapse(document.body, 0); }")
        for _ in range(_TABS_AT_MOST):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                break
        found = page.evaluate(
            "() => [document.activeElement.outerHTML, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert page.evaluate("selector => document.activeElement.matches(selector)", selector), (
            f"Tab ends at {found[0]}"
        )
        assert found[1] != "none", f"no focus is seen on {found[0]}"

    return go


def _broken(page: Any, rules: list[str]) -> list[str]:
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


def _no_command(copied: str) -> str | None:
    """What the command line says of a command that the page offers to be copied, if it does not take it."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            _commands().main(shlex.split(copied)[1:], prog_name="tidegate")
    except SystemExit as ended:
        is_file_only = "does not exist" in said.getvalue()  # One that the reader has to make, such as candidate.avsc.
        return (
            f"not taken by the command line: {copied}: {said.getvalue()}" if ended.code and not is_file_only else None
        )
    return None


@cache
def _commands() -> Any:
    """The command line; what its commands do is left out."""
    whole = get_command(app)
    todo: list[Any] = [whole]
    while todo:
        command = todo.pop()
        command.callback = None
        todo += getattr(command, "commands", {}).values()
    return whole
