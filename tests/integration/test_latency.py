"""How old events are on a real platform: every hop up to the hub, of probes and of a stream, and no list has the probes in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from controlplane.contract.latency import PROBE, LatencyFrame, LatencyHop, StreamLatency
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition

BY_LIVE = {LatencyHop.RAW, LatencyHop.ROUTED, LatencyHop.INSERTED}


def get(running: Any, path: str) -> Any:
    answer = httpx.get(f"{running.settings.api}{path}", headers=running.settings.authorization, timeout=5)
    return answer.raise_for_status().json()


def measured(stream: StreamLatency | None) -> set[LatencyHop]:
    return set() if stream is None else {each.hop for each in stream.windows["5m"] if each.samples}


def test_every_hop_is_measured_of_probes_and_of_a_stream(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    producer = EventProducer(shop, running.settings.kafka, running.settings.registry, transactional_id=uuid4().hex)
    with producer.transaction() as send:
        for number in range(50):
            send(event(11, number, 0.0, datetime.now(UTC)).value)

    def look() -> LatencyFrame | None:
        frame = LatencyFrame.model_validate(get(running, "/api/v1/latency"))
        of_shop = next(each for each in frame.streams if each.name == "shop")
        has_all = measured(frame.probes) >= {*BY_LIVE, LatencyHop.SERVED} and measured(of_shop) >= BY_LIVE
        return frame if has_all else None

    frame = eventually(look, "every hop is measured")
    assert frame.probes is not None
    medians = {each.hop: each.p50_ms or 0.0 for each in frame.probes.windows["5m"]}
    assert medians[LatencyHop.RAW] <= medians[LatencyHop.ROUTED] <= medians[LatencyHop.INSERTED]
    # The hub has not seen the probes that waited for route's start.
    assert medians[LatencyHop.RAW] <= medians[LatencyHop.SERVED]
    assert frame.probe.reason is None
    names = {each["name"] for each in get(running, "/api/v1/streams")}
    assert PROBE not in {*names, *(each["stream"] for each in get(running, "/api/v1/ledger"))}
    told = [fact for fact in get(running, "/api/v1/facts") if PROBE in json.dumps(fact)]
    assert {fact["kind"] for fact in told} == {"hops_timed"}, "of probes only their age is known"
