"""What do Spark's REST answers say? Pure functions from its JSON (Spark 4.1.1) to our types.

What was hard: nothing says to which query a stage belongs but the description that Spark gives to a micro-batch's jobs, and Delta
puts its own words before and behind that. A task's times are told as quantiles of the tasks that have ended well.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.contract.latency import PROBE
from controlplane.contract.spark import ExecutorSeen, StageSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Answer = Mapping[str, Any]

QUANTILES = "0.5,0.95,1.0"
RUNNING = frozenset({"active", "pending"})
_RAN_NOT = "skipped"
_OF_BATCH = re.compile(
    r"(?:Delta: )?(?P<query>[^\n]+)\nid = [^\n]*\nrunId = [^\n]*\nbatch = (?P<batch>\d+)(?:: (?P<what>.+))?", re.DOTALL
)
_CALLED_AT = re.compile(r" at (?:NativeMethodAccessorImpl\.java:0$|(?:\S*/)?(?=[^/\s]+$))")
"""`start at NativeMethodAccessorImpl.java:0` says no more than `start`, and of a file's path its name is enough."""
_NAME_AT_MOST = 120
_OF_PROBES = f"route {PROBE}"
"""No query of anybody's."""


def executors(answers: Iterable[Answer]) -> tuple[ExecutorSeen, ...]:
    """Of `/allexecutors`; those that are there first."""
    found = [_executor(each) for each in answers]
    return tuple(sorted(found, key=lambda each: (not each.is_active, each.executor != "driver", each.executor)))


def _executor(said: Answer) -> ExecutorSeen:
    peak = said.get("peakMemoryMetrics") or {}
    return ExecutorSeen(
        executor=said["id"],
        is_active=said["isActive"],
        cores=said["totalCores"],
        active_tasks=said["activeTasks"],
        failed_tasks=said["failedTasks"],
        completed_tasks=said["completedTasks"],
        task_s=said["totalDuration"] / 1000,
        gc_s=said["totalGCTime"] / 1000,
        input_bytes=said["totalInputBytes"],
        shuffle_read_bytes=said["totalShuffleRead"],
        shuffle_write_bytes=said["totalShuffleWrite"],
        memory_used_bytes=said["memoryUsed"],
        memory_bytes=said["maxMemory"],
        heap_peak_bytes=peak.get("JVMHeapMemory") or None,
        added_at=_moment(said.get("addTime")),
        removed_at=_moment(said.get("removeTime")),
        removed_why=said.get("removeReason"),
    )


def stages(answers: Iterable[Answer]) -> list[StageSeen]:
    """Of `/stages`, the newest first; without those that were skipped, because what they make was there already."""
    found = [stage(each) for each in answers if each["status"].lower() != _RAN_NOT]
    return sorted(
        (each for each in found if each.query != _OF_PROBES), key=lambda each: (each.stage, each.attempt), reverse=True
    )


def stage(said: Answer) -> StageSeen:
    """Of `/stages` or `/stages/<id>/<attempt>`; with quantiles if these were asked for."""
    query, batch_id, what = _belongs(said.get("description") or "")
    task_s, task_rows = _quantiles(said.get("taskMetricsDistributions"))
    return StageSeen(
        stage=said["stageId"],
        attempt=said["attemptId"],
        query=query,
        batch_id=batch_id,
        name=(what or _called(said["name"]))[:_NAME_AT_MOST],
        state=said["status"].lower(),
        submitted_at=_moment(said.get("submissionTime")),
        completed_at=_moment(said.get("completionTime")),
        tasks=said["numTasks"],
        active_tasks=said["numActiveTasks"],
        completed_tasks=said["numCompleteTasks"],
        failed_tasks=said["numFailedTasks"],
        run_s=said["executorRunTime"] / 1000,
        cpu_s=said["executorCpuTime"] / 1e9,
        gc_s=said["jvmGcTime"] / 1000,
        input_bytes=said["inputBytes"],
        input_rows=said["inputRecords"],
        output_bytes=said["outputBytes"],
        output_rows=said["outputRecords"],
        shuffle_read_bytes=said["shuffleReadBytes"],
        shuffle_write_bytes=said["shuffleWriteBytes"],
        spilled_memory_bytes=said["memoryBytesSpilled"],
        spilled_disk_bytes=said["diskBytesSpilled"],
        task_s=task_s,
        task_rows=task_rows,
        failure=_first_line(said.get("failureReason")),
    )


def _belongs(description: str) -> tuple[str | None, int | None, str]:
    """Query, batch, and what is said beside them."""
    found = _OF_BATCH.match(description)
    if found is None:
        return None, None, description
    return found["query"], int(found["batch"]), found["what"] or ""


def _called(name: str) -> str:
    found = _CALLED_AT.search(name)
    if found is None:
        return name
    rest = name[found.end() :]
    return f"{name[: found.start()]} at {rest}" if rest else name[: found.start()]


Three = tuple[float, float, float]


def _quantiles(said: Answer | None) -> tuple[Three | None, Three | None]:
    """A task's seconds and rows: median, 95th percentile, longest. None where Spark gave none."""
    if not said or not said.get("duration"):
        return None, None
    read = _three(said["inputMetrics"]["recordsRead"]), _three(said["shuffleReadMetrics"]["readRecords"])
    median, p95, longest = _three(said["duration"])
    return (median / 1000, p95 / 1000, longest / 1000), max(read, key=lambda each: each[-1])


def _three(values: list[float]) -> Three:
    median, p95, longest = values
    return median, p95, longest


def _moment(said: str | None) -> datetime | None:
    """Spark writes `2026-11-26T03:12:13.298GMT`."""
    return None if said is None else datetime.fromisoformat(said.replace("GMT", "+00:00"))


def _first_line(said: str | None) -> str | None:
    return said.splitlines()[0][:300] if said else None
