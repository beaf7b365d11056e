"""Are the streams' service levels kept? Counted second by second, judged over minutes and hours, and left of thirty days.

`latency`: a second is as good as the events that were shown in it. While nobody watches a stream the probes stand for it, which
take the same way up to the hub; a probe that is overdue makes the second bad, and while none arrives any more nothing is counted.
`freshness`: a second in which a hop's oldest event was older than promised is bad; one in which an operation held the lake because
somebody wanted it is not counted.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from controlplane.contract.burn import BUCKET, FAST, KEPT, SLOW, Budget, gone_in_s, left
from controlplane.contract.facts import HopMeasured, StreamHeld
from controlplane.contract.latency import BUDGET_DAYS, PROBE, WINDOWS, BurnJudged, BurnVerdict, PromiseCounted
from controlplane.contract.metrics.meter import METER
from controlplane.contract.names import Hop
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlplane.contract.latency import Level, ProbeState
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.latency import Weighted
    from controlplane.service.state import Known

Of = tuple[str, "Level", Hop | None]
By = Literal["browsers", "probes", "lag monitor"]
_LONGEST_STEP_S = 5.0
_WATCHED_FOR = timedelta(seconds=5)
"""A watched stream's pictures may come so much less often than we count."""
_FRESH_HOPS = (Hop.LAKE, Hop.SERVING)
_VERDICTS = {None: BurnVerdict.KEPT, FAST: BurnVerdict.BURNS_FAST, SLOW: BurnVerdict.BURNS}


class Promises:
    """What was counted of every service level that is counted in seconds."""

    def __init__(self, streams: Mapping[str, StreamDefinition]) -> None:
        self._streams = streams
        self._budgets: dict[Of, Budget] = defaultdict(Budget)
        self._month: dict[Of, tuple[float, float]] | None = None
        self._by: dict[Of, tuple[By, datetime]] = {}
        self._watched: dict[str, datetime] = {}
        self._at: datetime | None = None
        self._kept_at: datetime | None = None

    def count(self, known: Known, shown: Mapping[str, Weighted], probe: ProbeState, now: datetime) -> None:
        """Take in what has been seen since the last time.

        Args:
            known: the facts.
            shown: by stream, how old events were where they were seen last.
            probe: how the probes are.
            now: the time.
        """
        step = 0.0 if self._at is None else min((now - self._at).total_seconds(), _LONGEST_STEP_S)
        self._at = now
        for name, stream in self._streams.items():
            promised_ms = stream.service_levels.latency.total_seconds() * 1000
            self._latency(name, promised_ms, step, shown, probe, now)
            self._freshness(name, stream.service_levels.freshness, step, known, now)

    def judged(self, now: datetime) -> Iterator[BurnJudged]:
        """How each service level is; of one that nobody has measured too."""
        for name, stream in self._streams.items():
            levels = stream.service_levels
            yield self._judged((name, "latency", None), levels.latency.total_seconds(), now)
            for hop in _FRESH_HOPS:
                yield self._judged((name, "freshness", hop), levels.freshness.total_seconds(), now)

    def kept(self, now: datetime) -> Iterator[PromiseCounted]:
        """Half minutes that are over since they were asked for, for history."""
        since = now - KEPT if self._kept_at is None else self._kept_at
        self._kept_at = now
        for (stream, level, hop), budget in self._budgets.items():
            for start, bad, total in budget.rows(since - BUCKET):
                at = datetime.fromtimestamp(start, now.tzinfo)
                if since < at + BUCKET <= now:
                    yield PromiseCounted(at=at, stream=stream, level=level, hop=hop, bad_s=bad, total_s=total)

    def restore(self, counted: Iterable[PromiseCounted]) -> None:
        """Take in what an earlier run has kept of the last hours."""
        rows: dict[Of, list[tuple[float, float, float]]] = defaultdict(list)
        for each in counted:
            rows[each.stream, each.level, each.hop].append((each.at.timestamp(), each.bad_s, each.total_s))
        for of, found in rows.items():
            self._budgets[of].restore(found)

    def remember(self, month: Mapping[Of, tuple[float, float]]) -> None:
        """What history says of the last thirty days: bad seconds, and all that were counted."""
        self._month = dict(month)

    def _latency(  # noqa: PLR0913 (what a second is judged by)
        self,
        name: str,
        promised_ms: float,
        step: float,
        shown: Mapping[str, Weighted],
        probe: ProbeState,
        now: datetime,
    ) -> None:
        of: Of = (name, "latency", None)
        if seen := shown.get(name):
            self._watched[name] = now
            self._count(of, *_share(seen, promised_ms, step), "browsers", now)
        elif name in self._watched and now - self._watched[name] < _WATCHED_FOR:
            return
        elif probes := shown.get(PROBE):
            self._count(of, *_share(probes, promised_ms, step), "probes", now)
        elif probe.reason is None and probe.waits_s is not None and probe.waits_s * 1000 > promised_ms:
            self._count(of, step, step, "probes", now)

    def _freshness(self, name: str, promised: timedelta, step: float, known: Known, now: datetime) -> None:
        held = known.facts.get(("stream_held", name))
        for hop in _FRESH_HOPS:
            fact = known.facts.get(("hop_measured", name, hop))
            is_held = hop is Hop.LAKE and isinstance(held, StreamHeld) and held.holds == "appends"
            if (
                isinstance(fact, HopMeasured)
                and fact.lag_s is not None
                and now - fact.at <= STALE_AFTER
                and not is_held
            ):
                bad = step if fact.lag_s > promised.total_seconds() else 0.0
                self._count((name, "freshness", hop), bad, step, "lag monitor", now)

    def _count(self, of: Of, bad_s: float, total_s: float, by: By, now: datetime) -> None:
        self._budgets[of].count(now, bad_s, total_s)
        self._by[of] = (by, now)
        stream, level, _ = of
        METER.add("tidegate_promise_seconds_total", stream, level, of[2] or "", "false", by=bad_s)
        METER.add("tidegate_promise_seconds_total", stream, level, of[2] or "", "true", by=total_s - bad_s)

    def _judged(self, of: Of, promised_s: float, now: datetime) -> BurnJudged:
        stream, level, hop = of
        budget, (by, at) = self._budgets[of], self._by.get(of, (None, None))
        burning = budget.judged(now)
        rates = {name: budget.rate(now, timedelta(seconds=seconds)) for name, seconds in WINDOWS.items()}
        bad_s, total_s = (None, None) if self._month is None else self._month.get(of, (0.0, 0.0))
        budget_left = None if bad_s is None or not total_s else left(budget.share, bad_s, BUDGET_DAYS)
        return BurnJudged(
            at=now,
            stream=stream,
            level=level,
            hop=hop,
            promised_s=promised_s,
            objective=1 - budget.share,
            rates={name: None if rate is None else round(rate, 3) for name, rate in rates.items()},
            bad_share=burning.bad_share if burning.is_known else None,
            counted_s=total_s,
            budget_left=budget_left,
            gone_in_s=None if budget_left is None else gone_in_s(budget_left, rates["1h"], BUDGET_DAYS),
            by=by if at is not None and now - at <= FAST.short else None,
            verdict=_VERDICTS[burning.pace] if burning.is_known else BurnVerdict.UNKNOWN,
            reason=None if burning.is_known else _why(level, budget.within(now, FAST.short)[1]),
        )


def _share(seen: Weighted, promised_ms: float, step: float) -> tuple[float, float]:
    """Seconds that were bad, and that were seen: several charts of one stream show the same second."""
    total = sum(weight for _, weight in seen)
    bad = sum(weight for age_ms, weight in seen if age_ms > promised_ms)
    covered = min(step, total / 1000)
    return covered * bad / total, covered


def _why(level: Level, counted_s: float) -> str:
    if counted_s:
        return f"only {counted_s:.0f} s of the last five minutes were measured"
    if level == "latency":
        return "nobody watched, and no probe has arrived, in the last five minutes"
    return "the lag monitor has not measured it in the last five minutes"
