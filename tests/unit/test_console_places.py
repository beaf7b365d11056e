"""Pages are rows: what is made of them agrees."""

from __future__ import annotations

import json

import pytest
from plotly.utils import PlotlyJSONEncoder

from controlplane.contract.folders import load_streams
from controlplane.contract.settings import SHIPPED_STREAMS
from dash_app.pages.frame import navigation
from dash_app.pages.places import PLACES, Place, label, page_at, place_at

STREAMS = {stream.name: stream for stream in load_streams([SHIPPED_STREAMS])}


def test_every_page_has_an_address_and_a_key_of_its_own() -> None:
    assert len({place.path for place in PLACES}) == len({place.key for place in PLACES}) == len(PLACES)
    assert all(len(place.key) == 1 and place.key not in "gt?/" for place in PLACES)


def test_every_page_is_in_the_navigation_with_its_key() -> None:
    shown = json.dumps(navigation(STREAMS), cls=PlotlyJSONEncoder)
    assert all(f'"g {place.key}"' in shown and f'"{place.path}' in shown for place in PLACES)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_page_is_made_at_its_address_whatever_it_names(place: Place) -> None:
    path = place.path
    assert place_at(path) == (place, None)
    for address in (path, f"{path}/shop", f"{path}/no%20body"):
        assert page_at(STREAMS, address)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "overview"),
        ("/lake/shop", "lake"),
        ("/nothing", "other"),
        ("/sql/x", "other"),
        ("/lag/lake%20shop", "lag"),
    ],
)
def test_the_metrics_know_a_page_by_its_name_and_no_other_address(path: str, said: str) -> None:
    assert label(path) == said


def test_what_an_address_names_is_decoded() -> None:
    assert place_at("/lag/lake%20shop")[1] == "lake shop"
