"""`tidegate scaling` shows how it stands and why, hands on what an operator says, and tries a policy without a platform."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import asking
from controlplane.contract.folders import load_stream
from controlplane.contract.scaling import ExecutorsChanged, ScalingPoint
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.observations.asked import Past
from controlplane.service.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

SHOP = load_stream(SHIPPED_STREAMS / "shop")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    """A control plane that the commands talk to; lake has 1 executor and may have 10."""
    service = Service([SHOP], lambda *_, **__: [], "http://127.0.0.1:8050", 0.05)
    client = TestClient(create_api(service, access=AnyoneIs()), base_url="http://api")

    def request(method: str, url: str, *, json: Any = None, headers: dict[str, str], timeout: float) -> httpx.Response:
        assert timeout > 0
        answer = client.request(method, url, json=json)
        return httpx.Response(answer.status_code, content=answer.content)

    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://api", {}))
    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.setenv("COLUMNS", "200")
    says(service, "spark standalone")
    return service


def says(service: Service, port: str) -> None:
    now = datetime.now(UTC)
    service.fold(
        [ExecutorsChanged(at=now, target="lake", have=1, want=1, cores=1, least=1, most=10, port=port, waits_for=None)]
    )
    service.scale()


def asked(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, ["scaling", *words], input=typed)


def test_ls_shows_each_target_and_why(service: Service) -> None:
    assert service.scaler
    found = asked("ls")
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[1].split() == ["lake", "1", "2", "2-8", "on", "spark", "standalone", "4"]
    assert lines[2] == "lake: least is 2, 1 are wanted"
    assert json.loads(asked("ls", "-o", "json").output)["targets"][0]["name"] == "lake"


def test_show_says_by_which_policy_and_what_was_looked_at(service: Service) -> None:
    service.scale()
    output = asked("show", "lake").output
    assert "lake: on, 2 wanted" in output
    assert "catch_up: 5m" in output
    assert "arriving_events_per_s" in output
    assert "least is 2, 1 are wanted" in output
    assert json.loads(asked("show", "lake", "-o", "json").output)["policy"]["most"] == 8


def _point(minute: int, want: int | None, *, dry: bool = False) -> dict[str, Any]:
    at = datetime(2026, 1, 1, 3, minute, tzinfo=UTC)
    said = {"have": 2, "want": want, "rule": 11, "reason": f"{want} are needed", "by": "autoscaler", "is_dry_run": dry}
    return {"at": at, "kind": "decided", **said}


def test_history_lists_what_changed_the_newest_first(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        _point(0, None),
        _point(1, 2),
        _point(2, None),
        _point(2, 2),
        _point(3, 8),
        _point(4, 8),
        _point(5, 2, dry=True),
    ]
    points = [ScalingPoint.model_validate(each) for each in told]
    wanted: list[str] = []

    def scaling(_: Past, target: str, since: datetime, until: datetime) -> list[ScalingPoint]:
        assert since < until <= datetime.now(UTC)
        wanted.append(target)
        return points

    monkeypatch.setattr(Past, "scaling", scaling)
    assert service.scaler
    lines = asked("history", "lake", "--for", "2h").output.splitlines()
    assert [line.split()[1:4] for line in lines[1:]] == [["03:05:00", "2", "2"], ["03:03:00", "2", "8"]]
    assert "no: dry run" in lines[1]
    assert wanted == ["lake"]
    assert [each["want"] for each in json.loads(asked("history", "lake", "-o", "json").output)] == [2, 8]


def test_what_is_set_changes_and_the_rest_stays(service: Service) -> None:
    asked("set", "lake", "--catch-up", "2m")
    found = asked("set", "lake", "--most", "20", "--utilisation", "0.4-0.7", "--events-per-s", "900")
    assert found.output == "lake: 2 to 20 executors, 40% to 70% busy, a backlog is gone after 2m.\n"
    policy = service.scaler.kept.policy("lake")
    assert (policy.most, policy.utilisation, policy.events_per_s) == (20, (0.4, 0.7), 900)
    asked("set", "lake", "--events-per-s", "0")
    assert service.scaler.kept.policy("lake").events_per_s is None


def test_a_mistake_ends_with_its_reason(service: Service) -> None:
    assert service.scaler
    found = asked("set", "lake", "--least", "9")
    assert (found.exit_code, found.output) == (1, "tidegate: least (9) is more than most (8)\n")
    assert "say what is to be set" in asked("set", "lake").output
    assert "'route' is not scaled; there is: lake" in asked("show", "route").output


@pytest.mark.parametrize(
    ("word", "is_on", "is_dry_run", "executors"), [("off", False, False, None), ("dry-run", True, True, None)]
)
def test_it_is_switched(service: Service, word: str, executors: int | None, *, is_on: bool, is_dry_run: bool) -> None:
    assert asked(word, "lake").exit_code == 0
    policy = service.scaler.kept.policy("lake")
    assert (policy.is_on, policy.is_dry_run) == (is_on, is_dry_run)
    assert service.scaler.wanted("lake", datetime.now(UTC)).executors is executors
    assert asked("on", "lake").exit_code == 0
    assert service.scaler.wanted("lake", datetime.now(UTC)).executors == 2


def test_an_order_is_planned_confirmed_given_and_given_back(service: Service) -> None:
    planned = asked("scale", "lake", "12", "--plan")
    assert "lake has 12 executors instead of 1 (11 more)" in planned.output
    assert "but: the cluster gives 10 executors at most" in planned.output
    declined = asked("scale", "lake", "5", typed="n\n")
    assert (declined.exit_code, service.scaler.kept.order("lake", datetime.now(UTC))) == (1, None)
    assert asked("scale", "lake", "5", "--for", "30m", "--yes").exit_code == 0
    order = service.scaler.kept.order("lake", datetime.now(UTC))
    assert order is not None
    assert (order.executors, order.by, order.until is None) == (5, "operator", False)
    assert "ordered by operator" in asked("show", "lake").output
    assert asked("release", "lake").output == "The autoscaler has lake again.\n"
    assert asked("release", "lake").exit_code == 1


def test_a_session_of_one_process_says_how_it_can_be_scaled(service: Service) -> None:
    says(service, "local")
    found = asked("scale", "lake", "5", "--yes")
    assert found.exit_code == 1
    assert "`tidegate up --spark standalone` gives it some" in found.output
    assert "`tidegate up --spark standalone` gives it some" in asked("ls").output


def test_a_policy_is_tried_without_a_platform() -> None:
    found = asked("simulate", "--load", "2m:1300,6m:5200", "--most", "6")
    assert found.exit_code == 0, found.output
    assert "6 executors at most" in found.output
    moments = json.loads(asked("simulate", "--load", "2m:1300,6m:5200", "-o", "json").output)
    assert (len(moments), moments[-1]["have"]) == (240, 8)


def test_a_policy_of_the_platform_is_tried(service: Service) -> None:
    asked("set", "lake", "--most", "4")
    assert service.scaler.kept.policy("lake").most == 4
    assert "4 executors at most" in asked("simulate", "--of", "lake", "--load", "1m:1300,4m:5200").output


@pytest.mark.parametrize(
    ("words", "says_so"),
    [
        (("--load", "5x"), "'5x' is no piece of a load"),
        (("--utilisation", "much"), "utilisation: Input should be a valid number"),
        (("--least", "9"), "least (9) is more than most (8)"),
    ],
)
def test_what_cannot_be_tried_is_refused(words: tuple[str, ...], says_so: str) -> None:
    found = asked("simulate", *words)
    assert found.exit_code == 2
    assert says_so in found.output
