"""Which numbers does Grafana get? Pure: frames of the push protocol in, points out.

Each has the time at which it was measured. What is older than 30 s is no live number and is left out, and so is what is not
known; a verdict that is not known is the word `unknown`. Of a rollup a bucket is sent once, when the next but one has begun:
what comes later than that is in ClickHouse, not in Grafana's picture. A replay has its event time in the past, so it has hops
and no rollups here.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.lag import LagFrame
from controlplane.contract.push import LiveFrame, OverviewFrame
from pipeline.grafana.lines import Point, measurement_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlplane.contract.facts import HopMeasured
    from controlplane.contract.lag import ConsumerState
    from controlplane.contract.streams import StreamDefinition

LIVE_FOR = timedelta(seconds=30)
_BUCKETS_AT_MOST = 5
"""Of one frame; what is further back was missed, and would be drawn behind what is there."""
_OPEN_BUCKETS = 2
Frame = OverviewFrame | LagFrame | LiveFrame
Tags = tuple[tuple[str, str], ...]


def points_of(frame: Frame, streams: Mapping[str, StreamDefinition], now: datetime) -> list[Point]:
    """What a frame says that is known and of now."""
    match frame:
        case OverviewFrame():
            return [*_overview(frame, now)]
        case LagFrame():
            return [point for each in frame.consumers for point in _consumer(each, now)]
        case LiveFrame():
            return [*_rollup(frame, streams[frame.stream], now)] if frame.stream in streams else []


def _overview(frame: OverviewFrame, now: datetime) -> Iterator[Point]:
    if now - frame.at > LIVE_FOR:
        return
    yield Point("problems", (), float(len(frame.problems)), frame.at)
    for stream in frame.streams:
        yield Point("ledger_verdict", (("stream", stream.name),), str(stream.verdict), frame.at)
        for hop in stream.hops:
            yield from _hop(hop, now)
    if frame.event_to_pixel is not None:
        for share, value in (("50", frame.event_to_pixel.p50), ("99", frame.event_to_pixel.p99)):
            yield Point("event_to_pixel_ms", (("percentile", share),), value, frame.at)


def _hop(hop: HopMeasured, now: datetime) -> Iterator[Point]:
    if now - hop.at > LIVE_FOR:
        return
    tags = (("stream", hop.stream), ("hop", str(hop.hop)))
    age_s = None if hop.newest_at is None else max((hop.at - hop.newest_at).total_seconds(), 0.0)
    yield from _known(
        tags,
        hop.at,
        hop_events_per_second=hop.events_per_s,
        hop_lag_events=hop.lag_events,
        hop_lag_seconds=hop.lag_s,
        hop_age_seconds=age_s,
    )


def _consumer(consumer: ConsumerState, now: datetime) -> Iterator[Point]:
    lag = consumer.lag
    if now - lag.at > LIVE_FOR:
        return
    tags = (("consumer", lag.consumer), ("topic", lag.topic))
    verdict = "unknown" if consumer.is_stale else str(lag.verdict)
    yield Point("consumer_verdict", tags, verdict, lag.at)
    if not consumer.is_stale:
        yield from _known(tags, lag.at, consumer_lag_events=lag.lag_events, consumer_lag_seconds=lag.lag_s)


def _rollup(frame: LiveFrame, stream: StreamDefinition, now: datetime) -> Iterator[Point]:
    rollup = stream.rollups.get(frame.rollup)
    if rollup is None or frame.reason is not None:
        return
    live_for = LIVE_FOR + (_OPEN_BUCKETS + 1) * timedelta(seconds=frame.bucket_s)
    closed = [*enumerate(frame.buckets)][:-_OPEN_BUCKETS][-_BUCKETS_AT_MOST:]
    for index, start in closed:
        at = datetime.fromtimestamp(start, UTC)
        if not timedelta(0) <= now - at <= live_for:
            continue
        for series in frame.series:
            tags = tuple(zip(rollup.dimensions, series.key, strict=False))
            for measure, values in series.measures.items():
                value = values[index]
                if value is not None and math.isfinite(value):
                    yield Point(measurement_of("live", frame.stream, frame.rollup, measure), tags, value, at)


def _known(tags: Tags, at: datetime, **values: float | None) -> Iterator[Point]:
    for measurement, value in values.items():
        if value is not None and math.isfinite(value):
            yield Point(measurement, tags, float(value), at)
