"""A runbook is read at three in the morning: every command in it must be one that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import alerts
from alerts.policy.rules import RULES
from controlplane.cli import _PASSED_ON, app
from pipeline.__main__ import app as pipeline_app

FOLDER = Path(alerts.__file__).parent / "runbooks"
ROOT: Any = typer.main.get_command(app)
PASSED_ON: Any = typer.main.get_command(pipeline_app)


def commands(text: str) -> list[list[str]]:
    """The words of each command in backticks, without the name of the program."""
    return [found.split() for found in re.findall(r"`tidegate ([^`]+)`", text)]


def missing(words: list[str]) -> str | None:
    """The first word that is no command, if there is one."""
    at = ROOT
    for number, word in enumerate(words):
        if not hasattr(at, "commands"):
            break
        if number == 0 and word in _PASSED_ON and _PASSED_ON[word][0] == "pipeline":
            at = PASSED_ON.commands[_PASSED_ON[word][1]]
        elif word in at.commands:
            at = at.commands[word]
        else:
            return f"tidegate {' '.join(words)}: there is no {word!r}"
    if not hasattr(at, "commands") or at.invoke_without_command:
        return None
    return f"tidegate {' '.join(words)}: which of {', '.join(at.commands)}?"


@pytest.mark.parametrize("rule", RULES)
def test_every_command_of_a_runbook_exists(rule: str) -> None:
    found = commands((FOLDER / f"{rule}.md").read_text())
    assert found, "a runbook without a command helps nobody"
    assert [told for words in found if (told := missing(words)) is not None] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert commands("run `tidegate gate ls` and `tidegate mend`") == [["gate", "ls"], ["mend"]]
    assert missing(["mend"]) is not None
    assert missing(["alerts"]) is not None
    assert missing(["maintain", "mend"]) is not None
    assert missing(["maintain", "plan"]) is None
    assert missing(["alerts", "windows", "ls"]) is None
