"""`tidegate send`: what is sent, what is printed, and when it gives up; against a collector that was made up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from controlplane.commands import send

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


class Collector:
    """Takes lines whose number is good, as often as it is in the mood to."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.busy = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.busy:
            self.busy -= 1
            return httpx.Response(429, headers={"Retry-After": "0"}, json={"detail": "7 events wait already"})
        events = [json.loads(line) for line in request.content.splitlines()]
        wrong = [
            {"index": index, "path": "n", "expected": "int", "came": repr(each["n"])}
            for index, each in enumerate(events)
            if not isinstance(each["n"], int)
        ]
        if wrong and "partial" not in request.url.params:
            return httpx.Response(400, json={"detail": "none was taken", "mistakes": wrong})
        return httpx.Response(202, json={"taken": len(events) - len(wrong), "mistakes": wrong})


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    one, client = Collector(), httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **how: client(transport=httpx.MockTransport(one), **how))
    monkeypatch.setattr(send, "control_plane", lambda _: ("http://api", {"Authorization": "Bearer tg_me"}))
    monkeypatch.setattr(send, "_collector", lambda _: "http://collector")
    return one


def run(*words: str, given: str | None = None) -> Result:
    app = typer.Typer()
    app.command()(send.send)
    return CliRunner().invoke(app, words, input=given)


def lines(*numbers: Any) -> str:
    return "\n\n".join(json.dumps({"n": each}) for each in numbers)


def test_a_file_is_sent_in_requests_and_counted(collector: Collector, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(lines(1, 2, 3))
    done = run("shop", str(file), "--batch", "2")
    assert (done.exit_code, done.stdout) == (0, "3 events were taken\n")
    assert [request.content for request in collector.requests] == [b'{"n": 1}\n{"n": 2}', b'{"n": 3}']
    assert collector.requests[0].headers["authorization"] == "Bearer tg_me"


def test_every_mistake_is_printed_with_its_line(collector: Collector) -> None:
    done = run("shop", "-", "--batch", "2", given=lines("a", 2, 3, "b"))
    assert done.exit_code == 1
    assert done.stderr == "line 1: n: expected int; came 'a'\nline 7: n: expected int; came 'b'\n"
    assert (
        "0 events were taken; 2 have mistakes, and nothing was taken of the requests that they were in" in done.stdout
    )
    part = run("shop", "-", "--batch", "2", "--partial", given=lines("a", 2, 3, "b"))
    assert (part.exit_code, part.stdout) == (1, "2 events were taken; 2 have mistakes\n")
    assert len(collector.requests) == 4


def test_who_is_told_to_wait_comes_again(collector: Collector) -> None:
    collector.busy = 2
    assert run("shop", "-", given=lines(1)).stdout == "1 events were taken\n"
    assert len(collector.requests) == 3


def test_who_has_waited_long_enough_says_how_far_he_came(collector: Collector) -> None:
    collector.busy = 1_000_000
    done = run("shop", "-", "--patience", "0", given=lines(1))
    assert (done.exit_code, "7 events wait already; given up after 0 s, from line 1 on" in done.stderr) == (1, True)


def test_a_key_that_is_given_goes_before_all_else(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN", "tg_key")
    assert run("shop", "-", given=lines(1)).exit_code == 0
    assert collector.requests[0].headers["authorization"] == "Bearer tg_key"


def test_a_file_that_is_not_there_is_named(collector: Collector) -> None:
    done = run("shop", "nowhere.jsonl")
    assert (done.exit_code, "nowhere.jsonl can't be read" in done.stderr) == (2, True)
    assert not collector.requests
