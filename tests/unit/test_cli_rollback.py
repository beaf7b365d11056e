"""What does `tidegate rollback` ask for, and what does it refuse itself?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import rollback
from controlplane.contract.backfills import RollbackAsked

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> tuple[Any, list[Any]]:
    asked: list[Any] = []
    monkeypatch.setattr(rollback, "run_operation", lambda _, given, **options: asked.append((given, options)))
    return CliRunner().invoke(cli.app, ["rollback", *words]), asked


def test_a_version_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found, [(asked, options)] = run(monkeypatch, ["shop", "--to-version", "7", "--then", "hold", "--dry-run"])
    assert found.exit_code == 0
    assert RollbackAsked.model_validate(asked.asked) == RollbackAsked(stream="shop", version=7, then="hold")
    assert options == {"yes": False, "dry_run": True, "output": "table"}


def test_a_time_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    _, [(asked, _)] = run(monkeypatch, ["shop", "--to", "2026-03-01T12:00:00"])
    assert asked.asked["to"] == "2026-03-01T12:00:00Z"
    assert asked.asked["then"] == "replay"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param([], "give a version or a time", id="neither-version-nor-time"),
        pytest.param(["--to-version", "7", "--to", "2026-03-01"], "one of the two", id="both"),
        pytest.param(["--to", "yesterday"], "no ISO 8601 time", id="no-time"),
        pytest.param(["--to-version", "7", "--then", "wait"], "'hold' or 'replay'", id="something-else-then"),
    ],
)
def test_what_can_not_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, words: list[str], says: str) -> None:
    found, asked = run(monkeypatch, ["shop", *words])
    assert found.exit_code == 2
    assert says in found.output
    assert not asked
