"""Every error is a problem that can be read, also one that the standard has no word for."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from controlplane.contract.waiting import CLIENT_CLOSED
from controlplane.service.problem_json import MEDIA_TYPE, add_problems


@pytest.mark.parametrize(("status", "title"), [(404, "Not Found"), (CLIENT_CLOSED, "Refused")])
def test_an_error_is_answered_with_its_status_and_sentence(status: int, title: str) -> None:
    api = FastAPI()
    add_problems(api)

    @api.get("/thing")
    def fails() -> None:
        raise HTTPException(status, "nobody waits")

    answer = TestClient(api).get("/thing")
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    said = answer.json()
    assert (said["title"], said["detail"], said["instance"]) == (title, "nobody waits", "/thing")
