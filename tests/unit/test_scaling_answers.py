"""Orders and policies: what is taken, what is refused and why, and that they outlive the control plane."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from controlplane.contract.folders import load_stream
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.scaling.kept import ScalingFile
from controlplane.service.service import Service

if TYPE_CHECKING:
    from pathlib import Path

SHOP = load_stream(SHIPPED_STREAMS / "shop")
LAKE = "/api/v1/scaling/lake"


def _service(file: Path | None = None) -> Service:
    return Service([SHOP], lambda *_, **__: [], "http://127.0.0.1:8050", 0.05, scaling=ScalingFile(file))


def _client(file: Path | None = None) -> TestClient:
    return TestClient(create_api(_service(file), access=AnyoneIs()))


def test_before_anything_is_decided_executors_are_left_as_they_are() -> None:
    assert _client().get(f"{LAKE}/wanted").json()["executors"] is None


def test_an_order_is_what_is_wanted_until_it_is_given_back() -> None:
    client = _client()
    ordered = client.post(f"{LAKE}/scale", json={"executors": 5, "by": "ana"})
    assert ordered.status_code == 201
    wanted = client.get(f"{LAKE}/wanted").json()
    assert (wanted["executors"], wanted["reason"]) == (5, "ana has ordered 5, until it is given back")
    assert client.delete(f"{LAKE}/scale").status_code == 204
    wanted = client.get(f"{LAKE}/wanted").json()
    assert (wanted["executors"], wanted["reason"]) == (
        5,
        "nothing changes: lake has not said how many executors it has",
    )
    again = client.delete(f"{LAKE}/scale")
    assert (again.status_code, again.json()["detail"]) == (404, "no order holds for lake: the autoscaler has it")


def test_an_order_ends_by_itself() -> None:
    client = _client()
    client.post(f"{LAKE}/scale", json={"executors": 5, "for": "0s"})
    [target] = client.get("/api/v1/scaling").json()["targets"]
    assert target["ordered"] is None


def test_policy_and_order_outlive_the_control_plane(tmp_path: Path) -> None:
    file = tmp_path / "control" / "scaling.json"
    first = _client(file)
    assert first.put(f"{LAKE}/policy", json={"most": 20, "catch_up": "2m"}).status_code == 200
    first.post(f"{LAKE}/scale", json={"executors": 7, "for": "1h"})
    second = _service(file)
    assert second.scaler.kept.policy("lake").most == 20
    assert TestClient(create_api(second, access=AnyoneIs())).get(f"{LAKE}/wanted").json()["executors"] == 7


def test_a_damaged_file_does_not_keep_the_control_plane_from_starting(tmp_path: Path) -> None:
    (tmp_path / "scaling.json").write_text("{")
    assert _service(tmp_path / "scaling.json").scaler.kept.policy("lake").most == 8


def _says(service: Service, have: int, most: int = 8, port: str = "spark standalone") -> None:
    service.fold(
        [
            ExecutorsChanged(
                at=datetime.now(UTC), target="lake", have=have, want=have, cores=1, least=1, most=most, port=port
            )
        ]
    )


@pytest.mark.parametrize(
    ("executors", "changes", "against"),
    [
        (5, "lake has 5 executors instead of 3 (2 more) until it is given back", []),
        (2, "lake has 2 executors instead of 3 (1 fewer, at the end of a micro-batch) until it is given back", []),
        (3, "lake keeps its 3 executors until it is given back, whatever the load", []),
        (
            12,
            "lake has 12 executors instead of 3 (9 more) until it is given back",
            [
                "the cluster gives 10 executors at most",
                "the policy lets it be between 2 and 8: it goes back there when the order ends",
            ],
        ),
    ],
)
def test_a_dry_run_says_what_would_change_and_does_nothing(executors: int, changes: str, against: list[str]) -> None:
    service = _service()
    _says(service, 3, most=10)
    client = TestClient(create_api(service, access=AnyoneIs()))
    answer = client.post(f"{LAKE}/scale?dry_run=true", json={"executors": executors})
    assert answer.status_code == 200
    assert (answer.json()["changes"], answer.json()["against"], answer.json()["have"]) == (changes, against, 3)
    assert service.scaler.kept.order("lake", datetime.now(UTC)) is None


def test_a_session_of_one_process_cannot_be_scaled_and_the_answer_says_how_it_could() -> None:
    service = _service()
    _says(service, 1, most=1, port="local")
    client = TestClient(create_api(service, access=AnyoneIs()))
    answer = client.post(f"{LAKE}/scale", json={"executors": 5})
    assert answer.status_code == 409
    assert "`tidegate up --spark standalone`" in answer.json()["detail"]
    service.scale()
    [target] = client.get("/api/v1/scaling").json()["targets"]
    assert target["wanted"]["executors"] is None
    assert target["reason"] == answer.json()["detail"]
    assert (target["decided"]["rule"], target["decided"]["want"]) == (3, None)


def test_what_is_decided_is_wanted_and_a_dry_run_is_not() -> None:
    service = _service()
    client = TestClient(create_api(service, access=AnyoneIs()))
    _says(service, 1)
    service.scale()
    assert client.get(f"{LAKE}/wanted").json()["executors"] == 2
    [change] = client.get("/api/v1/scaling").json()["targets"][0]["changes"]
    assert (change["want"], change["rule"], change["is_acted_on"]) == (2, 4, True)
    client.put(f"{LAKE}/policy", json={"is_dry_run": True, "least": 3})
    wanted = client.get(f"{LAKE}/wanted").json()
    assert (wanted["executors"], wanted["reason"]) == (None, "would be, if it were acted on: least is 3, 1 are wanted")
    change = client.get("/api/v1/scaling").json()["targets"][0]["changes"][0]
    assert (change["want"], change["is_acted_on"], change["is_dry_run"]) == (3, False, True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/api/v1/scaling/route/scale", {"executors": 2}, 404, "'route' is not scaled; there is: lake"),
        ("POST", f"{LAKE}/scale", {"executors": 0}, 422, "executors: Input should be greater than or equal to 1"),
        ("POST", f"{LAKE}/scale", {"executors": 2, "for": "soon"}, 422, "'soon' is not a duration"),
        ("PUT", f"{LAKE}/policy", {"least": 9, "most": 8}, 422, "least (9) is more than most (8)"),
        ("PUT", f"{LAKE}/policy", {"utilisation": [0.9, 0.5]}, 422, "0 < low < high <= 1"),
        ("PUT", f"{LAKE}/policy", {"cpu": 70}, 422, "cpu: Extra inputs are not permitted"),
    ],
    ids=["no-such-target", "none-at-all", "no-duration", "bounds-upside-down", "band-upside-down", "no-cpu"],
)
def test_what_makes_no_sense_is_refused(method: str, path: str, body: dict[str, Any], status: int, said: str) -> None:
    answer = _client().request(method, path, json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_who_watches_is_told_of_a_decision_without_asking() -> None:
    service = _service()
    _says(service, 1)
    with (
        TestClient(create_api(service, access=AnyoneIs())) as client,
        client.websocket_connect("/api/v1/push") as socket,
    ):
        assert socket.receive_json()["type"] == "welcome"
        socket.send_json({"type": "subscribe", "topics": ["scaling"]})
        update = socket.receive_json()
        while not update["data"]["targets"][0]["changes"]:
            update = socket.receive_json()
    [target] = update["data"]["targets"]
    assert (update["topic"], target["wanted"]["executors"], target["changes"][0]["rule"]) == ("scaling", 2, 4)


@pytest.mark.parametrize(("method", "path"), [("POST", "scale"), ("PUT", "policy"), ("DELETE", "scale")])
def test_another_page_may_not_scale(method: str, path: str) -> None:
    body = {"executors": 2} if path == "scale" else {}
    answer = _client().request(method, f"{LAKE}/{path}", json=body, headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
