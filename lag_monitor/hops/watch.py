"""One round: count every hop, from the end of the way to its beginning, and say how each stands."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.facts import HopMeasured
from controlplane.contract.names import Hop
from lag_monitor.hops.counts import Counts
from lag_monitor.hops.measure import Curve, lag_events, lag_seconds
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from controlplane.contract.settings import Settings
    from lag_monitor.hops.counts import CountSource
    from lag_monitor.kafka.cluster import Cluster
    from lag_monitor.positions.lake import LakeEnds

_ROUTED = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)
_BEFORE = {Hop.LAKE: Hop.VALID, Hop.SERVING: Hop.VALID}


def watch_hops(
    settings: Settings, streams: Iterable[str], cluster: Cluster, lake: LakeEnds
) -> Callable[[], list[HopMeasured]]:
    """A round that counts every hop of the streams."""
    names, counts = tuple(streams), Counts(settings, cluster, lake)
    curves: dict[tuple[str, Hop], Curve] = defaultdict(Curve)
    return lambda: measure_all(names, counts, curves, lambda: datetime.now(UTC))


def measure_all(
    streams: Iterable[str],
    source: CountSource,
    curves: MutableMapping[tuple[str, Hop], Curve],
    now: Callable[[], datetime],
) -> list[HopMeasured]:
    """A fact for every hop of every stream."""
    return [fact for stream in streams for fact in _measure(stream, source, curves, now)]


def _measure(
    stream: str,
    source: CountSource,
    curves: MutableMapping[tuple[str, Hop], Curve],
    now: Callable[[], datetime],
) -> list[HopMeasured]:
    reasons: dict[Hop, str] = {}
    for hop in reversed(Hop):
        try:
            count: int | None = source.count(stream, hop)
        except UnknownError as error:
            count, reasons[hop] = None, str(error)
        curves[stream, hop].add(now(), count)
    at = now()
    here = {hop: curves[stream, hop] for hop in Hop}
    routed = _together([here[hop] for hop in _ROUTED])
    return [_fact(stream, hop, here, routed, reasons, at) for hop in Hop]


def _together(curves: list[Curve]) -> Curve:
    """Everything that route has passed on or turned away."""
    counts = [curve.count for curve in curves]
    whole = Curve()
    if None not in counts:
        whole.samples.append((max(curve.samples[-1][0] for curve in curves), sum(count or 0 for count in counts)))
    return whole


def _fact(  # noqa: PLR0913 (what a round knows)
    stream: str, hop: Hop, here: dict[Hop, Curve], routed: Curve, reasons: dict[Hop, str], at: datetime
) -> HopMeasured:
    before, behind = (here[Hop.RAW], routed) if hop is Hop.VALID else (here.get(_BEFORE.get(hop, hop)), here[hop])
    has_lag = hop is Hop.VALID or hop in _BEFORE
    curve = here[hop]
    known = has_lag and before is not None
    seconds = lag_seconds(before, behind, at) if known and before is not None else None
    reason = reasons.get(hop)
    if reason is None and has_lag and seconds is None:
        reason = reasons.get(
            Hop.RAW if hop is Hop.VALID else Hop.VALID, "behind for longer than this monitor has watched"
        )
    return HopMeasured(
        at=at,
        stream=stream,
        hop=hop,
        events=curve.count,
        events_per_s=curve.rate(),
        lag_events=lag_events(before, behind) if known and before is not None else None,
        lag_s=seconds,
        newest_at=curve.grew_at,
        reason=reason,
    )
