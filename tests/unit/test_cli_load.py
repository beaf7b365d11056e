"""What does `tidegate load` ask for, and what does it refuse itself?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import load, load_seconds
from controlplane.contract.loads import LoadAsked, LoadSecond
from controlplane.contract.operations import Kind, OperationAsked, OperationState
from controlplane.service.operations.asked import command_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[Any, list[Any]]:
    given: list[Any] = []
    monkeypatch.setattr(load, "run_operation", lambda _, wanted, **options: given.append((wanted, options)))
    monkeypatch.setattr(load, "asked", lambda *_, **__: [{"name": "orders"}, {"name": "shop"}])
    return CliRunner().invoke(cli.app, ["load", "start", *words]), given


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        pytest.param(["shop"], {"stream": "shop"}, id="a-stream-by-kafka"),
        pytest.param(
            ["shop", "--target", "collector", "--shape", "flash-sale", "--rate", "500", "--for", "2m"],
            {"stream": "shop", "target": "collector", "shape": "flash-sale", "rate": 500, "lasts": "2m"},
            id="by-the-collector",
        ),
        pytest.param(
            ["hub", "--users", "900"], {"stream": "orders", "target": "hub", "users": 900}, id="the-first-stream"
        ),
        pytest.param(["console", "--stream", "shop"], {"stream": "shop", "target": "console"}, id="pages-of-a-stream"),
    ],
)
def test_a_load_is_asked_for_and_its_operation_names_a_command_that_asks_for_the_same(
    monkeypatch: pytest.MonkeyPatch, words: Sequence[str], asked: dict[str, Any]
) -> None:
    found, [(wanted, options)] = run(monkeypatch, *words, "--dry-run")
    assert (found.exit_code, options["dry_run"]) == (0, True)
    assert LoadAsked.model_validate(wanted.asked) == LoadAsked.model_validate(asked)
    again = command_of(OperationAsked(kind=Kind.LOAD_TEST, asked=wanted.asked)).split()[3:]
    _, [(same, _)] = run(monkeypatch, *again)
    assert same.asked == wanted.asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["--for", "soon"], "'soon' is not a duration", id="no-duration"),
        pytest.param(["--for", "1s"], "from 5s to 6h", id="too-short"),
        pytest.param(["--rate", "90000", "--for", "5m"], "ask for less, or shorter", id="too-many"),
    ],
)
def test_what_can_not_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, words: Sequence[str], says: str) -> None:
    found, given = run(monkeypatch, "shop", *words)
    assert (found.exit_code, given) == (2, [])
    assert says in found.output


class Under:
    """A run that is watched: it runs, and has ended when it is asked for again."""

    def __init__(self, _: object) -> None:
        self._states = [OperationState.RUNNING, OperationState.CANCELLED]

    def one(self, _: str, *, patience_s: float = 0) -> Any:  # noqa: ARG002 (as of the real one)
        return SimpleNamespace(state=self._states.pop(0))


def test_a_run_is_watched_second_by_second_and_what_nobody_said_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        LoadSecond(t_s=1, asked=200, offered=199, executors=2, lag_s={"route shop": 0.2, "lake shop": None}),
        LoadSecond(t_s=2, asked=200, waiting=7),
    ]
    monkeypatch.setattr(load_seconds, "Operations", Under)
    monkeypatch.setattr(load_seconds, "_seconds", lambda *_: rows)
    monkeypatch.setattr(load_seconds, "_EVERY_S", 0)
    found = CliRunner().invoke(cli.app, ["load", "watch", "abc"])
    head, first, second, end = found.output.splitlines()
    assert found.exit_code == 5
    assert head.split()[-3:] == ["executors", "waiting", "behind"]
    assert first.split()[:3] == ["1", "200", "199"]
    assert first.endswith("2   unknown  route shop 0.2 s, lake shop unknown")
    assert second.endswith("unknown         7  unknown")
    assert end.startswith("abc: cancelled")
