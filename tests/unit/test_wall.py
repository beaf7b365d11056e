"""The wall board is built from its sources, knows the frames as they are, and is served to who is signed in and to nobody else."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from controlplane.contract import alerts, facts, gates, lag, latency, names, operations, push, verdicts
from controlplane.contract.folders import load_streams
from controlplane.contract.settings import SHIPPED_STREAMS
from dash_app.app import create_app
from dash_app.board_sources import SOURCES, STAMP, fingerprint
from dash_app.data import ConsoleData

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES = (alerts, facts, gates, lag, latency, names, operations, push, verdicts)
_FRAMES = (SOURCES / "src" / "frames.ts").read_text()
_INTERFACES = {
    name: dict(re.findall(r"^  (\w+): (.+);$", body, re.MULTILINE))
    for name, body in re.findall(r"export interface (\w+) \{\n(.*?)\n\}", _FRAMES, re.DOTALL)
}
_NAMES = {name: set(re.findall(r'"(\w+)"', words)) for name, words in re.findall(r"export type (\w+) =(.+);", _FRAMES)}
_DATA = ConsoleData({stream.name: stream for stream in load_streams([SHIPPED_STREAMS])}, 8090)


def _of_the_contract(name: str) -> Any:
    return next(getattr(module, name) for module in _MODULES if hasattr(module, name))


def test_what_is_committed_was_built_from_the_sources_that_are() -> None:
    assert STAMP.read_text().strip() == fingerprint(), (
        "dash_app/board has changed: run `make board` and commit what it builds"
    )


@pytest.mark.parametrize("name", _INTERFACES)
def test_a_field_that_the_board_uses_is_one_of_the_frame(name: str) -> None:
    properties = _of_the_contract(name).model_json_schema(mode="serialization")["properties"]
    for field, written in _INTERFACES[name].items():
        assert field in properties, f"{name}.{field}"
        may_be_null = {"type": "null"} in properties[field].get("anyOf", [])
        assert written.endswith("| null") == may_be_null, f"{name}.{field} is {written}"


@pytest.mark.parametrize("name", _NAMES)
def test_a_word_that_the_board_knows_is_one_of_the_contract_and_it_knows_all(name: str) -> None:
    words = _of_the_contract(name)
    assert issubclass(words, StrEnum)
    assert _NAMES[name] == {each.value for each in words}


@pytest.fixture(scope="module")
def console() -> Iterator[TestClient]:
    with TestClient(create_app(_DATA).server) as client:
        yield client


def test_the_board_is_at_live_and_a_streams_page_stays_the_consoles(console: TestClient) -> None:
    page = console.get("/live")
    assert page.status_code == 200
    assert 'id="board"' in page.text
    assert "_dash" in console.get("/live/shop").text
    assert "_dash" in console.get("/live/assets").text, "a stream may have any name"


def test_the_page_names_the_streams_what_is_promised_and_where_the_hub_is(console: TestClient) -> None:
    found = re.search(r'data-config="([^"]+)"', console.get("/live").text)
    assert found is not None
    told = json.loads(unescape(found[1]))
    assert told["push_port"] == 8090
    shop = next(each for each in told["streams"] if each["name"] == "shop")
    main = {
        "name": "traffic",
        "title": "Traffic by kind of event",
        "measure": "events",
        "function": "count",
        "unit": "",
    }
    assert shop == {"name": "shop", "title": "Shop", "rollup": main, "freshness_s": 30.0}


def test_the_page_runs_its_own_scripts_only_and_talks_to_the_hub_only(console: TestClient) -> None:
    rules = console.get("/live").headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in rules
    assert "ws://*:8090" in rules
    assert "unsafe" not in rules


def test_its_files_are_kept_for_ever_and_the_page_is_not(console: TestClient) -> None:
    page = console.get("/live")
    files = re.findall(r'(?:src|href)="(/live/assets/[^"]+)"', page.text)
    assert {file.rpartition(".")[2] for file in files} == {"js", "css"}
    for file in files:
        assert "immutable" in console.get(file).headers["Cache-Control"]
    assert page.headers["Cache-Control"] == "no-store"
    assert console.get("/live/assets/nothing.js").status_code == 404


@pytest.mark.parametrize(("said", "theme"), [("dark", "dark"), ("light", "light"), ('"><b>', "system"), ("", "system")])
def test_the_theme_is_in_the_page_before_anything_is_drawn(console: TestClient, said: str, theme: str) -> None:
    assert f'data-theme="{theme}"' in console.get("/live", params={"theme": said}).text


def test_the_version_changes_with_what_is_served_and_not_with_the_theme(console: TestClient) -> None:
    version = console.get("/live/assets/version").text
    assert f'data-version="{version}"' in console.get("/live?theme=dark").text
    fewer = ConsoleData({"shop": _DATA.streams["shop"]}, 8090)
    with TestClient(create_app(fewer).server) as other:
        assert other.get("/live/assets/version").text != version
