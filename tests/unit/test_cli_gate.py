"""`tidegate gate` shows how each gate stands, unknown where nobody has said, and hands an operator's orders on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import asking
from controlplane.contract.gates import (
    BreakerChanged,
    BreakerState,
    GateDecided,
    Outcome,
    Policy,
    Stage,
    SuiteFollowed,
)
from controlplane.contract.verdicts import GateState, QualityFrame, StreamQuality

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NOW = datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)
FOLLOWED = SuiteFollowed(
    at=NOW, stream="shop", stage=Stage.INGEST, suite="a1b2c3", rules=7, since=NOW, refused="suite.json: line 1: no"
)
OPEN = BreakerChanged(
    at=NOW, stream="shop", stage=Stage.INGEST, state=BreakerState.OPEN, since=NOW, reason="9 of 9 were turned away"
)
HALTED = GateDecided(
    at=NOW,
    stream="shop",
    stage=Stage.LAKE,
    subject="micro-batch 3",
    suite="d4",
    outcome=Outcome.HALTED,
    rows=5,
    judged=5,
    reason="not_empty is broken",
)
FRAME = QualityFrame(
    at=NOW,
    streams=(
        StreamQuality(
            name="shop",
            title="Shop",
            validity=0.98,
            gates=(
                GateState(stage=Stage.INGEST, table=None, policy=Policy.DIVERT, followed=FOLLOWED, breaker=OPEN),
                GateState(
                    stage=Stage.LAKE,
                    table=None,
                    policy=Policy.HALT,
                    followed=None,
                    reason="nobody has said yet which suite is followed",
                    last=HALTED,
                    share=0.125,
                    share_of=4,
                ),
            ),
        ),
    ),
)


class Api:
    """Stands in for the control plane's API; keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=FRAME.model_dump(mode="json"))
        order = json.loads(request.content)
        self.sent.append(order)
        if order["stage"] == "serving":
            return httpx.Response(422, json={"detail": "serving takes no divert; it takes: resume"})
        return httpx.Response(201, json={**order, "at": NOW.isoformat()})


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Api:
    api = Api()
    client = httpx.Client(transport=httpx.MockTransport(api))
    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://api", {}))
    monkeypatch.setattr(httpx, "request", client.request)
    monkeypatch.setenv("COLUMNS", "200")
    return api


def asked(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["gate", *words])


def test_ls_shows_each_gate_and_says_why_something_is_unknown_or_stopped(api: Api) -> None:
    lines = asked("ls").output.splitlines()
    assert lines[1].split() == ["shop", "ingest", "divert", "a1b2c3", "(7", "rules)", "none", "yet", "open", "unknown"]
    assert lines[2].split() == ["shop", "lake", "halt", "unknown", "halted", "03:04:05", "UTC", "12.5%"]
    assert lines[3:] == [
        "ingest of shop: refused: suite.json: line 1: no",
        "ingest of shop: 9 of 9 were turned away",
        "lake of shop: nobody has said yet which suite is followed",
        "lake of shop: not_empty is broken",
    ]
    assert json.loads(asked("ls", "-o", "json").output) == FRAME.model_dump(mode="json")


@pytest.mark.parametrize(
    ("words", "order", "subject"),
    [
        ("resume shop ingest", "resume", None),
        ("pass shop lake", "pass", None),
        ("divert shop lake", "divert", None),
        ("release shop lake 17", "release", "17"),
    ],
)
def test_an_order_is_handed_on(api: Api, words: str, order: str, subject: str | None) -> None:
    found = asked(*words.split())
    assert found.exit_code == 0, found.output
    [sent] = api.sent
    assert (sent["stream"], sent["order"], sent["subject"]) == ("shop", order, subject)
    assert f"{order} is ordered" in found.output


def test_an_order_that_a_gate_does_not_take_ends_with_the_reason(api: Api) -> None:
    found = asked("divert", "shop", "serving")
    assert found.exit_code == 1
    assert "serving takes no divert" in found.output
