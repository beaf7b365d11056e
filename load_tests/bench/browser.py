"""A Chromium with the console open, for benchmarks and tests; and what such a test serves and waits for."""

from __future__ import annotations

import shutil
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from playwright.sync_api import sync_playwright

from controlplane.contract.access import SESSION_COOKIE
from controlplane.service.wire import UVICORN, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--metrics-recording-only",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Path of the installed Chromium.

    Raises:
        RuntimeError: saying what to do, if there is none.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise RuntimeError("Chromium is missing: run `make browser` as root, or install the package chromium")
    return found


@contextmanager
def opened_console(address: str, session: str = "") -> Iterator[Any]:
    """A page of the console; the browser and its folder are gone afterwards.

    Args:
        address: the page.
        session: cookie of who is signed in, with its name where that is another; empty: nobody.
    """
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium(), headless=True, args=FLAGS, viewport={"width": 1440, "height": 900}
        )
        try:
            if session:
                name, _, value = session.rpartition("=")
                context.add_cookies(
                    [{"name": name or SESSION_COOKIE, "value": value, "domain": "127.0.0.1", "path": "/"}]
                )
            page = context.new_page()
            page.goto(address)
            yield page
        finally:
            context.close()


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:  # noqa: ANN401 (Dash and FastAPI both have one)
    """An ASGI application at a port of loopback, on a thread of this process."""
    config = uvicorn.Config(
        app, port=port, log_level="warning", timeout_graceful_shutdown=1, ws=Wire, access_log=False, **UVICORN
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def says(page: Page, selector: str, *texts: str, within_ms: int) -> None:
    """Wait until what a selector finds first has all of these texts in it.

    Raises:
        TimeoutError: Playwright's, if it does not in time.
    """
    shown = f"(document.querySelector({selector!r})?.textContent ?? '')"
    wanted = " && ".join(f"{shown}.includes({text!r})" for text in texts)
    page.wait_for_function(wanted, timeout=within_ms)
