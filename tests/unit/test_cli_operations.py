"""What the commands print and how they end, over a control plane that is played."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from typer.testing import CliRunner

from controlplane.cli import app
from controlplane.commands.operating import follow, run_operation
from controlplane.commands.operations_client import Operations
from controlplane.contract.operations import (
    Kind,
    Operation,
    OperationAsked,
    OperationState,
    Plan,
    StagePlanned,
    StageProgress,
    StageState,
    Touch,
)
from controlplane.up.running import NotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ASKED = OperationAsked(kind=Kind.BACKFILL, asked={"stream": "flights"})
S = OperationState


def operation(state: OperationState, **what: Any) -> Operation:
    plan = Plan(
        at=NOW,
        stages=(StagePlanned(key="build", does="build", title="Build 2013-01-01", rows=842),),
        touches=(Touch(stream="flights", table="events", partitions=("2013-01-01",)),),
        rows=842,
        confirmation="flights",
        notes=("late events count as they come",),
        fingerprint="f",
    )
    done = StageState.DONE if state is S.DONE else StageState.WAITING
    fields: dict[str, Any] = {
        "id": "abc",
        "kind": Kind.BACKFILL,
        "stream": "flights",
        "asked": {"stream": "flights"},
        "by": "ann",
        "at": NOW,
        "changed_at": NOW,
        "state": state,
        "plan": None if state is S.PLANNING else plan,
        "stages": () if state is S.PLANNING else (StageProgress(key="build", state=done),),
        **what,
    }
    return Operation(**fields)


class Played:
    """Answers what it was told to, one after the other for an operation that is followed."""

    def __init__(self, *life: Operation) -> None:
        self.life = list(life)
        self.asked: list[tuple[str, str, Any]] = []
        self.refusal: httpx.Response | None = None

    def request(self, method: str, url: str, *, json: Any = None, **_: Any) -> httpx.Response:
        parts = urlsplit(url)
        self.asked.append((method, f"{parts.path}?{parts.query}".rstrip("?"), json))
        asked = httpx.Request(method, url)
        if self.refusal is not None and method == "POST":
            return self.refusal
        now = self.life[0]
        if "wait" in parse_qs(parts.query) or parts.path.endswith("/confirm"):
            now = self.life.pop(1) if len(self.life) > 1 else now
            self.life[0] = now
        if parts.path.endswith("/operations") and method == "GET":
            return httpx.Response(200, json={"items": [now.model_dump(mode="json")], "next": "7"}, request=asked)
        return httpx.Response(200, text=now.model_dump_json(), request=asked)


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Played]:
    def play(*life: Operation) -> Played:
        one = Played(*life)
        monkeypatch.setattr("controlplane.commands.operations_client.found_control_plane", lambda _: ("http://x", {}))
        monkeypatch.setattr("controlplane.commands.operations_client.httpx.request", one.request)
        monkeypatch.setenv("COLUMNS", "200")
        return one

    return play


def ended(does: Callable[[], object]) -> int:
    with pytest.raises(SystemExit) as end:
        does()
    return int(str(end.value.code))


@pytest.mark.parametrize(("state", "code"), [(S.DONE, 0), (S.FAILED, 1), (S.CANCELLED, 5)])
def test_a_command_ends_as_its_operation(
    plays: Callable[..., Played], state: OperationState, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    played = plays(
        operation(S.PLANNING),
        operation(S.PLANNED),
        operation(S.QUEUED),
        operation(S.RUNNING),
        operation(state, reason="r"),
    )
    assert ended(lambda: run_operation(None, ASKED, yes=True)) == code
    [confirmed] = [body for method, path, body in played.asked if path.endswith("/confirm")]
    assert confirmed == {"fingerprint": "f", "confirmation": "flights"}
    said = capsys.readouterr().out
    assert "Build 2013-01-01" in said
    assert "writes flights.events: 1 partitions" in said
    assert "note: late events count as they come" in said
    assert f"abc: {state}" in said


def test_a_dry_run_shows_the_plan_and_confirms_nothing(
    plays: Callable[..., Played], capsys: pytest.CaptureFixture[str]
) -> None:
    played = plays(operation(S.PLANNING, dry_run=True), operation(S.PLANNED, dry_run=True))
    assert ended(lambda: run_operation(None, ASKED, dry_run=True)) == 0
    assert played.asked[0][1] == "/api/v1/operations?dry_run=true"
    assert not [path for _, path, _ in played.asked if "confirm" in path]
    assert "842" in capsys.readouterr().out


def test_json_is_all_that_is_printed(plays: Callable[..., Played], capsys: pytest.CaptureFixture[str]) -> None:
    plays(operation(S.PLANNING), operation(S.PLANNED), operation(S.QUEUED), operation(S.DONE))
    assert ended(lambda: run_operation(None, ASKED, yes=True, output="json")) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "done"


def test_without_a_terminal_it_is_not_confirmed_by_accident(
    plays: Callable[..., Played], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = plays(operation(S.PLANNED))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert ended(lambda: run_operation(None, ASKED)) == 2
    assert "give --yes" in capsys.readouterr().err
    assert not [path for _, path, _ in played.asked if "confirm" in path]


def test_another_word_than_the_plans_does_nothing(
    plays: Callable[..., Played], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = plays(operation(S.PLANNED))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("controlplane.commands.operating.typer.prompt", lambda *_, **__: "shop")
    assert ended(lambda: run_operation(None, ASKED)) == 4
    assert "nothing was done" in capsys.readouterr().err
    assert played.asked[-1][1] == "/api/v1/operations/abc/cancel"


def test_a_plan_that_was_refused_says_why(plays: Callable[..., Played], capsys: pytest.CaptureFixture[str]) -> None:
    plays(operation(S.PLANNING), operation(S.FAILED, plan=None, reason="version 3 was vacuumed: 7 to 12 can be had"))
    assert ended(lambda: run_operation(None, ASKED, yes=True)) == 4
    assert "7 to 12 can be had" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [(409, 4), (403, 4), (401, 4), (422, 2), (404, 2), (503, 3)])
def test_what_the_api_refuses_has_an_exit_code_of_its_kind(
    plays: Callable[..., Played], status: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    played = plays(operation(S.PLANNED))
    played.refusal = httpx.Response(status, json={"detail": "because"}, request=httpx.Request("POST", "http://x"))
    assert ended(lambda: run_operation(None, ASKED, yes=True)) == code
    assert "because" in capsys.readouterr().err


def test_who_follows_outlives_a_control_plane_that_starts_anew(
    plays: Callable[..., Played], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played = plays(operation(S.RUNNING), operation(S.DONE))
    tries: list[str] = []

    def request(method: str, url: str, **more: Any) -> httpx.Response:
        tries.append(url)
        if len(tries) == 1:
            raise httpx.ConnectError("refused")
        if len(tries) == 2:
            return httpx.Response(503, request=httpx.Request(method, url))
        return played.request(method, url, **more)

    monkeypatch.setattr("controlplane.commands.operations_client.httpx.request", request)
    monkeypatch.setattr("controlplane.commands.operations_client._AGAIN_AFTER_S", 0.0)
    assert ended(lambda: follow(Operations(None), operation(S.RUNNING), output="table")) == 0
    assert "abc: done" in capsys.readouterr().out


def test_without_a_platform_the_exit_code_is_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: object) -> Any:
        raise NotRunningError("no platform runs in .tidegate")

    monkeypatch.setattr("controlplane.commands.operations_client.found_control_plane", nowhere)
    assert CliRunner().invoke(app, ["operations", "ls"]).exit_code == 3


def test_ls_shows_what_each_does_and_how_to_go_on(plays: Callable[..., Played]) -> None:
    played = plays(operation(S.RUNNING, waits_for="live flights, which is 40 s behind"))
    found = CliRunner().invoke(app, ["operations", "ls", "--state", "running", "--stream", "flights"])
    assert "waits for live flights, which is 40 s behind" in found.stdout
    assert "--cursor 7" in found.stdout
    assert played.asked == [("GET", "/api/v1/operations?limit=20&state=running&stream=flights", None)]


def test_show_prints_the_plan_the_stages_and_the_result(plays: Callable[..., Played]) -> None:
    plays(operation(S.DONE, result={"rows": 842}, cli="tidegate backfill flights"))
    found = CliRunner().invoke(app, ["operations", "show", "abc"]).stdout
    assert "the same again: tidegate backfill flights" in found
    assert '"rows": 842' in found


@pytest.mark.parametrize(
    ("step", "after", "said"),
    [
        ("pause", {"state": S.RUNNING, "wish": "pause"}, "abc: running, to pause"),
        ("pause", {"state": S.PAUSED, "wish": "pause"}, "abc: paused"),
        ("cancel", {"state": S.RUNNING, "wish": "cancel"}, "abc: running, to cancel"),
        ("resume", {"state": S.QUEUED}, "abc: queued"),
    ],
)
def test_a_step_says_what_comes_of_it(
    plays: Callable[..., Played], step: str, after: dict[str, Any], said: str
) -> None:
    plays(operation(**after))
    assert CliRunner().invoke(app, ["operations", step, "abc"]).stdout.strip() == said


def test_a_schedule_is_set_by_a_crontab(plays: Callable[..., Played], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def request(method: str, url: str, *, json: Any = None, **_: Any) -> httpx.Response:
        asked.append((method, urlsplit(url).path, json))
        kept = {**json, "name": "n", "by": "ann", "at": NOW.isoformat(), "next_at": "2026-03-02T03:30:00Z"}
        return httpx.Response(200, json=kept, request=httpx.Request(method, url))

    plays(operation(S.PLANNED))
    monkeypatch.setattr("controlplane.commands.operations_client.httpx.request", request)
    arguments = ["operations", "schedule", "set", "n", "--cron", "30 3 * * *", "--kind", "backfill"]
    found = CliRunner().invoke(app, [*arguments, "--asked", '{"stream": "flights"}', "--confirm"])
    assert found.stdout.strip() == "n: next at 2026-03-02 03:30 UTC"
    [(method, path, body)] = asked
    assert (method, path) == ("PUT", "/api/v1/operations/schedules/n")
    assert (body["confirm"], body["ask"]["asked"]) == (True, {"stream": "flights"})
    assert CliRunner().invoke(app, [*arguments, "--asked", "{"]).exit_code == 2
