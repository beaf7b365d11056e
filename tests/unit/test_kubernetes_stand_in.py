"""Does the stand-in of Kubernetes refuse what the API server refuses? It could prove nothing if it took all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from load_tests.bench.kubernetes import kubernetes
from load_tests.bench.kubernetes_rules import Refused, check, is_selected, merged, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from load_tests.bench.kubernetes import Store

MERGE = "application/strategic-merge-patch+json"


def pod(name: str = "lake-exec-1", **container: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"spark-role": "executor", "spark-exec-id": "1"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "executor", "image": "tidegate/spark:1", **container}],
        },
    }


class Shelf:
    """Takes pods and runs none."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.taken: list[str] = []

    def take(self, made: dict[str, Any]) -> None:
        self.taken.append(made["metadata"]["name"])

    def end(self, gone: dict[str, Any]) -> None:
        self.store.put("pods", gone, "DELETED")

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def pods() -> Iterator[httpx.Client]:
    shelf: Any = Shelf
    with (
        kubernetes(shelf) as (url, _, _),
        httpx.Client(base_url=f"{url}/api/v1/namespaces/default", timeout=5) as client,
    ):
        yield client


def test_a_pod_that_is_right_is_taken() -> None:
    resources = {"requests": {"cpu": "1", "memory": "896Mi"}, "limits": {"memory": "896Mi"}}
    check(pod(resources=resources, ports=[{"containerPort": 7079}]), "Pod", "default")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        pytest.param(pod("Lake_1"), "metadata.name", id="a-name-that-is-no-dns-name"),
        pytest.param(pod(image=""), "image: Required", id="no-image"),
        pytest.param(pod(volumeMounts=[{"name": "conf"}]), "Not found: 'conf'", id="a-mount-of-no-volume"),
        pytest.param(pod(ports=[{"containerPort": 70000}]), "containerPort", id="a-port-that-is-none"),
        pytest.param(pod(resources={"requests": {"cpu": "1x"}}), "requests: Invalid", id="a-quantity-that-is-none"),
        pytest.param(
            pod(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
            "memory limit",
            id="more-than-limit",
        ),
        pytest.param({**pod(), "spec": {"containers": []}}, "containers: Required", id="no-container"),
        pytest.param({**pod(), "kind": "Node"}, "is no Pod", id="another-kind"),
        pytest.param(
            {**pod(), "metadata": {"name": "a", "labels": {"app": "two words"}}},
            "labels: Invalid",
            id="a-label-with-a-space",
        ),
        pytest.param({**pod(), "metadata": {"name": "a", "namespace": "b"}}, "namespace", id="another-namespace"),
    ],
)
def test_a_pod_that_is_wrong_is_refused_with_the_reason(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        check(wrong, "Pod", "default")


@pytest.mark.parametrize(
    ("selector", "is_so"),
    [
        ("spark-role=executor", True),
        ("spark-role=executor,spark-exec-id in (1, 2)", True),
        ("spark-exec-id notin (1)", False),
        ("spark-role!=driver,!gone", True),
        ("gone", False),
    ],
)
def test_a_label_selector_chooses(selector: str, is_so: bool) -> None:
    assert is_selected(pod(), selector, "") is is_so


def test_a_field_that_cannot_be_selected_by_is_refused() -> None:
    assert not is_selected(pod(), "", "status.phase=Running")
    with pytest.raises(Refused, match="field label not supported"):
        is_selected(pod(), "", "spec.image=x")


@pytest.mark.parametrize(("written", "found"), [("500m", 0.5), ("1Gi", 2**30), ("2", 2.0), ("two", None)])
def test_quantities_are_read_as_kubernetes_reads_them(written: str, found: float | None) -> None:
    assert quantity(written) == found


def test_of_a_pod_only_its_metadata_may_change() -> None:
    there = {**pod(), "metadata": {**pod()["metadata"], "resourceVersion": "3"}}
    assert merged(there, {"metadata": {"labels": {"x": "y"}}}, MERGE)["metadata"]["labels"]["x"] == "y"
    with pytest.raises(Refused, match="pod updates may not change"):
        merged(there, {"spec": {"restartPolicy": "Always"}}, MERGE)
    with pytest.raises(Refused, match="has been modified"):
        merged(there, {"metadata": {"resourceVersion": "2"}}, MERGE)
    with pytest.raises(Refused, match="unknown format"):
        merged(there, {}, "text/plain")


def test_it_answers_as_the_api_does(pods: httpx.Client) -> None:
    assert pods.post("/pods", json=pod()).status_code == 201
    again = pods.post("/pods", json=pod())
    assert (again.status_code, again.json()["reason"]) == (409, "AlreadyExists")
    assert pods.get("/pods", params={"labelSelector": "spark-exec-id=1"}).json()["items"][0]["status"] == {
        "phase": "Pending"
    }
    assert pods.get("/pods/lake-exec-2").json()["reason"] == "NotFound"
    assert pods.get("/pods", params={"labelSelector": "a b"}).status_code == 400
    assert pods.delete("/pods/lake-exec-1").status_code == 200
    assert pods.get("/pods").json()["items"] == []


def test_a_watch_tells_what_happened_since_a_version(pods: httpx.Client) -> None:
    version = pods.get("/pods").json()["metadata"]["resourceVersion"]
    pods.post("/pods", json=pod())
    pods.delete("/pods/lake-exec-1")
    with pods.stream("GET", "/pods", params={"watch": "true", "resourceVersion": version}) as answer:
        lines = answer.iter_lines()
        told = [json.loads(next(lines)) for _ in range(3)]
    assert [each["type"] for each in told] == ["ADDED", "MODIFIED", "DELETED"]
    assert "deletionTimestamp" in told[1]["object"]["metadata"]
