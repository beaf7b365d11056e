"""Which pages are there? A row a page: navigation, keys, palette, titles, metrics and addresses all come from here.

A new page is a function in a file of its own and a row below. Its address may name one thing of it (`/lake/shop`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from controlplane.contract.access import Action
from dash_app.pages.alerts import alerts_page
from dash_app.pages.audit import audit_page
from dash_app.pages.backfills import backfills_page
from dash_app.pages.elements import message
from dash_app.pages.lag import lag_page
from dash_app.pages.lake import lake_page
from dash_app.pages.latency import latency_page
from dash_app.pages.ledger import ledger_page
from dash_app.pages.live import live_page
from dash_app.pages.load import load_page
from dash_app.pages.operations import operation_page, operations_page
from dash_app.pages.overview import overview_page
from dash_app.pages.quality import quality_page
from dash_app.pages.quarantine import quarantine_page
from dash_app.pages.scaling import scaling_page
from dash_app.pages.schemas import schemas_page
from dash_app.pages.spark import spark_page
from dash_app.pages.sql import sql_page
from dash_app.pages.trials import trial_page, trials_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

    Streams = Mapping[str, StreamDefinition]
    Show = Callable[[Streams, str | None], Component]

WATCH, DATA, WORK, RECORD = "Watch", "Data", "Work", "Record"


@dataclass(frozen=True)
class Place:
    """A page of the console."""

    path: str
    """Where it is; what its address may name comes behind it."""
    name: str
    key: str
    """`g` and this letter lead there."""
    group: str
    show: Show
    """Makes it of the streams and of what its address names."""
    word: str = ""
    """What the letter is of, where the name does not tell."""
    names: str = ""
    """What its address may name: a `stream`, `one` of its things; empty: nothing."""
    needs: Action = Action.READ
    must_name: bool = False
    """There is no page of all of them."""
    range: str = ""
    """It shows history, and so obeys the time range: with which it begins. Empty: it shows none."""
    counts: str = ""
    """Of what the navigation shows a number beside it."""


PLACES = (
    Place("/", "Overview", "o", WATCH, lambda streams, _: overview_page(streams)),
    Place(
        "/live", "Live", "l", WATCH, lambda streams, name: live_page(streams, name or next(iter(streams), "")),
        names="stream", must_name=True,
    ),
    Place("/lag", "Lag", "d", WATCH, lambda *_: lag_page(), word="delay", names="one", range="1h"),
    Place("/latency", "Latency", "m", WATCH, latency_page, word="milliseconds", names="one", range="1h"),
    Place("/spark", "Spark", "p", WATCH, spark_page, names="one", range="1h"),
    Place("/scaling", "Scaling", "c", WATCH, lambda *_: scaling_page(), word="capacity", range="1h"),
    Place("/alerts", "Alerts", "a", WATCH, lambda _, name: alerts_page(name), names="one", counts="alerts"),
    Place("/ledger", "Ledger", "b", DATA, ledger_page, word="the books", names="stream", range="6h"),
    Place("/quality", "Quality", "u", DATA, quality_page, names="stream", range="6h"),
    Place("/quarantine", "Quarantine", "q", DATA, quarantine_page, names="stream", range="all"),
    Place("/schemas", "Schemas", "s", DATA, schemas_page, names="stream"),
    Place("/lake", "Lake", "k", DATA, lake_page, names="stream"),
    Place("/sql", "SQL", "e", DATA, lambda *_: sql_page(), word="enquire", needs=Action.QUERY),
    Place("/backfills", "Backfills", "f", WORK, backfills_page, names="stream"),
    Place(
        "/trials", "Trials", "x", WORK, lambda streams, name: trials_page(streams) if name is None else trial_page(name),
        word="experiments", names="one",
    ),
    Place("/load", "Load tests", "n", WORK, lambda streams, _: load_page(streams), word="numbers"),
    Place(
        "/operations", "Operations", "w", WORK,
        lambda _, name: operations_page() if name is None else operation_page(name),
        word="work", names="one", counts="operations",
    ),
    Place(
        "/audit", "Audit", "r", RECORD, lambda *_: audit_page(),
        word="the record", needs=Action.AUDIT, range="all",
    ),
)  # fmt: skip
GROUPS = tuple(dict.fromkeys(place.group for place in PLACES))


def place_at(path: str) -> tuple[Place | None, str | None]:
    """Which page is at an address, and what the address names of it."""
    first, _, rest = path.strip("/").partition("/")
    place = next((each for each in PLACES if each.path == f"/{first}"), None)
    if place is None or (rest and not place.names):
        return None, None
    return place, unquote(rest.split("/")[0]) or None


def page_at(streams: Streams, path: str) -> Component:
    """The page at an address."""
    place, named = place_at(path)
    if place is None:
        return message("No such page", f"{path} is not a page of the console.")
    return place.show(streams, named)


def label(path: str) -> str:
    """A page's name in the metrics: anybody may ask for any address, and there must not be a series for each."""
    place, _ = place_at(path)
    return "other" if place is None else place.path.strip("/") or "overview"


def told() -> list[dict[str, Any]]:
    """What the browser knows of the pages."""
    return [
        {
            "path": each.path,
            "name": each.name,
            "key": each.key,
            "word": each.word,
            "names": each.names,
            "needs": each.needs.value,
            "mustName": each.must_name,
            "range": each.range,
        }
        for each in PLACES
    ]
