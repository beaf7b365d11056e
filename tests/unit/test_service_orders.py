"""Orders to gates: what is taken, what is refused, and that they outlive the control plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from controlplane.contract.folders import load_stream
from controlplane.contract.orders import PATH
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.orders import OrderFile
from controlplane.service.service import Service

if TYPE_CHECKING:
    from pathlib import Path

SHOP = load_stream(SHIPPED_STREAMS / "shop")


def _client(file: Path) -> TestClient:
    service = Service([SHOP], lambda *_, **__: [], "http://127.0.0.1:8050", 0.05, orders=OrderFile(file))
    return TestClient(create_api(service, access=AnyoneIs()))


def test_an_order_outlives_the_control_plane(tmp_path: Path) -> None:
    given = {"stream": "shop", "stage": "lake", "order": "divert", "by": "ana"}
    assert _client(tmp_path / "orders.json").post(PATH, json=given).status_code == 201
    [kept] = _client(tmp_path / "orders.json").get(PATH).json()
    assert {key: kept[key] for key in given} == given
    assert kept["at"]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"stream": "shop", "stage": "ingest", "order": "pass"}, 422, "ingest takes no pass; it takes: resume"),
        ({"stream": "shop", "stage": "lake", "order": "release"}, 422, "say which micro-batch"),
        ({"stream": "nobody", "stage": "lake", "order": "resume"}, 404, "there is no stream 'nobody'"),
        ({"stream": "shop", "stage": "lake", "order": "shout"}, 422, "order:"),
        ({"stream": "shop", "stage": "lake", "order": "resume", "at": "2026-01-01"}, 422, "at:"),
    ],
    ids=["not-of-this-stage", "release-of-nothing", "no-such-stream", "no-such-order", "a-date-of-its-own"],
)
def test_an_order_that_makes_no_sense_is_refused(given: dict[str, str], status: int, said: str, tmp_path: Path) -> None:
    answer = _client(tmp_path / "orders.json").post(PATH, json=given)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_another_page_may_give_no_orders(tmp_path: Path) -> None:
    given = {"stream": "shop", "stage": "lake", "order": "resume"}
    answer = _client(tmp_path / "orders.json").post(PATH, json=given, headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403


def test_a_damaged_file_does_not_keep_the_control_plane_from_starting(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_text("{")
    assert _client(tmp_path / "orders.json").get(PATH).json() == []
