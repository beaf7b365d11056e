"""How old is an event when it is seen: on each topic, in ClickHouse, at the browser, as a pixel?

The whole platform runs, the console is open in Chromium, the shop's feed sends at a steady rate. The topics' figures are
read from the records (event time against the broker's own append time); the last ones are from the browser's own list of
its paints, the warm-up left out. All clocks are this machine's.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlplane.contract.names import Hop, topic
from controlplane.contract.push import Marks
from controlplane.service.latency import Latencies
from controlplane.up import Platform
from load_tests.bench.browser import opened_console
from pipeline.kafka import await_broker, consumer, partitions_of, read_range, watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlplane.contract.push import Percentiles

_STREAM = "shop"
_WARM_UP_S = 30.0
_POLL_S = 0.5


def measure(rate: float, seconds: float, told: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """p50 and p99 by hop, milliseconds after the event time.

    Raises:
        RuntimeError: if nothing was painted.
    """
    feeds = {_STREAM: ("--rate", str(rate), "--faults", "0")}
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), feeds=feeds, told=told) as platform:
        platform.start()
        with opened_console(f"{platform.settings.console}/live/{_STREAM}") as page, _beating(platform) as beat:
            told(f"warming up for {_WARM_UP_S:.0f} s")
            beat(_WARM_UP_S, page)
            page.evaluate("window.tidegate.paints.length = 0")
            begin = _ends(platform, Hop.VALID)
            told(f"watching for {seconds:.0f} s")
            beat(seconds, page)
            painted = _of_paints(page.evaluate("window.tidegate.paints"))
            valid = _on_topics(platform, begin)
    if "event_to_pixel_ms" not in painted:
        raise RuntimeError("no chart was painted: is the feed running? See the logs of console and control")
    last = ("event_to_served_ms", "event_to_pushed_ms", "event_to_pixel_ms")
    return {**valid, **{name: painted[name].model_dump() for name in last}}


def _of_paints(paints: list[dict[str, Any]]) -> dict[str, Percentiles]:
    """What the hub would say of these pictures alone; its own window still holds the warm-up."""
    latencies = Latencies()
    for paint in paints:
        if paint["marks"] is not None:
            marks = Marks.model_validate(paint["marks"])
            latencies.painted("bench", paint["topic"], marks, paint["sent_at_ms"], paint["at_ms"])
    return latencies.all(max((paint["at_ms"] for paint in paints), default=0.0))


@contextmanager
def _beating(platform: Platform) -> Iterator[Callable[[float, Any], None]]:
    """Keeps supervising while the browser paints."""

    def beat(seconds: float, page: Any) -> None:  # noqa: ANN401 (a page of the browser)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            platform.beat()
            page.wait_for_timeout(_POLL_S * 1000)

    yield beat


def _ends(platform: Platform, hop: Hop) -> dict[int, int]:
    name = topic(_STREAM, hop)
    client = consumer(platform.settings.kafka, group="tidegate-bench")
    partitions = partitions_of(await_broker(platform.settings.kafka), name)
    found = {partition: high for partition, (_, high) in watermarks(client, name, partitions).items()}
    client.close()
    return found


def _on_topics(platform: Platform, begin: dict[int, int]) -> dict[str, dict[str, float]]:
    """Event to raw, and event to valid, of the events that came meanwhile."""
    import json
    from io import BytesIO

    import fastavro

    from controlplane.contract.folders import load_stream
    from controlplane.contract.settings import SHIPPED_STREAMS
    from controlplane.contract.valid import valid_schema

    schema = fastavro.parse_schema(json.loads(json.dumps(valid_schema(load_stream(SHIPPED_STREAMS / _STREAM)))))
    client = consumer(platform.settings.kafka, group="tidegate-bench")
    to_raw, to_valid = [], []
    for partition, until in _ends(platform, Hop.VALID).items():
        for message in read_range(client, topic(_STREAM, Hop.VALID), partition, begin[partition], until):
            event: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), schema)
            at_ms = event["event_time"].timestamp() * 1000
            to_raw.append(event["tg_raw_at"].timestamp() * 1000 - at_ms)
            to_valid.append(message.timestamp()[1] - at_ms)
    client.close()
    return {"event_to_raw_ms": _percentiles(to_raw), "event_to_valid_ms": _percentiles(to_valid)}


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(ordered[len(ordered) // 2], 1),
        "p99": round(ordered[int(len(ordered) * 0.99)], 1),
        "samples": len(ordered),
    }
