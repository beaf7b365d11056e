"""The real part beside a control plane that is told facts: each panel gets its numbers, both ways, also once Grafana is back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.contract.facts import FACTS, HopMeasured
from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict
from controlplane.contract.metrics.table import GRAFANA, of_process
from controlplane.contract.names import Hop
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from load_tests.bench.browser import served
from load_tests.bench.grafana_live import TOKEN, GrafanaLive, create_grafana
from load_tests.bench.signed import Signed, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from controlplane.contract.streams import StreamDefinition

ROOT = Path(__file__).parents[2]
LIVE = json.loads((ROOT / "docker" / "grafana" / "dashboards" / "live.json").read_text())
CHANNELS = {target["channel"] for panel in LIVE["panels"] for target in panel["targets"]}
UNTIL_A_BROWSER_LOOKS = {"stream/tidegate/event_to_pixel_ms"}


def clickhouse(sql: str, **asked: int | str) -> Sequence[tuple[object, ...]]:
    """Events that come now, five views a second."""
    now_ms = int(time.time() * 1000)
    if "_arrivals" in sql:
        return [(0, now_ms // 200, now_ms, now_ms)]
    if "shop_traffic_live" not in sql:
        return []
    return [(0, second, "view", 5, 3, 120.0) for second in range(int(asked["fresh"]), int(asked["until"]))]


@pytest.fixture
def plane(shop: StreamDefinition, tmp_path: Path, eventually: Callable[..., Any]) -> Iterator[tuple[str, Signed]]:
    """A control plane in this process, by its address, and who may tell it facts."""
    port, who = free_port(), signed(tmp_path)
    with served(create_api(Service([shop], clickhouse, "http://console", 0.1), access=who.access), port):
        api = f"http://127.0.0.1:{port}"
        eventually(lambda: is_ready(api), "the control plane answers")
        yield api, who


def is_ready(api: str) -> bool:
    try:
        return httpx.get(f"{api}/healthz").is_success
    except httpx.HTTPError:
        return False


@dataclass(frozen=True)
class _Way:
    """A Grafana, and how it is pushed to."""

    mode: str
    folder: Path
    live: GrafanaLive = field(default_factory=GrafanaLive)
    port: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> dict[str, int]:
        return {channel: len(frames) for channel, frames in self.live.channels.items()}

    def oldest_since(self, before: dict[str, int]) -> float:
        """Epoch seconds of the oldest point that came later."""
        later = [frame for channel, frames in self.live.channels.items() for frame in frames[before.get(channel, 0) :]]
        return min(at.timestamp() for frame in later for at in frame.times)


@contextmanager
def pushing(api: str, who: Signed, grafana: str, folder: Path, mode: str) -> Iterator[str]:
    """The part as `tidegate up` starts it; gives the address of its metrics."""
    folder.mkdir(exist_ok=True)
    metrics = f"127.0.0.1:{free_port()}"
    (folder / "parts.token").write_text(who.access.service_token)
    (folder / "grafana.token").write_text(f"{TOKEN}\n")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "TIDEGATE_API": api, "TIDEGATE_METRICS": metrics, "TIDEGATE_DATA": str(folder),
        "TIDEGATE_TOKEN_FILE": str(folder / "parts.token"), "TIDEGATE_GRAFANA": grafana,
        "TIDEGATE_GRAFANA_TOKEN": f"@{folder / 'grafana.token'}", "TIDEGATE_GRAFANA_RATE": "10",
        "TIDEGATE_GRAFANA_MODE": mode, "TIDEGATE_GRAFANA_TOPICS": "overview,lag,live/*",
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "pipeline", "grafana"]
    with (folder / "log").open("a") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            yield f"http://{metrics}/metrics"
        finally:
            process.terminate()
            assert process.wait(10) == 0, (folder / "log").read_text()


def tell(api: str, who: Signed, lag_s: float) -> None:
    """How lake stands now."""
    now = datetime.now(UTC)
    hop = HopMeasured(
        at=now, stream="shop", hop=Hop.LAKE, events=10, events_per_s=5, lag_events=3, lag_s=lag_s, newest_at=now
    )
    lag = LagJudged(
        at=now, consumer="lake shop", consumer_kind=ConsumerKind.QUERY, topic="shop.valid", verdict=LagVerdict.OK
    )
    httpx.post(f"{api}/api/v1/facts", content=FACTS.dump_json([hop, lag]), headers=who.headers).raise_for_status()


def test_every_panel_is_pushed_to_by_both_ways_and_after_grafana_was_gone_only_what_is_new(
    plane: tuple[str, Signed], tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    api, who = plane
    ways = [_Way(mode, tmp_path / mode) for mode in ("http", "websocket")]
    with ExitStack() as parts:
        metrics = [parts.enter_context(pushing(api, who, each.address, each.folder, each.mode)) for each in ways]

        def arrives(lag_s: float) -> bool:
            tell(api, who, lag_s)
            return all(each.live.latest("hop_lag_seconds", stream="shop", hop="lake") == lag_s for each in ways)

        def all_channels() -> bool:
            return all(each.live.channels.keys() >= CHANNELS - UNTIL_A_BROWSER_LOOKS for each in ways)

        with ExitStack() as grafanas:
            for each in ways:
                grafanas.enter_context(served(create_grafana(each.live), each.port))
            eventually(lambda: arrives(1.0), "the lag is in both")
            eventually(all_channels, "every panel has its channel")
        tell(api, who, 2.0)
        eventually(
            lambda: all(sample(each, "tidegate_grafana_up") == 0 for each in metrics), "that both are gone is told"
        )
        back, seen = datetime.now(UTC), [each.counts() for each in ways]
        with ExitStack() as grafanas:
            for each in ways:
                grafanas.enter_context(served(create_grafana(each.live), each.port))
            eventually(lambda: arrives(4.0), "the lag of now is in both, which are back")
        for each, before in zip(ways, seen, strict=True):
            assert each.oldest_since(before) > back.timestamp() - 15
            values = [
                value
                for frame in each.live.channels["stream/tidegate/hop_lag_seconds"]
                for value in frame.columns["value"]
            ]
            assert 2.0 not in values, "what was while it was gone is not told later"
            assert (each.live.mistakes, each.live.unreachable, each.live.changed, each.live.conflicts) == (
                [],
                set(),
                [],
                [],
            )
            assert set(each.live.ways) == {each.mode}
        exposed = {each.name for each in text_string_to_metric_families(httpx.get(metrics[0]).text)}
        assert {metric.name.removesuffix("_total") for metric in of_process(GRAFANA)} == {
            name for name in exposed if name.startswith("tidegate_")
        }


def test_a_token_that_grafana_does_not_know_is_said_and_sent_no_more(
    plane: tuple[str, Signed], tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    (api, who), live, port = plane, GrafanaLive(tokens={}), free_port()
    with served(create_grafana(live), port), pushing(api, who, f"http://127.0.0.1:{port}", tmp_path, "http") as metrics:
        tell(api, who, 1.0)
        eventually(lambda: sample(metrics, "tidegate_grafana_points_total", "refused"), "it is counted")
        assert live.statuses == [401]
        assert "Grafana refuses what is sent: 401: it does not know the token" in (tmp_path / "log").read_text()


def sample(metrics: str, name: str, *labels: str) -> float | None:
    """A metric's value; None while there is none."""
    try:
        text = httpx.get(metrics).text
    except httpx.HTTPError:
        return None
    return next(
        (
            each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
            if each.name == name and tuple(each.labels.values()) == labels
        ),
        None,
    )
