"""A room answers the control plane and programs, but no page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from quality.api import create_api


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_is_refused_whatever_it_asks_and_wherever_it_is_from(method: str) -> None:
    answer = TestClient(create_api()).request(method, "/healthz", headers={"Origin": "http://127.0.0.1:8050"})
    assert answer.status_code == 403
    assert "ask the control plane" in answer.json()["detail"]


def test_a_program_is_answered() -> None:
    assert TestClient(create_api()).get("/healthz").json() == {"status": "ok"}
