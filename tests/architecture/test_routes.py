"""Every route of the control plane says which action it is; what says nothing answers nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from controlplane.contract.access import Needs, needed
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.access import Access, Terms
from controlplane.service.access.guard import Guard
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.audit.port import NotKept
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN = {"/healthz", "/metrics", "/api/v1/session", "/api/v1/session/ways", "/api/v1/session/link",
        "/api/v1/session/link/look", "/api/v1/session/openid", "/api/v1/session/openid/back"}  # fmt: skip
"""Paths that answer somebody who is not signed in."""


def routes(router: Any) -> Iterator[Any]:
    """All routes, those of included routers too."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else routes(inner)


@pytest.fixture
def api(tmp_path: Path) -> FastAPI:
    engine = engine_of(f"sqlite:///{tmp_path / 'a.sqlite'}")
    create_all(engine)
    shop, desk = load_stream(SHIPPED_STREAMS / "shop"), Desk(engine, ["shop"], NotKept())
    service = Service(
        [shop], lambda *_, **__: [], "http://127.0.0.1:8050", 0.05, operations=desk, schedules=Schedules(engine, desk)
    )
    rooms = {"quarantine": "http://127.0.0.1:1", "alerts": "http://127.0.0.1:1", "sql": "http://127.0.0.1:1"}
    return create_api(service, rooms, access=Access(engine, Terms(), lambda: datetime.now(UTC), "parts", "owner"))


def test_every_route_says_which_action_it_is(api: FastAPI) -> None:
    silent = sorted({route.path for route in routes(api.router) if needed(route.endpoint) is None})
    assert not silent, f"say by @needs(Action...) what these are: {silent}; see controlplane/contract/access.py"


def test_only_signing_in_and_what_prometheus_asks_for_is_open(api: FastAPI) -> None:
    found = {route.path for route in routes(api.router) if (said := needed(route.endpoint)) and _is_open(said)}
    assert found <= OPEN


def _is_open(said: Any) -> bool:
    return isinstance(said, Needs) and said.is_open


def test_no_route_answers_somebody_who_is_not_signed_in(api: FastAPI) -> None:
    client, asked = TestClient(api), 0
    for route in routes(api.router):
        for method in sorted(getattr(route, "methods", None) or ()):
            if method in ("HEAD", "OPTIONS") or _is_open(needed(route.endpoint)):
                continue
            path = route.path.replace("{path:path}", "x").replace("{", "").replace("}", "")
            answer = client.request(method, path)
            assert answer.status_code == 401, f"{method} {route.path}"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            asked += 1
    assert asked > 40


def test_a_route_that_says_nothing_answers_no_user() -> None:
    from fastapi import Depends

    from controlplane.contract.access import Grant, Principal, Role

    admin = Principal(name="ana", grants=(Grant(role=Role.ADMIN),))
    silent = FastAPI(dependencies=[Depends(Guard(AnyoneIs(admin), lambda _: True))])

    @silent.get("/thing")
    async def thing() -> str:
        return "told"

    answer = TestClient(silent).get("/thing")
    assert (answer.status_code, "parts of the platform" in answer.json()["detail"]) == (403, True)
