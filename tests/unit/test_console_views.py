"""Every number of a page says what it shows, and is unknown until it has come."""

from __future__ import annotations

import json
import re

import pytest
from plotly.utils import PlotlyJSONEncoder

from controlplane.contract.folders import load_streams
from controlplane.contract.names import Hop
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.scaling.kept import TARGETS as SCALED
from controlplane.service.spark import PARTS
from dash_app.data import ConsoleData, push_port
from dash_app.pages.frame import banner, frame
from dash_app.pages.places import page_at

DATA = ConsoleData({stream.name: stream for stream in load_streams([SHIPPED_STREAMS])}, 8090)


def written(path: str) -> str:
    return json.dumps(page_at(DATA.streams, path), cls=PlotlyJSONEncoder)


def test_the_overview_shows_every_hop_of_every_stream() -> None:
    shown = written("/")
    assert all(f"{stream}/{hop}" in shown for stream in DATA.streams for hop in Hop)


def test_a_live_page_subscribes_to_its_rollups() -> None:
    assert "overview live/shop/traffic live/shop/sales live/shop/interest" in written("/live/shop")


def test_a_stream_that_is_not_there_is_named() -> None:
    assert "nobody" in written("/live/nobody")


def test_a_page_that_is_not_there_says_so() -> None:
    assert "No such page" in written("/nothing")


def test_the_ledger_page_has_a_card_for_every_stream_and_of_one_only_its_own() -> None:
    assert all(f'"data-ledger": "{stream}"' in written("/ledger") for stream in DATA.streams)
    assert '"data-ledger": "flights"' not in written("/ledger/shop")
    assert "nobody" in written("/ledger/nobody")


def test_the_schemas_page_has_a_card_for_every_stream_and_of_one_only_its_own() -> None:
    assert all(f'"data-schemas": "{stream}"' in written("/schemas") for stream in DATA.streams)
    assert '"data-schemas": "flights"' not in written("/schemas/shop")
    assert "nobody" in written("/schemas/nobody")


def test_the_quality_page_has_a_card_for_every_stream_and_of_one_only_its_own() -> None:
    assert all(f'"data-quality": "{stream}"' in written("/quality") for stream in DATA.streams)
    assert '"data-quality": "flights"' not in written("/quality/shop")
    assert "nobody" in written("/quality/nobody")


def test_the_spark_page_has_a_card_for_every_part_and_of_one_query_only_its_own() -> None:
    assert all(
        f'"data-spark-query": "{part} {stream}"' in written("/spark") for part in PARTS for stream in DATA.streams
    )
    shown = written("/spark/lake%20shop")
    assert '"data-spark-query": "lake shop"' in shown
    assert not any(f'"data-spark-query": "{each}"' in shown for each in ("lake flights", "route shop"))
    assert "is no part and no query" in written("/spark/lake%20nobody")


def test_every_target_that_is_scaled_has_a_card() -> None:
    assert all(f'"data-scaling": "{target}"' in written("/scaling") for target in SCALED)


def test_a_lag_of_the_overview_leads_to_the_query() -> None:
    assert all(f'"/lag/{query} shop"' in written("/") for query in ("route", "lake", "live"))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/live/shop",
        "/live/nobody",
        "/ledger",
        "/ledger/shop",
        "/quality",
        "/schemas",
        "/lag",
        "/lag/x",
        "/spark",
        "/scaling",
        "/nothing",
    ],
)
def test_every_page_hears_of_problems(path: str) -> None:
    assert re.search(r'"data-topics": "overview\b', written(path))


def test_a_live_card_has_room_for_the_reason_why_it_is_unknown() -> None:
    assert '"data-rollup-reason": "live/shop/traffic"' in written("/live/shop")


def test_the_banner_is_said_politely_and_is_not_there_while_all_is_well() -> None:
    props = banner().to_plotly_json()["props"]
    assert (props["aria-live"], props["hidden"]) == ("polite", True)


def test_no_page_polls() -> None:
    assert "Interval" not in written("/") + written("/live/flights")


def test_the_hub_is_found_by_its_port() -> None:
    assert push_port("http://127.0.0.1:8090") == 8090


def test_operations_have_a_list_and_each_a_page_of_its_own() -> None:
    assert '"data-operations-said": "all"' in written("/operations")
    assert '"data-operation-page": "a 1"' in written("/operations/a%201")
    assert '"data-operations": "backfill"' in written("/backfills")
    assert "nobody" in written("/backfills/nobody")


def test_every_page_hears_of_operations_for_their_number_beside_the_navigation() -> None:
    assert '"data-topics-too": "overview operations"' in json.dumps(frame(DATA.streams, "", ""), cls=PlotlyJSONEncoder)
