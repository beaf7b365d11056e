"""A room answers the control plane and programs, but no page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from controlplane.contract.access import STREAMS_HEADER, USER_HEADER
from controlplane.contract.rooms import asked_by, may_touch
from quality.api import create_api


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_is_refused_whatever_it_asks_and_wherever_it_is_from(method: str) -> None:
    headers = {"Origin": "http://127.0.0.1:8050", "Authorization": "Bearer t"}
    answer = TestClient(create_api("t")).request(method, "/healthz", headers=headers)
    assert answer.status_code == 403
    assert "ask the control plane" in answer.json()["detail"]


@pytest.mark.parametrize("token", ["t", ""], ids=["the parts have a token", "nobody has a token"])
@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer "}])
def test_who_has_not_the_parts_token_is_asked_for_it(token: str, shown: dict[str, str]) -> None:
    client = TestClient(create_api(token))
    answer = client.get("/api/v1/anything", headers=shown)
    assert answer.status_code == 401
    assert "TIDEGATE_TOKEN_FILE" in answer.json()["detail"]
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/metrics").status_code == 200


def test_a_part_is_answered() -> None:
    client = TestClient(create_api("t"), headers={"Authorization": "Bearer t"})
    assert client.get("/api/v1/anything").status_code == 404


def test_a_room_learns_for_whom_it_is_asked_and_for_which_streams() -> None:
    headers = {USER_HEADER: "ana", STREAMS_HEADER: "shop, flights"}
    assert asked_by(headers) == "ana"
    assert [may_touch(headers, name) for name in ("shop", "flights", "orders")] == [True, True, False]
    assert (asked_by({}), may_touch({}, "shop")) == ("operator", True)
