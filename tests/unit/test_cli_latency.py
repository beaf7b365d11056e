"""`tidegate latency` says every hop, what is left of the budgets, and why something is unknown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from controlplane.cli import app
from controlplane.commands import latency
from controlplane.contract.latency import (
    WINDOWS,
    BurnJudged,
    BurnVerdict,
    HopLatency,
    LatencyFrame,
    LatencyHop,
    ProbeState,
    Since,
    StreamLatency,
)

if TYPE_CHECKING:
    from click.testing import Result

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def frame(*, probes: bool = True) -> LatencyFrame:
    measured = HopLatency(hop=LatencyHop.RAW, p50_ms=4.2, p99_ms=38.0, max_ms=1500.0, samples=12_000)
    unknown = HopLatency(hop=LatencyHop.PAINTED, reason="nobody has watched this stream")
    windows = dict.fromkeys(WINDOWS, (measured, unknown))
    burns = (
        BurnJudged(
            at=NOW, stream="shop", level="latency", promised_s=1.0, rates={"5m": 2.0, "1h": 0.5, "6h": None},
            budget_left=0.75, gone_in_s=36_000_000, by="probes", verdict=BurnVerdict.BURNS_FAST,
        ),
        BurnJudged(at=NOW, stream="shop", level="freshness", hop="lake", promised_s=30.0, rates={}, verdict="unknown",
                   reason="the lag monitor has not measured it"),
    )  # fmt: skip
    shop = StreamLatency(name="shop", title="Shop", since=Since.EVENT, promised_ms=1000, windows=windows, burns=burns)
    probe = StreamLatency(name="tidegate_probe", title="Probes", since=Since.EVENT, promised_ms=None, windows=windows)
    state = ProbeState(is_on=True, waits_s=2.5) if probes else ProbeState(is_on=False, reason="probes are off")
    return LatencyFrame(at=NOW, streams=(shop,), probes=probe if probes else None, probe=state)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*words: str, **how: bool) -> Result:
        monkeypatch.setattr(latency, "asked", lambda *_: frame(**how).model_dump(mode="json"))
        return CliRunner().invoke(app, ["latency", *words])

    return run


def test_every_hop_and_what_is_left(said: Any) -> None:
    words = said().output
    assert "raw p50 4 ms p99 38 ms max 1.5 s 12,000 samples" in " ".join(words.split())
    assert "painted   unknown: nobody has watched this stream" in words
    assert "latency, 1 s in 99% of the time: burns fast (by probes)" in words
    assert "burns 2.0x over 5m, 0.5x over 1h, unknown over 6h; left 75.0% of 30 days, gone in 10,000 h" in words
    assert "freshness of lake" in words
    assert "probes: age of events" in words
    assert "one is on its way, for 2.5 s" in words


def test_without_probes_that_is_said(said: Any) -> None:
    assert "probes: probes are off" in said(probes=False).output


def test_one_stream_as_json(said: Any) -> None:
    [found] = json.loads(said("--stream", "shop", "-o", "json").output)
    assert found["windows"]["5m"][0]["p99_ms"] == 38.0


def test_what_is_not_there_is_named_with_what_is(said: Any) -> None:
    wrong = said("--stream", "shap")
    assert wrong.exit_code == 2
    assert "there is no stream 'shap'; there are: shop, probes" in wrong.stderr
    assert "there are: 5m, 1h, 6h" in said("--window", "1d").stderr
