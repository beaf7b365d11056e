"""Every page of the console while nothing is known, while nothing is answered, and while it is refused: it says so, in words."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from dash_app.pages.places import PLACES
from load_tests.bench.browser import says

_WITHIN_MS = 15_000
_says = partial(says, within_ms=_WITHIN_MS)
_UNSAID = ("undefined", "NaN", "[object", "Invalid Date", "null")
_ASKS = (
    "/alerts",
    "/quality",
    "/quarantine",
    "/schemas",
    "/sql",
    "/audit",
    "/backfills",
    "/lake/shop",
    "/alerts/no-such",
)
"""Pages that ask for what they show, instead of being told it."""
# Eight seconds of patience can be half a second; sockets can be cut off, and stay cut off.
_HURRIED = """
  const patience = AbortSignal.timeout.bind(AbortSignal);
  AbortSignal.timeout = (ms) => patience(window.isHurried ? ms / 16 : ms);
  const Socket = window.WebSocket, sockets = [];
  window.WebSocket = class extends Socket {
    constructor(url) { super(window.isCut ? "ws://127.0.0.1:1" : url); sockets.push(this); }
  };
  window.cut = () => { window.isCut = true; for (const each of sockets) each.close(); };
"""
# What is green, or a naked nought, claims to be known.
_CLAIMS = """() => {
  const good = getComputedStyle(document.documentElement).getPropertyValue("--good").trim();
  const probe = document.body.appendChild(document.createElement("i")); probe.style.color = good;
  const green = getComputedStyle(probe).color; probe.remove();
  const claims = (each) => each.checkVisibility() && !each.closest("svg") && each.childElementCount === 0 && each.textContent.trim()
    && (getComputedStyle(each).color === green || /^0($|[ \\u2009\\u00a0/]|\\.0)/.test(each.textContent.trim()));
  return [...document.querySelectorAll("main *")].filter(claims).map((each) => each.textContent.trim());
}"""


def _shown(page: Any) -> str:
    page.wait_for_function("document.querySelector('main').innerText.length > 20", timeout=_WITHIN_MS)
    text: str = page.inner_text("main")
    return text


def _go(page: Any, path: str) -> None:
    page.evaluate("path => window.tidegate.address.go(path)", path)
    page.wait_for_function(f"location.pathname === {path!r}", timeout=_WITHIN_MS)
    page.wait_for_selector("main > [data-topics]", timeout=_WITHIN_MS)


def _claims_nothing(page: Any, path: str) -> None:
    text = _shown(page)
    assert [each for each in _UNSAID if each in text] == [], path
    assert page.evaluate(_CLAIMS) == [], path


@pytest.fixture
def hurried(opened: Any) -> Any:
    with opened(lambda *_, **__: []) as console:
        console.page.add_init_script(_HURRIED)
        console.page.reload()
        console.page.wait_for_function("document.body.dataset.connection === 'live'", timeout=_WITHIN_MS)
        yield console


def test_each_page_without_facts_or_answers_or_connection_says_so_in_words(hurried: Any) -> None:
    page = hurried.page
    for place in PLACES:
        _go(page, place.path)
        _claims_nothing(page, place.path)
        assert page.evaluate("!window.dash_ag_grid"), (
            "the scripts of long lists are loaded when one has something to show"
        )
    page.evaluate("window.isHurried = true")
    page.route("**/api/v1/**", lambda _: None)
    for path in _ASKS:
        _go(page, path)
        _says(page, "#unanswered", "The control plane does not answer. Since ", "tidegate status", "Ask again")
        _claims_nothing(page, path)
    page.unroute("**/api/v1/**")
    _go(page, "/")
    _says(page, "#overview-said", "Unknown")
    page.evaluate("window.cut()")
    _says(page, "#banner", "does not answer since", "what you see is of then")
    _says(page, "#overview-said", "Not connected: The control plane does not answer since")
    for place in PLACES:
        _go(page, place.path)
        _claims_nothing(page, place.path)
        assert page.evaluate("document.body.classList.contains('is-stale')"), place.path
    assert hurried.complaints == []


def test_what_is_refused_is_said_with_since_when_why_and_what_to_do(hurried: Any) -> None:
    page = hurried.page
    for status, told, paths in (
        (500, "its log says more", ("/alerts",)),
        (403, "a role that may", ("/audit",)),
        # Who may not read the record is not helped by asking again, so it is not asked for again by itself.
        (503, "may be starting, or held", tuple(each for each in _ASKS[1:-1] if each != "/audit")),
    ):
        _answers_with(hurried, status)
        for path in paths:
            _go(page, path)
            _says(page, "#unanswered", "Broken on purpose. Since ", "UTC. ", told, "Ask again")
            _claims_nothing(page, path)
    page.unroute_all()
    page.click("#unanswered button")
    page.wait_for_selector("#unanswered", state="hidden", timeout=_WITHIN_MS)
    assert hurried.complaints == []


def _answers_with(console: Any, status: int) -> None:
    whose = {"Access-Control-Allow-Origin": console.address, "Access-Control-Allow-Credentials": "true"}
    refusal: dict[str, Any] = {"status": status, "json": {"detail": "broken on purpose"}, "headers": whose}
    console.page.unroute_all()
    console.page.route(
        lambda url: "/api/v1/" in url and not url.endswith("/session"),
        lambda route: route.continue_() if route.request.method == "OPTIONS" else route.fulfill(**refusal),
    )
