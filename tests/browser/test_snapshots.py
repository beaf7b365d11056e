"""Every page as it looks at one made-up moment, for review: `make snapshots` keeps what this test sees in `snapshots/`.

A page without a picture fails. That one is not as it was kept is told and fails nothing: fonts differ between machines.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from dash_app.pages.places import PLACES
from load_tests.bench.browser import opened_console
from load_tests.shown.loads import BEFORE
from load_tests.shown.moment import AT
from load_tests.shown.rooms import QUERY
from load_tests.shown.stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = Path(__file__).parent / "snapshots"
_WITHIN_MS = 20_000
_PHONE = {"width": 390, "height": 844}
_DRAWN = {"width": 1280, "height": 1400}
"""As high as a picture may be: what is not in view is not drawn."""
_BYTES_AT_MOST, _ALL_AT_MOST = 120_000, 4_000_000
_QUALITY = 60
_DIFFERS = 12
"""Of 256, in the brightness of a tile."""
_WRONG_WORDS = re.compile(r"undefined|\bNaN\b|\[object|Invalid Date")
_FLASHES = """() => {
  const seen = (window.backgrounds = new Set());
  const look = () => {
    if (document.body) seen.add(getComputedStyle(document.body).backgroundColor);
    requestAnimationFrame(look);
  };
  look();
}"""
_STANDING = """(at) => {
  Object.defineProperty(performance, "timeOrigin", { get: () => at - performance.now() });
}"""
"""What pages take for the moment is `timeOrigin + now()`; how long things take is only `now()`, and that goes on."""
_LIGHT = "rgb(24"
"""How the colours of pages and cards of the light theme begin: nothing of the dark one is as bright."""
_TILES = """async ([kept, now]) => {
  const tiles = async (webp) => {
    const image = new Image();
    image.src = `data:image/webp;base64,${webp}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 12 });
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, 16, 12);
    const data = context.getImageData(0, 0, 16, 12).data;
    const brightness = (_, at) => (data[4 * at] + data[4 * at + 1] + data[4 * at + 2]) / 3;
    return { size: [image.width, image.height], of: Array.from({ length: 192 }, brightness) };
  };
  const [one, other] = [await tiles(kept), await tiles(now)];
  return { kept: one.size, now: other.size, most: Math.max(...one.of.map((each, at) => Math.abs(each - other.of[at]))) };
}"""


@dataclass(frozen=True)
class Picture:
    """One page, and what it says once it is drawn."""

    name: str
    path: str
    """With the ids of operations by kind, such as {trial}."""
    says: tuple[str, ...]
    """In its `body`."""
    has: str = "main"
    """A selector that is there then, such as that of a chart."""
    press: str = ""
    """What is clicked before."""
    on_phone: bool = False
    is_wall: bool = False
    """The wall board: a page of its own, which is loaded anew for each theme."""


_CHART = ".main-svg .trace"
PICTURES = (
    Picture("overview", "/", ("20,160 events are on their way", "feed-shop"), on_phone=True),
    Picture("live", "/live/shop", ("Traffic by kind of event", "28.8"), '[data-rollup="live/shop/sales"] ' + _CHART, on_phone=True),
    Picture(
        "wall", "/live", ("3 problems", "events a second", "Flights out of New York"), '[data-stream="shop"] canvas',
        on_phone=True, is_wall=True,
    ),
    Picture("lag", "/lag/lake%20shop", ("Likeliest small files", "412 of 640", "billing", "Partitions"), _CHART, on_phone=True),
    Picture(
        "latency", "/latency/shop?hop=painted",
        ("since its event time", "it is on a screen", "burns fast", "measured by"), _CHART, on_phone=True,
    ),
    Picture("spark", "/spark", ("findTouchedFiles", "took 13"), _CHART),
    Picture("scaling", "/scaling", ("2 of 4 are not there yet", "autoscaler on"), _CHART),
    Picture("alerts", "/alerts", ("windows until 14:10 sales halted", "A part is not running"), on_phone=True),
    Picture("ledger", "/ledger", ("in flight", "All 1,664,386 events add up"), on_phone=True),
    Picture("quality", "/quality", ("revenue is broken", "amount_plausible"), _CHART),
    Picture(
        "quarantine",
        "/quarantine/shop?hop=quarantine&reason=rule_broken&rules=quantity_in_range&record=quarantine:1:4001",
        ("quantity_in_range", "Decoded by its writer's schema"),
        ".grid:not(:has(.ag-delay-render), .ag-delay-render *) .ag-row",
    ),
    Picture("schemas", "/schemas", ("Version 2", "checkout-2")),
    Picture("lake", "/lake", ("entity_visitor", "640", "144 small files")),
    Picture("lake-diff", "/lake/shop?table=events&version=5&with=4&show=diff", ("from version 4 to 5", "40 changed")),
    Picture("sql", f"/sql?q={QUERY.replace(' ', '+')}", ("Oceania", "184220.5"), press="main button:has-text('Run')"),
    Picture("backfills", "/backfills", ("lake of shop is 42 s behind", "nightly")),
    Picture("trial", "/trials/{trial}", ("4 things differ", "Cost")),
    Picture("operations", "/operations", ("6 of 18", "Rollback", "Trial")),
    Picture("rollback", "/operations/{rollback}", ("32 later versions are taken back", "to confirm"), on_phone=True),
    Picture(
        "load", f"/load?compare={BEFORE},{{load_test}}&run={{load_test}}", ("2,000/s", "more than noise"),
        '[data-load-chart="compared"] path',
    ),
    Picture("audit", "/audit", ("holds", "needs the role approver of shop")),
)  # fmt: skip


def test_every_page_has_a_picture() -> None:
    shown = {f"/{re.split('[/?]', each.path)[1]}" for each in PICTURES}
    assert {place.path for place in PLACES} - shown == set(), "add a row to PICTURES, and run `make snapshots`"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as one:
        yield one


@dataclass(frozen=True)
class Look:
    """A page that is open on the stage, whose clock stands still."""

    stage: Stage
    page: Any
    beside: Any
    """A page of nobody's, to compare pictures in."""
    complaints: list[str] = field(default_factory=list)
    """Errors of scripts, and answers of 500 and more."""

    def goes(self, picture: Picture, theme: str) -> None:
        """The console is loaded once, and gone through after that."""
        self.page.emulate_media(color_scheme=theme)
        self.page.set_viewport_size(_DRAWN)
        path = picture.path.format(**{kind.value: each for kind, each in self.stage.operations.items()})
        is_console = self.page.evaluate("Boolean(window.tidegate && window.tidegate.address)")
        if is_console and not picture.is_wall:
            self.page.evaluate("path => window.tidegate.address.go(path)", path)
        else:
            self.page.goto(self.stage.address + path)

    def is_drawn(self, picture: Picture) -> None:
        """Wait until it is."""
        for text in picture.says:
            expect(self.page.locator("body")).to_contain_text(text, timeout=_WITHIN_MS)
        self.page.wait_for_selector(picture.has, state="attached", timeout=_WITHIN_MS)


@pytest.fixture(scope="module")
def look(stage: Stage) -> Iterator[Look]:
    with opened_console("about:blank", stage.cookie) as page:
        one = Look(stage, page, page.context.new_page())
        page.on("pageerror", lambda error: one.complaints.append(str(error)))
        page.on("response", lambda answer: one.complaints.append(answer.url) if answer.status >= 500 else None)
        page.add_init_script(f"({_FLASHES})()")
        page.clock.set_fixed_time(AT)
        page.add_init_script(f"({_STANDING})({AT.timestamp() * 1000})")
        yield one


@pytest.mark.parametrize("path", ["/", "/live"])
def test_the_dark_theme_is_there_from_the_first_frame_on(path: str, look: Look) -> None:
    look.page.emulate_media(color_scheme="dark")
    look.page.goto(look.stage.address + path)
    expect(look.page.locator("body")).to_contain_text("problems", timeout=_WITHIN_MS)
    seen = look.page.evaluate("[...window.backgrounds]")
    assert seen
    assert not [each for each in seen if each.startswith(_LIGHT)]


@pytest.mark.parametrize("picture", PICTURES, ids=[each.name for each in PICTURES])
def test_a_page_looks_as_it_should_in_both_themes_and_on_a_phone(
    picture: Picture, look: Look, looked_at: Any, pytestconfig: pytest.Config
) -> None:
    page = look.page
    look.complaints.clear()
    for theme in ("dark", "light"):
        if theme == "dark" or picture.is_wall:
            look.goes(picture, theme)
        page.emulate_media(color_scheme=theme)
        if picture.press and theme == "dark":
            page.click(picture.press, timeout=_WITHIN_MS)
            page.mouse.move(_DRAWN["width"] - 1, _DRAWN["height"] - 1)
        look.is_drawn(picture)
        if theme == "light" or keeps(pytestconfig):
            keep_or_compare(f"{picture.name}-{theme}", look, pytestconfig)
    looked_at(page, picture.name)
    page.set_viewport_size(_PHONE)
    if picture.on_phone:
        keep_or_compare(f"{picture.name}-phone", look, pytestconfig)
    wrong = _WRONG_WORDS.search(page.inner_text("body"))
    assert wrong is None, page.inner_text("body")[max(0, wrong.start() - 60) :][:160]
    assert look.complaints == []


def taken(page: Any) -> bytes:
    """What is seen, down to where the page ends, as WebP."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    size = page.viewport_size
    ends = page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)")
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], max(ends, 720)), "scale": 1}
    session = page.context.new_cdp_session(page)
    found = session.send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY, "clip": clip})
    session.detach()
    return base64.b64decode(found["data"])


def keep_or_compare(name: str, look: Look, config: pytest.Config) -> None:
    """Keep the picture where that is asked for; else say how it differs from the one that was kept."""
    file, now = KEPT / f"{name}.webp", taken(look.page)
    assert len(now) < _BYTES_AT_MOST, f"{name} has {len(now):,} bytes"
    if keeps(config):
        file.write_bytes(now)
        return
    assert file.exists(), f"there is no {file.name}: run `make snapshots`"
    found = look.beside.evaluate(_TILES, [base64.b64encode(each).decode() for each in (file.read_bytes(), now)])
    if found["kept"] != found["now"] or found["most"] > _DIFFERS:
        said = f"{file.name} is not as kept: {found['kept']} is {found['now']} now, a tile differs by {found['most']:.0f} of 256"
        config.get_terminal_writer().line(f"\n{said}")


def keeps(config: pytest.Config) -> bool:
    """Is this `make snapshots`?"""
    return bool(config.getoption("--keep-snapshots", default=False))


def test_the_index_names_every_picture_and_no_other(pytestconfig: pytest.Config) -> None:
    names = [f"{each.name}-{way}.webp" for each in PICTURES for way in ("light", "dark", *(("phone",) * each.on_phone))]
    if keeps(pytestconfig):
        (KEPT / "README.md").write_text(index())
        for file in {*KEPT.glob("*.webp")} - {KEPT / name for name in names}:
            file.unlink()
    assert sorted(file.name for file in KEPT.glob("*.webp")) == sorted(names)
    assert (KEPT / "README.md").read_text() == index()
    assert sum(file.stat().st_size for file in KEPT.glob("*.webp")) < _ALL_AT_MOST


def index() -> str:
    """A table of pictures."""
    lines = [
        "# The console, page by page",
        "",
        "Made by `make snapshots` from one made-up moment (`load_tests/shown`): shop's lake falls behind, a gate has halted, a",
        "backfill runs, a rollback waits for its confirmation. `tests/browser/test_snapshots.py` says when a page looks otherwise.",
        "",
        "| page | light | dark | phone |",
        "|---|---|---|---|",
    ]
    for each in PICTURES:
        ways = [f"![{each.name}, {way}]({each.name}-{way}.webp)" for way in ("light", "dark")]
        phone = f"![{each.name}, phone]({each.name}-phone.webp)" if each.on_phone else ""
        lines.append(f"| {each.name} | {' | '.join(ways)} | {phone} |")
    return "\n".join([*lines, ""])
