"""What does Spark's progress of a micro-batch say? A pure function from its JSON (Spark 4.1.1) to our fact.

What was hard: Spark writes 0 where it does not know. The rate of a run's first batch is 0.0, its starting offsets are null,
and a number that is not finite is left out. In real-time mode `latestOffset` is from when the batch began, so what came since,
which the batch has taken too, is no backlog.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from controlplane.contract.spark import QueryPhases, QueryProgressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PHASES = {
    "offsets_s": ("latestOffset",),
    "planning_s": ("queryPlanning", "getBatch"),
    "log_s": ("walCommit", "commitOffsets"),
    "work_s": ("addBatch",),
}
_NEVER = "1970-01-01"
"""A watermark before any event."""

Mode = Literal["realtime", "microbatch"]
Offsets = dict[int, int]


def progressed(said: Iterable[str], part: str, mode: Mode, trigger: timedelta) -> list[QueryProgressed]:
    """A fact for each text of `pipeline.listener`.

    Args:
        said: `QueryProgressEvent` as JSON.
        part: queries are called `<part> <stream>`; others are left out.
        mode: how they run.
        trigger: how often a micro-batch begins, or how long a real-time batch is.
    """
    events = (json.loads(each)["progress"] for each in said)
    return [_fact(each, part, mode, trigger) for each in events if (each["name"] or "").startswith(f"{part} ")]


def _fact(said: Mapping[str, Any], part: str, mode: Mode, trigger: timedelta) -> QueryProgressed:
    rows, state = said["numInputRows"], said["stateOperators"]
    starts, ends, latest = (_offsets(said["sources"], which) for which in ("startOffset", "endOffset", "latestOffset"))
    took = timedelta(milliseconds=said["batchDuration"])
    return QueryProgressed(
        id=f"{said['runId']}:{said['batchId']}",
        at=datetime.fromisoformat(said["timestamp"]) + took,
        query=said["name"],
        stream=said["name"].removeprefix(f"{part} "),
        mode=mode,
        batch_id=said["batchId"],
        rows=rows,
        rows_per_s=said.get("processedRowsPerSecond"),
        input_rows_per_s=said.get("inputRowsPerSecond") if starts else None,
        took_s=took.total_seconds(),
        run_id=said["runId"],
        trigger_s=trigger.total_seconds(),
        phases=_phases(said["durationMs"]),
        watermark=_watermark(said.get("eventTime") or {}),
        state_rows=sum(each["numRowsTotal"] for each in state) if state else None,
        state_bytes=sum(each["memoryUsedBytes"] for each in state) if state else None,
        offsets={partition: (starts[partition], end) for partition, end in ends.items() if partition in starts},
        behind_events=_behind(ends, latest),
    )


def _phases(took_ms: Mapping[str, int]) -> QueryPhases:
    found: dict[str, float | None] = {}
    for phase, names in _PHASES.items():
        known = [took_ms[name] for name in names if name in took_ms]
        found[phase] = sum(known) / 1000 if known else None
    return QueryPhases(**found)


def _offsets(sources: Iterable[Mapping[str, Any]], which: str) -> Offsets:
    """By partition; our queries read one topic. Empty where Spark does not say."""
    topics = [partitions for source in sources for partitions in _topics(source.get(which))]
    return {int(partition): offset for partitions in topics for partition, offset in partitions.items()}


def _topics(said: object) -> Iterable[dict[str, int]]:
    """A source that is no Kafka topic tells its place in another form."""
    found = said.values() if isinstance(said, dict) else ()
    return [each for each in found if isinstance(each, dict)]


def _behind(ends: Offsets, latest: Offsets) -> int | None:
    if not ends or ends.keys() != latest.keys():
        return None
    return sum(max(0, latest[partition] - end) for partition, end in ends.items())


def _watermark(said: Mapping[str, str]) -> datetime | None:
    mark = said.get("watermark")
    return None if mark is None or mark.startswith(_NEVER) else datetime.fromisoformat(mark)
