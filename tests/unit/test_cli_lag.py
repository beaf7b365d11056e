"""`tidegate lag` shows each consumer, `?` where something is not known, and ends with 1 when a query of ours stands still."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import asking
from controlplane.contract.lag import (
    ConsumerKind,
    ConsumerState,
    LagFrame,
    LagJudged,
    LagSource,
    LagVerdict,
    PartitionLag,
)
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LAKE = LagJudged(
    at=NOW,
    consumer="lake shop",
    consumer_kind=ConsumerKind.QUERY,
    topic="shop.valid",
    stream="shop",
    hop=Hop.LAKE,
    partitions=(
        PartitionLag(partition=0, position=5, end=1239, lag_events=1234, lag_s=12.34, error_s=0.5, taken_per_s=500.0,
                     arriving_per_s=400.0, source=LagSource.BETWEEN, verdict=LagVerdict.OK, reason="keeps up"),
        PartitionLag(partition=1, verdict=LagVerdict.UNKNOWN, reason="the broker does not say"),
    ),
    lag_events=1234,
    lag_s=12.34,
    error_s=0.5,
    catch_up_s=9.6,
    verdict=LagVerdict.OK,
    since=NOW - timedelta(minutes=5),
    reason="keeps up",
    shadow="tidegate.lake.shop",
)  # fmt: skip
BILLING = LAKE.model_copy(
    update={"consumer": "billing", "consumer_kind": ConsumerKind.GROUP, "verdict": LagVerdict.STOP, "lag_s": None,
            "catch_up_s": None, "shadow": None, "lag_events": None}
)  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *words: str, states: list[ConsumerState]) -> Result:
    def answer(*_: Any, **__: Any) -> httpx.Response:
        frame = LagFrame(at=NOW, consumers=tuple(states), reason=None if states else "nobody measures")
        return httpx.Response(200, content=frame.model_dump_json(), request=httpx.Request("GET", "http://a"))

    monkeypatch.setattr(asking, "control_plane", lambda _: ("http://a", {}))
    monkeypatch.setattr(httpx, "request", answer)
    return CliRunner().invoke(cli.app, ["lag", *words], env={"COLUMNS": "240"})


def test_each_consumer_is_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    states = [ConsumerState(lag=LAKE), ConsumerState(lag=BILLING)]
    shown = run(monkeypatch, tmp_path, states=states)
    assert shown.exit_code == 0, "a group's standstill is its owner's"
    rows = [line.split() for line in shown.output.splitlines()]
    assert rows[1][:8] == ["lake", "shop", "shop.valid", "1,234", "12.3", "±", "0.5", "ok"]
    assert rows[2][:5] == ["billing", "shop.valid", "?", "?", "stop"]
    assert "(5 min)" in shown.output
    assert "never at these rates" in shown.output


@pytest.mark.parametrize(
    ("is_stale", "code", "told"),
    [(False, 1, "stall"), (True, 0, "unknown (stale)")],
    ids=["standing", "not-known-any-more"],
)
def test_a_query_that_stands_still_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, told: str, *, is_stale: bool
) -> None:
    stalled = LAKE.model_copy(update={"verdict": LagVerdict.STALL})
    shown = run(monkeypatch, tmp_path, states=[ConsumerState(lag=stalled, is_stale=is_stale)])
    assert shown.exit_code == code
    assert told in shown.output


def test_one_consumer_is_shown_by_partition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = run(monkeypatch, tmp_path, "show", "lake shop", states=[ConsumerState(lag=LAKE)])
    assert shown.exit_code == 0, shown.output
    assert "any Kafka tool reads it as group tidegate.lake.shop" in shown.output
    known, unknown = (line.split() for line in shown.output.splitlines()[-2:])
    assert known[:9] == ["0", "5", "1,239", "1,234", "12.3", "±", "0.5", "between", "500"]
    assert unknown[:9] == ["1", "?", "?", "?", "?", "?", "?", "?", "unknown"]


def test_a_consumer_that_is_not_there_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = run(monkeypatch, tmp_path, "show", "lake", states=[ConsumerState(lag=LAKE)])
    assert (shown.exit_code, shown.output) == (2, "tidegate: there is no consumer 'lake'; known are: lake shop\n")


def test_json_is_the_frame_and_none_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = run(monkeypatch, tmp_path, "-o", "json", states=[ConsumerState(lag=LAKE)])
    assert json.loads(shown.output)["consumers"][0]["lag"]["lag_events"] == 1234
    none = run(monkeypatch, tmp_path, states=[])
    assert none.output == "No consumer is known: nobody measures.\n"
