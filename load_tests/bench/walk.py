"""Does somebody on call who has read nothing find the way? A platform with two things wrong, walked through in Chromium.

A shop's release sends quantities of 0, which are quarantined, and a wrong rule goes live in the lake's gate, which halts: the lake
falls behind. The walk begins at the console's address and takes only what is on screen, by its words; each click is counted, and
each text that has to be typed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlplane.contract.folders import SUITE_FILE, load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench.beating import beating
from load_tests.bench.browser import opened_console
from load_tests.bench.signed import session_of
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

STREAM, RULE, WRONG_RULE = "shop", "quantity_in_range", "page_load_usual"
FIX = "set quantity 1"
_USUAL_MS, _WRONG_MS = 10_000, 30
"""What a page may take on average, by the rule that is right and by the one that is not."""
_HALTS = "gates:\n  lake:\n    policy: halt\n"
_FEEDS = {"shop": ("--rate", "200", "--faults", "0.004"), "flights": ()}
_BROKEN = 600
_SCREEN = {"width": 1280, "height": 720}
_WELL_WITHIN_MS, _WRONG_WITHIN_MS, _DONE_WITHIN_MS = 240_000, 180_000, 240_000
_SEEN_WITHIN_MS = 60_000


@dataclass
class Step:
    """What was wanted, and what it took."""

    wanted: str
    found: str = ""
    """What the page said."""
    clicks: int = 0
    typed: int = 0
    seconds: float = 0.0


class Walk:
    """Somebody at a page of the console, who clicks and types; a step is a question that is answered, or a thing that is done."""

    def __init__(self, page: Page, pictures: Path | None) -> None:
        self.page, self.steps = page, list[Step]()
        self._pictures = pictures

    @contextmanager
    def step(self, wanted: str) -> Iterator[Step]:
        """The next one."""
        one, began = Step(wanted), time.monotonic()
        self.steps.append(one)
        yield one
        one.seconds = round(time.monotonic() - began, 1)
        if self._pictures is not None:
            self.page.screenshot(path=str(self._pictures / f"walk-{len(self.steps)}.png"))

    def click(self, what: Locator) -> None:
        """Click it once it can be."""
        what.click(timeout=_SEEN_WITHIN_MS)
        self.steps[-1].clicks += 1

    def write(self, where: Locator, text: str) -> None:
        """Type a text."""
        where.fill(text, timeout=_SEEN_WITHIN_MS)
        self.steps[-1].typed += 1

    def reads(self, where: Locator, text: str, within_ms: float = _SEEN_WITHIN_MS) -> str:
        """Wait until a part of the page says so; all that it says.

        Raises:
            TimeoutError: Playwright's, if it does not in time.
        """
        found = where.filter(has_text=text).first
        found.wait_for(timeout=within_ms)
        return " ".join(found.inner_text().split())

    def goes(self, page: str) -> None:
        """By the navigation."""
        self.click(self.page.locator(f'.nav a[href="{page}"]'))


def measure(told: Callable[[str], None], pictures: Path | None = None) -> dict[str, Any]:
    """What each step took.

    Args:
        told: takes progress.
        pictures: folder for what was seen at the end of each step.

    Returns:
        steps (`wanted`, `found`, `clicks`, `typed`, `seconds`), clicks, typed and seconds in all.
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-walk-") as folder:
        data = Path(folder)
        shop = data / "streams" / STREAM
        shutil.copytree(SHIPPED_STREAMS / STREAM, shop)
        definition = shop / "stream.yaml"
        definition.write_text(definition.read_text() + _HALTS)
        with Platform(data, feeds=_FEEDS, told=lambda _: None) as platform:
            told("starting the platform")
            platform.start()
            with beating(platform), opened_console(platform.settings.console, session_of(platform.settings)) as page:
                page.set_viewport_size(_SCREEN)
                walk = Walk(page, pictures)
                told("waiting until all is well")
                walk.reads(page.locator("#health"), "All is well", _WELL_WITHIN_MS)
                _break(platform, shop)
                told("a release sends broken events, and a wrong rule is live")
                walk.reads(page.locator("#health"), WRONG_RULE, _WRONG_WITHIN_MS)
                _walk(walk, shop, told)
    steps = walk.steps
    return {
        "steps": [asdict(each) for each in steps],
        "clicks": sum(each.clicks for each in steps),
        "typed": sum(each.typed for each in steps),
        "seconds": round(sum(each.seconds for each in steps), 1),
    }


def _walk(walk: Walk, shop: Path, told: Callable[[str], None]) -> None:
    for each in (_finds_what_lags, _finds_the_cause, _lets_it_go_on, _finds_the_top_reason, _replays, _rolls_back):
        each(walk)
        one = walk.steps[-1]
        told(f"{one.wanted}: {one.clicks} clicks, {one.typed} typed, {one.seconds} s: {one.found}")
        if each is _finds_the_cause:
            _rule(shop, _USUAL_MS, "warning")


def _finds_what_lags(walk: Walk) -> None:
    """Nothing is clicked: it is on top of every page."""
    with walk.step("Which stream lags?") as one:
        one.found = walk.reads(walk.page.locator("#health li"), STREAM)


def _finds_the_cause(walk: Walk) -> None:
    """What the header says leads to the page that says more."""
    with walk.step("Why?") as one:
        walk.click(walk.page.locator("#health li a").filter(has_text=WRONG_RULE).first)
        one.found = walk.reads(walk.page.locator(".gate-note"), WRONG_RULE)


def _lets_it_go_on(walk: Walk) -> None:
    """Whoever wrote the rule mends it meanwhile; the batch that waits is let through, which is asked twice."""
    with walk.step("Let the lake go on") as one:
        gate = walk.page.locator('[data-gate="lake"]').first
        walk.click(gate.get_by_role("button", name="Let it pass"))
        walk.click(gate.get_by_role("button", name="Yes, let it pass"))
        one.found = walk.reads(walk.page.locator('[data-quality-said="shop"]'), "Ordered")
        gate.locator(".badge:not([data-state=halted])").first.wait_for(timeout=_DONE_WITHIN_MS)


def _finds_the_top_reason(walk: Walk) -> None:
    """The first row is the most frequent one; it leads to its records."""
    with walk.step("What is turned away most?") as one:
        walk.goes("/quarantine")
        first = walk.page.locator(f"#quarantine-{STREAM} [data-group]").first
        one.found = walk.reads(first, RULE)
        walk.click(first.locator(".as-link").first)
        walk.page.locator("#quarantine-replay").wait_for(timeout=_SEEN_WITHIN_MS)
        walk.reads(walk.page.locator(f'[data-quarantine-records="{STREAM}"]'), RULE)


def _replays(walk: Walk) -> None:
    """What is to be changed is typed, then seen before and after, then sent, which is asked twice."""
    with walk.step("Replay it, mended") as one:
        plan = walk.page.locator(f'[data-quarantine-plan="{STREAM}"]')
        walk.write(walk.page.locator(f'[data-quarantine-steps="{STREAM}"]'), FIX)
        walk.click(walk.page.get_by_role("button", name="Plan a replay"))
        walk.reads(plan, "ready")
        send = plan.locator('[data-quarantine-do="run"]')
        walk.click(send)
        walk.reads(plan, "Yes, send")
        walk.click(send)
        one.found = walk.reads(plan, "done", _DONE_WITHIN_MS)


def _rolls_back(walk: Walk) -> None:
    """A version is chosen on the time line; what would go is shown before the stream's name is typed."""
    with walk.step("Roll the shop back to a version") as one:
        walk.goes("/lake")
        walk.click(walk.page.locator(f"#lake-{STREAM}").get_by_role("link", name="Versions"))
        marks = walk.page.locator('.commit[data-table="events"][data-act="append"][data-readable="yes"]')
        marks.first.wait_for(timeout=_SEEN_WITHIN_MS)
        walk.click(marks.nth(-3))
        walk.click(walk.page.locator('[data-lake-do="rollback"]'))
        dialog = walk.page.locator("dialog#operate")
        walk.reads(dialog, "to confirm", _DONE_WITHIN_MS)
        walk.write(dialog.locator("input[name=confirmation]"), STREAM)
        walk.click(dialog.locator('[data-operate-do="confirm"]'))
        badge = dialog.locator(".badge").first
        one.found = walk.reads(badge, "done", _DONE_WITHIN_MS)


def _break(platform: Platform, shop: Path) -> None:
    """The release, and the rule."""
    settings = platform.settings
    with (
        EventProducer(
            load_stream(shop), settings.kafka, settings.registry, transactional_id="tidegate-bench-walk"
        ) as producer,
        producer.transaction() as send,
    ):
        for number in range(_BROKEN):
            send({**event(2, number, 0.0, datetime.now(UTC)).value, "quantity": 0})
    _rule(shop, _WRONG_MS, "critical")


def _rule(shop: Path, at_most_ms: int, severity: str) -> None:
    file = shop / SUITE_FILE
    suite = json.loads(file.read_text())
    rule = next(each for each in suite["lake"]["expectations"] if each["meta"]["name"] == WRONG_RULE)
    rule["kwargs"]["max_value"], rule["severity"] = at_most_ms, severity
    written = file.with_suffix(".new")
    written.write_text(json.dumps(suite, indent=2))
    written.replace(file)
