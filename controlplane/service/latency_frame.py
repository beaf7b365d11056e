"""How old are events at each hop, of every stream, as the page and `tidegate latency` show it? And its histogram."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.latency import PROBE, WINDOWS, LatencyBar, LatencyFrame, LatencyHop, StreamLatency
from controlplane.contract.spread import lower_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from controlplane.contract.latency import BurnJudged, HopLatency, ProbeState
    from controlplane.contract.spread import Spread
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.latency import Latencies

_BY_LIVE = (LatencyHop.RAW, LatencyHop.ROUTED, LatencyHop.INSERTED)
_BARS_AT_MOST = 60
_NEIGHBOURS = 4
"""Buckets that are shown as one: a quarter of an octave."""


def latency_frame(
    latencies: Latencies,
    streams: Sequence[StreamDefinition],
    burns: Sequence[BurnJudged],
    probe: ProbeState,
    now: datetime,
) -> LatencyFrame:
    """Everything as known at `now`."""
    told = [_stream(latencies, each.name, each.title, each.service_levels.latency, burns, now) for each in streams]
    probes = _stream(latencies, PROBE, "Probes", None, (), now) if probe.is_on else None
    return LatencyFrame(at=now, streams=tuple(told), probes=probes, probe=probe)


def bars(spread: Spread) -> tuple[LatencyBar, ...]:
    """A spread as a histogram, without holes; what lies beyond the widest that can be drawn is in the last one."""
    total = sum(spread.weights.values())
    if not total:
        return ()
    wide: dict[int, float] = {}
    for bucket, weight in spread.weights.items():
        wide[bucket // _NEIGHBOURS] = wide.get(bucket // _NEIGHBOURS, 0.0) + weight
    first, last = min(wide), max(wide)
    until = min(last, first + _BARS_AT_MOST - 1)
    beyond = sum(weight for bucket, weight in wide.items() if bucket > until)
    return tuple(
        LatencyBar(
            from_ms=round(lower_ms(each * _NEIGHBOURS), 3),
            to_ms=round(lower_ms(((last if each == until else each) + 1) * _NEIGHBOURS), 3),
            share=(wide.get(each, 0.0) + (beyond if each == until else 0.0)) / total,
        )
        for each in range(first, until + 1)
    )


def _stream(  # noqa: PLR0913 (what a row is made of)
    latencies: Latencies,
    name: str,
    title: str,
    promised: timedelta | None,
    burns: Sequence[BurnJudged],
    now: datetime,
) -> StreamLatency:
    windows = {
        window: tuple(_hops(latencies, name, timedelta(seconds=seconds), now)) for window, seconds in WINDOWS.items()
    }
    return StreamLatency(
        name=name,
        title=title,
        since=latencies.since.get(name),
        promised_ms=None if promised is None else promised.total_seconds() * 1000,
        windows=windows,
        burns=tuple(each for each in burns if each.stream == name),
    )


def _hops(latencies: Latencies, name: str, within: timedelta, now: datetime) -> Iterator[HopLatency]:
    for hop in LatencyHop:
        found = latencies.hop(name, hop, now, within)
        yield found if found.samples else found.model_copy(update={"reason": _why(name, hop)})


def _why(name: str, hop: LatencyHop) -> str:
    if hop in _BY_LIVE:
        return "no event has come"
    if name == PROBE:
        return "no probe has come" if hop is LatencyHop.SERVED else "probes are shown on no screen"
    return "nobody has watched this stream"
