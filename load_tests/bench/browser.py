"""A Chromium with the console open, for benchmarks."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def opened_console(address: str) -> Iterator[Any]:
    """A page of the console; the browser and its folder are gone afterwards."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium(), headless=True, args=FLAGS, viewport={"width": 1440, "height": 900}
        )
        try:
            page = context.new_page()
            page.goto(address)
            yield page
        finally:
            context.close()
