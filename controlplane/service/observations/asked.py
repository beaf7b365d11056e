"""What was observed, read back: which rows answer a question about the past, and what are they as our types?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from controlplane.contract.lag import LagPoint, LagVerdict
from controlplane.contract.latency import LatencyKept, LatencyPoint, PromiseCounted
from controlplane.contract.names import Hop
from controlplane.contract.scaling import ScalingPoint
from controlplane.contract.spark import BatchPoint, QueryPhases, StageSeen
from controlplane.contract.spread import MEDIAN, P99, Spread
from controlplane.service.observations.tables import BATCHES, LAG, LATENCY, PROMISES, SCALING, STAGES

if TYPE_CHECKING:
    from controlplane.contract.latency import LatencyHop, Level
    from controlplane.service.frames import Query

POINTS_AT_MOST = 720
ROWS_AT_MOST = 2_000
_LAG_EVERY_S = 5
_LATENCY_EVERY_S = 30
_PHASES = tuple(QueryPhases.model_fields)
_BATCH = ("at", "batch_id", "rows", "took_s", "rows_per_s")
_STAGE = tuple(StageSeen.model_fields)
_POINT = tuple(LagPoint.model_fields)
_SCALING = tuple(ScalingPoint.model_fields)
_SEVERITY = ", ".join(f"'{verdict}'" for verdict in LagVerdict)
"""The worst last."""
_WITHIN = "at >= fromUnixTimestamp64Milli({since:Int64}) AND at <= fromUnixTimestamp64Milli({until:Int64})"
_OPEN = datetime(2200, 1, 1, tzinfo=UTC)
"""The end of a question that has none."""


@dataclass(frozen=True)
class Past:
    """Answers from ClickHouse.

    Raises (every question):
        OSError: if ClickHouse does not answer.
    """

    query: Query

    def lag(self, consumer: str, topic: str, since: datetime, until: datetime) -> list[LagPoint]:
        """A consumer's lag, oldest first: of each bucket the worst point, by verdict, seconds and offsets.

        At most 720 buckets; an empty `topic` stands for any.
        """
        bucket_s = max(_LAG_EVERY_S, math.ceil((until - since).total_seconds() / (POINTS_AT_MOST - 1)))
        rows = self._rows(
            f"SELECT {', '.join(_POINT)} FROM {LAG.name} WHERE {_WITHIN} AND consumer = {{consumer:String}} "  # noqa: S608 (names of ours)
            "AND ({topic:String} = '' OR topic = {topic:String}) "
            f"ORDER BY indexOf([{_SEVERITY}], verdict) DESC, lag_s DESC NULLS LAST, lag_events DESC NULLS LAST "
            "LIMIT 1 BY intDiv(toUnixTimestamp(at), {bucket_s:UInt32})",
            since=_epoch_ms(since),
            until=_epoch_ms(until),
            consumer=consumer,
            topic=topic,
            bucket_s=bucket_s,
        )
        points = (LagPoint.model_validate(dict(zip(_POINT, row, strict=True))) for row in rows)
        return sorted(points, key=lambda point: point.at)

    def batches(self, query: str, since: datetime, until: datetime = _OPEN) -> list[BatchPoint]:
        """A query's micro-batches, oldest first; the newest 2,000."""
        rows = self._rows(
            f"SELECT {', '.join((*_BATCH, *_PHASES))} FROM {BATCHES.name} WHERE {_WITHIN} "  # noqa: S608
            f"AND query = {{query:String}} ORDER BY at DESC LIMIT 1 BY run_id, batch_id LIMIT {ROWS_AT_MOST}",
            since=_epoch_ms(since),
            until=_epoch_ms(until),
            query=query,
        )
        return [_batch(row) for row in reversed(rows)]

    def stages(self, part: str, query: str, since: datetime, until: datetime = _OPEN) -> list[StageSeen]:
        """A part's stages that have ended, the newest first; the newest 2,000. An empty `query` stands for any."""
        rows = self._rows(
            f"SELECT {', '.join(_STAGE)} FROM {STAGES.name} WHERE {_WITHIN} AND part = {{part:String}} "  # noqa: S608
            "AND ({query:String} = '' OR query = {query:String}) "
            f"ORDER BY at DESC, stage DESC LIMIT 1 BY app_id, stage, attempt LIMIT {ROWS_AT_MOST}",
            since=_epoch_ms(since),
            until=_epoch_ms(until),
            part=part,
            query=query,
        )
        return [_stage(row) for row in rows]

    def scaling(self, target: str, since: datetime, until: datetime = _OPEN) -> list[ScalingPoint]:
        """What was decided for a target and how many executors it had, oldest first; the newest 2,000."""
        rows = self._rows(
            f"SELECT {', '.join(_SCALING)} FROM {SCALING.name} WHERE {_WITHIN} "  # noqa: S608
            f"AND target = {{target:String}} ORDER BY at DESC LIMIT 1 BY at, kind LIMIT {ROWS_AT_MOST}",
            since=_epoch_ms(since),
            until=_epoch_ms(until),
            target=target,
        )
        return [ScalingPoint.model_validate(dict(zip(_SCALING, row, strict=True))) for row in reversed(rows)]

    def latency(self, stream: str, hop: LatencyHop, since: datetime, until: datetime) -> list[LatencyPoint]:
        """A hop's percentiles, oldest first; what is in one of at most 720 buckets of time is added up."""
        bucket_s = max(_LATENCY_EVERY_S, math.ceil((until - since).total_seconds() / (POINTS_AT_MOST - 1)))
        rows = self._rows(
            "SELECT toDateTime(intDiv(toUnixTimestamp(at), {bucket_s:UInt32}) * {bucket_s:UInt32}, 'UTC') AS began, "  # noqa: S608
            f"sumMap(buckets, weights), sum(samples), max(max_ms) FROM {LATENCY.name} FINAL "
            f"WHERE {_WITHIN} AND stream = {{stream:String}} AND hop = {{hop:String}} GROUP BY began ORDER BY began",
            since=_epoch_ms(since),
            until=_epoch_ms(until),
            stream=stream,
            hop=hop,
            bucket_s=bucket_s,
        )
        return [_latency(*row) for row in rows]

    def latencies(self, since: datetime) -> list[LatencyKept]:
        """Every hop's half minutes."""
        rows = self._rows(
            f"SELECT at, stream, hop, since, buckets, weights, samples, max_ms FROM {LATENCY.name} FINAL WHERE {_WITHIN}",  # noqa: S608
            since=_epoch_ms(since),
            until=_epoch_ms(_OPEN),
        )
        names = ("at", "stream", "hop", "since")
        return [
            LatencyKept.model_validate({**dict(zip(names, row, strict=False)), "spread": _spread(*row[4:])})
            for row in rows
        ]

    def promises(self, since: datetime) -> list[PromiseCounted]:
        """What was counted of service levels, in half minutes."""
        names = ("at", "stream", "level", "hop", "bad_s", "total_s")
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM {PROMISES.name} FINAL WHERE {_WITHIN}",  # noqa: S608
            since=_epoch_ms(since),
            until=_epoch_ms(_OPEN),
        )
        said = (dict(zip(names, row, strict=True)) for row in rows)
        return [PromiseCounted.model_validate({**each, "hop": each["hop"] or None}) for each in said]

    def budgets(self, since: datetime) -> dict[tuple[str, Level, Hop | None], tuple[float, float]]:
        """Of each service level the bad seconds, and all that were counted."""
        rows = self._rows(
            f"SELECT stream, level, hop, sum(bad_s), sum(total_s) FROM {PROMISES.name} FINAL WHERE {_WITHIN} "  # noqa: S608
            "GROUP BY stream, level, hop",
            since=_epoch_ms(since),
            until=_epoch_ms(_OPEN),
        )
        return {
            (str(stream), cast("Level", level), Hop(str(hop)) if hop else None): (
                float(str(bad_s)),
                float(str(total_s)),
            )
            for stream, level, hop, bad_s, total_s in rows
        }

    def _rows(self, sql: str, **parameters: int | str) -> list[tuple[object, ...]]:
        """None while the table is not there: then nothing was ever kept."""
        try:
            return [tuple(map(_aware, row)) for row in self.query(sql, **parameters)]
        except FileNotFoundError:
            return []


def _aware(cell: object) -> object:
    """The client leaves UTC off."""
    return cell.replace(tzinfo=UTC) if isinstance(cell, datetime) and cell.tzinfo is None else cell


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _latency(began: object, summed: object, samples: object, max_ms: object) -> LatencyPoint:
    buckets, weights = cast("tuple[object, object]", summed)
    spread = _spread(buckets, weights, samples, max_ms)
    p50_ms, p99_ms = (round(spread.quantile(share) or 0.0, 1) for share in (MEDIAN, P99))
    said = {"at": began, "p50_ms": p50_ms, "p99_ms": p99_ms, "max_ms": spread.max_ms, "samples": samples}
    return LatencyPoint.model_validate(said)


def _spread(buckets: object, weights: object, samples: object, max_ms: object) -> Spread:
    pairs = zip(cast("list[int]", buckets), cast("list[float]", weights), strict=True)
    return Spread.model_validate({"weights": dict(pairs), "samples": samples, "max_ms": max_ms})


def _batch(row: tuple[object, ...]) -> BatchPoint:
    said = dict(zip(_BATCH, row, strict=False))
    phases = dict(zip(_PHASES, row[len(_BATCH) :], strict=True))
    return BatchPoint.model_validate({**said, "phases": phases if any(phases.values()) else None})


def _stage(row: tuple[object, ...]) -> StageSeen:
    said = dict(zip(_STAGE, row, strict=True))
    return StageSeen.model_validate({**said, "task_s": said["task_s"] or None, "task_rows": said["task_rows"] or None})
