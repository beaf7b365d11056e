"""How old is an event when it is seen: on each topic, in ClickHouse, at the browser, as a pixel?

The whole platform runs, the console is open in Chromium, the shop's feed sends at a steady rate. The topics' figures are
read from the records, all of them (event time against the broker's own append time); `inserted` is what the platform itself
has measured, because only live knows; the last ones are from the browser's own list of its paints, the warm-up left out. All
clocks are this machine's. Probes' hops are the platform's own too. If asked to, it watches a second time, for as long as a run
of maintenance takes on the tables that were written meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from deltalake import DeltaTable

from controlplane.contract.burn import BUCKET, KEPT
from controlplane.contract.folders import load_stream
from controlplane.contract.latency import PROBE, HopLatency, LatencyHop
from controlplane.contract.names import Hop, lake_table, topic
from controlplane.contract.push import Marks
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.spread import MEDIAN, P99, gathered
from controlplane.service.latency import Latencies
from controlplane.service.latency_answers import HOPS
from controlplane.up import Platform
from load_tests.bench.browser import opened_console
from load_tests.bench.maintaining import maintaining
from load_tests.bench.signed import session_of
from load_tests.bench.until import until
from pipeline.kafka import await_broker, consumer, partitions_of, read_range, watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from playwright.sync_api import Page


_STREAM = "shop"
_WARM_UP_S = 30.0
_POLL_S = 0.5
_TAKE_EVERY_S = 60.0
_TAKEN = "window.tidegate.paints.splice(0)"
"""The browser keeps some thousand pictures: they are taken out of its list before it is full."""
_DUE_WITHIN_S = 120.0
_MAINTAINED_WITHIN_S = 240.0
_COMMITS_EVERY = "2s"
"""How often lake commits where maintenance is to find something to do after a minute."""
Hops = dict[str, dict[str, float]]
"""By hop: p50, p99 and samples; milliseconds after the event time."""
_BY_RECORDS = (LatencyHop.RAW, LatencyHop.ROUTED)
_BY_BROWSER = (LatencyHop.SERVED, LatencyHop.SENT, LatencyHop.PAINTED)


def measure(
    rate: float, seconds: float, told: Callable[[str], None], *, maintains: bool = False, probes: bool = True
) -> dict[str, Hops]:
    """The hops in each time that was watched: `alone`, and while `maintaining`; and those of the `probes` meanwhile.

    Raises:
        RuntimeError: if nothing was painted, or maintenance failed or had nothing to do.
    """
    feeds = {_STREAM: ("--rate", str(rate), "--faults", "0")}
    often = {"TIDEGATE_LAKE_TRIGGER": _COMMITS_EVERY} if maintains else {}
    often["TIDEGATE_PROBES"] = "on" if probes else "off"
    with (
        tempfile.TemporaryDirectory() as folder,
        Platform(Path(folder), feeds=feeds, environment=often, told=told) as platform,
    ):
        platform.start()
        session = session_of(platform.settings)
        with opened_console(console_of(platform, _STREAM), session) as page:
            told(f"warming up for {_WARM_UP_S:.0f} s")
            beat(platform, page, after(_WARM_UP_S + _until_half_minute()))
            told(f"watching for {seconds:.0f} s")
            found = {"alone": watched(platform, page, after(seconds))}
            if probes:
                found["probes"] = _said(platform, PROBE, seconds)
            if maintains:
                told("waiting until maintenance has something to do")
                beat(platform, page, until(partial(_is_due, platform), "many small files", _DUE_WITHIN_S))
                told("watching while maintenance runs")
                began, is_late = time.monotonic(), after(_MAINTAINED_WITHIN_S)
                with maintaining(Path(folder), _STREAM) as run:
                    found["maintaining"] = watched(platform, page, lambda: run.has_ended() or is_late())
                    stages = run.stages()
                told("\n".join([f"maintenance took {time.monotonic() - began:.0f} s:", *stages]))
    return found


def console_of(platform: Platform, stream: str) -> str:
    """The page that is watched."""
    return f"{platform.settings.console}/live/{stream}"


def watched(platform: Platform, page: Page, done: Callable[[], bool]) -> Hops:
    """The hops of what comes until it is done.

    Raises:
        RuntimeError: if nothing was painted meanwhile.
    """
    begin, began = _ends(platform, Hop.VALID), time.monotonic()
    painted = hops_of(pictures(platform, page, done))
    inserted = _said(platform, _STREAM, time.monotonic() - began).get(LatencyHop.INSERTED)
    return {**_on_topics(platform, begin), **({} if inserted is None else {LatencyHop.INSERTED: inserted}), **painted}


def pictures(platform: Platform, page: Page, done: Callable[[], bool]) -> list[dict[str, Any]]:
    """What the browser paints until it is done, as it keeps it: `topic`, `marks`, `sent_at_ms`, `at_ms`."""
    paints: list[dict[str, Any]] = []
    page.evaluate(_TAKEN)
    while not done():
        beat(platform, page, _either(done, after(_TAKE_EVERY_S)))
        paints += page.evaluate(_TAKEN)
    return paints


def hops_of(paints: Sequence[dict[str, Any]]) -> Hops:
    """The last hops, of these pictures alone: in ClickHouse, at the browser, as a pixel.

    Raises:
        RuntimeError: if there is none.
    """
    latencies = Latencies()  # the hub's own still hold the warm-up
    for paint in paints:
        if paint["marks"] is not None:
            marks = Marks.model_validate(paint["marks"])
            latencies.painted("bench", paint["topic"], marks, paint["sent_at_ms"], paint["at_ms"])
    last = datetime.fromtimestamp(max((paint["at_ms"] for paint in paints), default=0.0) / 1000, UTC)
    found = {hop: _of(latencies.hop(_STREAM, hop, last, KEPT)) for hop in _BY_BROWSER}
    if not found[LatencyHop.PAINTED]["samples"]:
        raise RuntimeError("no chart was painted: is the feed running? See the logs of console and control")
    return {str(hop): each for hop, each in found.items()}


def _until_half_minute() -> float:
    """The platform keeps latencies in half minutes: what is watched begins with one."""
    return BUCKET.total_seconds() - time.time() % BUCKET.total_seconds()


def _said(platform: Platform, stream: str, seconds: float) -> Hops:
    """What the platform itself has measured of a stream in the last seconds; nothing of hops of which nothing is known."""
    asked = {"stream": stream, "minutes": str(max(seconds, 1.0) / 60)}
    settings = platform.settings
    answer = httpx.get(f"{settings.api}{HOPS}", params=asked, headers=settings.authorization, timeout=10)
    hops = [HopLatency.model_validate(each) for each in answer.raise_for_status().json()]
    return {str(each.hop): _of(each) for each in hops if each.samples}


def _of(hop: HopLatency) -> dict[str, float]:
    return {"p50": hop.p50_ms or 0.0, "p99": hop.p99_ms or 0.0, "samples": hop.samples}


def _either(one: Callable[[], bool], other: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: one() or other()


def beat(platform: Platform, page: Page, done: Callable[[], bool]) -> None:
    """Keep supervising while the browser paints."""
    while not done():
        platform.beat()
        page.wait_for_timeout(_POLL_S * 1000)


def _is_due(platform: Platform) -> bool:
    files = DeltaTable(lake_table(platform.settings.lake_root, _STREAM)).file_uris()
    return len(files) >= load_stream(SHIPPED_STREAMS / _STREAM).maintenance.small_files


def after(seconds: float) -> Callable[[], bool]:
    """Have so many seconds gone?"""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


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

    from controlplane.contract.valid import valid_schema

    schema = fastavro.parse_schema(json.loads(json.dumps(valid_schema(load_stream(SHIPPED_STREAMS / _STREAM)))))
    client = consumer(platform.settings.kafka, group="tidegate-bench")
    to_raw, to_valid = [], []
    for partition, end in _ends(platform, Hop.VALID).items():
        for message in read_range(client, topic(_STREAM, Hop.VALID), partition, begin[partition], end):
            event: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), schema)
            at_ms = event["event_time"].timestamp() * 1000
            to_raw.append(event["tg_raw_at"].timestamp() * 1000 - at_ms)
            to_valid.append(message.timestamp()[1] - at_ms)
    client.close()
    return {str(hop): _percentiles(ages) for hop, ages in zip(_BY_RECORDS, (to_raw, to_valid), strict=True)}


def _percentiles(ages_ms: list[float]) -> dict[str, float]:
    spread = gathered((age_ms, 1.0) for age_ms in ages_ms)
    p50, p99 = (round(spread.quantile(share) or 0.0, 1) for share in (MEDIAN, P99))
    return {"p50": p50, "p99": p99, "samples": spread.samples}
