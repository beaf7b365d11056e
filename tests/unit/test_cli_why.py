"""`tidegate lag why` names causes in their order, and says what is not known."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from controlplane.commands import asking
from controlplane.commands import why as why_command
from controlplane.contract.lag import (
    Cause,
    ConsumerKind,
    ConsumerState,
    LagExplained,
    LagFrame,
    LagJudged,
    Suspect,
)
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NOW = datetime.now(UTC)


def suspect(cause: Cause, share: float) -> Suspect:
    return Suspect(cause=cause, share=share, evidence="Seen.", advice="Do it.", page="/lag")


def state(consumer: str, hop: Hop | None = Hop.LAKE, **explained: Any) -> ConsumerState:
    kind = ConsumerKind.GROUP if hop is None else ConsumerKind.QUERY
    lag = LagJudged(at=NOW, consumer=consumer, consumer_kind=kind, topic="shop.valid", stream="shop", hop=hop)
    said = LagExplained(at=NOW, consumer=consumer, stream="shop", **explained) if explained else None
    return ConsumerState(lag=lag, explained=said)


SLOW = state(
    "lake shop",
    is_slow=True,
    suspects=(suspect(Cause.SMALL_FILES, 0.6), suspect(Cause.GATE, 0.2)),
    reason="nothing known of stages: it is away",
)
FRAME = LagFrame(
    at=NOW, consumers=(SLOW, state("live shop", Hop.SERVING), state("route shop", is_slow=False), state("people", None))
)


def aged(text: str) -> str:
    """However slow the test is."""
    return re.sub(r"as of \d+ s ago", "as of N s ago", text)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def get(_method: str, url: str, **_: Any) -> httpx.Response:
        assert url == "http://api/api/v1/lag"
        return httpx.Response(200, content=FRAME.model_dump_json(), request=httpx.Request("GET", url))

    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://api", {}))
    monkeypatch.setattr(httpx, "request", get)
    app = typer.Typer()
    app.command()(why_command.why)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_slow_queries_and_unknown_ones_are_told(run: Any) -> None:
    found: Result = run()
    assert found.exit_code == 0
    assert aged(found.output).splitlines() == [
        "lake shop: slow, as of N s ago",
        "  1. small files, 60%: Seen.",
        "     Do it.",
        "  2. gate, 20%: Seen.",
        "     Do it.",
        "  nothing known of stages: it is away",
        "live shop: unknown, the lag monitor has not explained it lately",
    ]


def test_a_query_that_is_asked_about_is_told_in_any_case(run: Any) -> None:
    assert aged(run("route shop").output) == "route shop: not slow, as of N s ago\n"


def test_a_query_that_does_not_exist_is_refused_with_those_that_do(run: Any) -> None:
    found: Result = run("lake shopp")
    assert found.exit_code == 2
    assert found.stderr == "tidegate: there is no query 'lake shopp'; there are: lake shop, live shop, route shop\n"


def test_json_has_what_was_explained(run: Any) -> None:
    found = json.loads(run("-o", "json").output)
    assert [each["consumer"] for each in found] == ["lake shop", "route shop"]
    assert found[0]["suspects"][0]["cause"] == "small_files"
