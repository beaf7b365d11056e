"""A real Prometheus against every process of a running platform: it finds them all, and they say what is documented."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.contract.metrics.table import METRICS, of_process
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition

TARGETS = ("up", "registry", "clickhouse", "control", "route", "lake", "live", "lag", "ledger", "quality", "alerts",
           "maintenance", "operations", "collector", "console")  # fmt: skip
OURS = [part for part in TARGETS if part != "registry"]


def scraped(running: Any, part: str) -> str:
    written = json.loads((running.platform.data / "prometheus" / "targets.json").read_text())
    [address] = next(each["targets"] for each in written if each["labels"]["part"] == part)
    answer = httpx.get(f"http://{address}/metrics", timeout=2).raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def test_prometheus_finds_every_process(prometheus: Any, eventually: Callable[..., Any]) -> None:
    def all_up() -> bool:
        found = {each["labels"]["part"]: each["health"] for each in prometheus.get("targets")["activeTargets"]}
        return found == dict.fromkeys(TARGETS, "up")

    eventually(all_up, "every process of the platform is an answering target")


@pytest.mark.parametrize("part", OURS)
def test_a_process_exposes_exactly_what_is_documented(part: str, running: Any) -> None:
    families = {each.name: each for each in text_string_to_metric_families(scraped(running, part))}
    named = {name: each.type for name, each in families.items() if name.startswith("tidegate_")}
    assert named == {metric.name.removesuffix("_total"): metric.kind for metric in of_process(part)}
    for metric in of_process(part):
        for sample in families[metric.name.removesuffix("_total")].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "python_info"} <= families.keys()


def test_events_on_their_way_are_counted_by_each_process_that_moves_them(
    running: Any, shop: StreamDefinition, prometheus: Any, eventually: Callable[..., Any]
) -> None:
    settings = running.settings
    producer = EventProducer(shop, settings.kafka, settings.registry, transactional_id=f"test-{uuid4().hex}")
    with producer, producer.transaction() as send:
        for number in range(50):
            send(event(1, number, 0.0, datetime.now(UTC)).value)
    for metric in ("tidegate_live_rows_total", "tidegate_lake_rows_total", "tidegate_hop_events_total{hop='lake'}"):
        eventually(lambda name=metric: prometheus.value(f"sum({name}) >= 50"), f"50 events in {metric}")
    for asked in (
        "sum(rate(tidegate_lake_commit_seconds_count[1m])) >= 0",
        "sum(tidegate_query_batches_total{query='lake shop'}) > 0",
        "sum(tidegate_clickhouse_requests_total{verb='insert',result='done'}) > 0",
        "count(tidegate_ledger_verdict == 1) >= 2",
        "tidegate_part_up{part='kafka'} == 1",
    ):
        assert eventually(lambda asked=asked: prometheus.value(asked) is not None, asked)


def test_the_rules_are_evaluated_and_give_values(prometheus: Any, eventually: Callable[..., Any]) -> None:
    groups = eventually(
        lambda: (found := prometheus.get("rules")["groups"]) and all(
            rule["health"] == "ok" for group in found for rule in group["rules"]) and found,
        "every rule was evaluated",
    )  # fmt: skip
    assert not [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
    for record in (
        "stream_hop:tidegate_hop_events:rate1m",
        "stream:tidegate_routed_events:increase5m",
        "stream_hop:tidegate_stale:bool",
        "stream_hop:tidegate_stale:ratio5m",
    ):
        eventually(lambda name=record: prometheus.value(f"count({name}) > 0"), f"{record} has values")


def test_no_alarm_is_raised_of_a_platform_that_runs(prometheus: Any, eventually: Callable[..., Any]) -> None:
    """Other tests stop parts, which is told: it ends when they are back."""

    def is_calm() -> bool:
        alerts = prometheus.get("alerts")["alerts"]
        return not [each for each in alerts if each["labels"]["rule"] == "part_down" and each["state"] == "firing"]

    eventually(is_calm, "nothing is told of parts")


def test_a_scrape_asks_no_broker(running: Any) -> None:
    """The broker is stopped, so whoever asks it waits."""
    broker = running.platform.pid("kafka")
    os.kill(broker, signal.SIGSTOP)
    try:
        for part in OURS:
            began = time.monotonic()
            text = scraped(running, part)
            assert time.monotonic() - began < 2.0, part
            assert f"# HELP {of_process(part)[0].name} " in text
    finally:
        os.kill(broker, signal.SIGCONT)


def test_every_metric_is_of_a_process_that_is_tried_here() -> None:
    """But for those of parts that are not always there; `grafana` is tried in `test_grafana_live.py`."""
    assert {part for metric in METRICS.values() for part in metric.of} == {*OURS, "feed", "grafana"}
