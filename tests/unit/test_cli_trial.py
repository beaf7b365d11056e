"""`tidegate trial` sends a folder of this machine, asks for the operation, shows what was found and discards it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import asking, trial
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.trial_verdict import differing
from controlplane.contract.trials import (
    ColumnCompared,
    CostCompared,
    Definition,
    RowsCompared,
    SideCost,
    TrialFound,
    ValueExample,
)
from pipeline.trial.asked import folder_of, scratch_of
from pipeline.trial.serve import router

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from controlplane.contract.operations import OperationAsked

FLIGHTS = str(SHIPPED_STREAMS / "flights")
WINDOW = ("--since", "2013-01-07", "--until", "2013-01-14T12:00:00+01:00")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[OperationAsked]:
    """Operations that commands have asked for; what is asked about trials is answered by the worker's router."""
    app, found = FastAPI(), []
    app.include_router(router(settings, lambda _: ()))
    app.get("/api/v1/operations/{one}")(lambda one: {"id": one, "stream": "flights"})
    client = TestClient(app, base_url="http://api")

    def request(method: str, url: str, *, json: Any = None, headers: dict[str, str], timeout: float) -> httpx.Response:
        assert timeout > 0
        answer = client.request(method, url, json=json, headers=headers)
        return httpx.Response(answer.status_code, content=answer.content)

    def run_operation(_: Any, asked: OperationAsked, **__: Any) -> NoReturn:
        found.append(asked)
        raise SystemExit(0)

    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://api", {}))
    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.setattr(trial, "run_operation", run_operation)
    monkeypatch.setenv("COLUMNS", "200")
    return found


def said(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["trial", *words])


def test_a_folder_of_this_machine_is_sent_and_tried(asked_for: list[OperationAsked], settings: Settings) -> None:
    assert said("start", "flights", FLIGHTS, *WINDOW).exit_code == 0
    [asked] = asked_for
    assert (asked.asked["since"], asked.asked["until"]) == ("2013-01-07T00:00:00Z", "2013-01-14T12:00:00+01:00")
    folder = folder_of(str(asked.asked["folder"]), "flights", settings)
    for file in ("stream.yaml", "reference/weather.parquet"):
        assert (folder / file).read_bytes() == (SHIPPED_STREAMS / "flights" / file).read_bytes()


def test_a_path_that_is_no_folder_here_is_one_below_the_root_of_trials(asked_for: list[OperationAsked]) -> None:
    said("start", "flights", "mine/flights", *WINDOW)
    assert asked_for[0].asked["folder"] == "mine/flights"


def test_a_folder_with_mistakes_is_refused_with_file_and_field(asked_for: list[OperationAsked], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "stream.yaml").write_text("title: [")
    found = said("start", "flights", str(tmp_path / "mine"), *WINDOW)
    assert found.exit_code != 0
    assert "stream.yaml: line" in found.stderr
    assert "schema.avsc" in found.stderr
    assert not asked_for


def test_a_time_that_is_none_is_refused(asked_for: list[OperationAsked]) -> None:
    assert said("start", "flights", "mine/flights", "--since", "monday", "--until", "2013-01-14").exit_code == 2
    assert not asked_for


def test_a_promotion_takes_its_stream_from_the_trial(asked_for: list[OperationAsked]) -> None:
    assert said("promote", "t1").exit_code == 0
    assert said("promote", "--back", "p1").exit_code == 0
    assert [each.asked for each in asked_for] == [
        {"stream": "flights", "trial": "t1", "back": None},
        {"stream": "flights", "trial": None, "back": "p1"},
    ]
    assert said("promote").exit_code == 2


def test_what_a_trial_found_is_shown_until_it_is_discarded(asked_for: list[OperationAsked], settings: Settings) -> None:
    cost = SideCost(events=100, cpu_s=1.5, took_s=1, files=2, bytes=3000)
    example = ValueExample(key={"tailnum": "N1"}, today="United Air Lines Inc.", changed="United")
    found = TrialFound.model_validate(
        {
            "stream": "flights", "since": "2013-01-07T00:00:00Z", "until": "2013-01-14T00:00:00Z", "version": 3,
            "rejects_version": None, "today": Definition(digest="a", suites={}), "changed": Definition(digest="b", suites={}),
            "schemas": (), "columns": (ColumnCompared(column="airline", differ=17, of=90, examples=(example,)),),
            "rows": RowsCompared(history=100, rejects=0, today=95, changed=90, both=90, only_today=5, only_changed=0),
            "cost": CostCompared(turns=2, today=cost, changed=cost),
        }
    )  # fmt: skip
    found = found.model_copy(update={"differs": differing(found)})
    scratch_of(settings, "t1").mkdir(parents=True)
    (scratch_of(settings, "t1") / "result.json").write_text(found.model_dump_json())
    shown = said("show", "t1").stdout
    assert "5 rows are let through by today alone" in shown
    assert "`airline` differs in 17 of 90 rows" in shown
    assert "airline of tailnum=N1: United Air Lines Inc. -> United" in shown
    assert json.loads(said("show", "t1", "-o", "json").stdout)["version"] == 3
    assert said("discard", "t1").exit_code == 0
    gone = said("show", "t1")
    assert gone.exit_code != 0
    assert "was discarded" in gone.stderr
    assert not asked_for
