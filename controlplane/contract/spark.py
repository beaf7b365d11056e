"""What does Spark say of itself? Applications, queries, stages, executors, as facts.

A query tells of itself by its listener, in its own process; stages and executors are asked of Spark's REST API from outside.
A number that Spark does not give is None.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from controlplane.contract.frozen import Frozen, Reported


class ExecutorSeen(Frozen):
    """One executor of a Spark application, the driver too; counters since its start."""

    executor: str
    """Spark's id; `driver`."""
    is_active: bool
    cores: int
    active_tasks: int
    failed_tasks: int
    completed_tasks: int
    task_s: float
    """Time that tasks took, together."""
    gc_s: float
    """Part of it that the JVM collected garbage."""
    input_bytes: int
    shuffle_read_bytes: int
    shuffle_write_bytes: int
    memory_used_bytes: int
    memory_bytes: int
    heap_peak_bytes: int | None = None
    added_at: AwareDatetime | None = None
    removed_at: AwareDatetime | None = None
    removed_why: str | None = None


class StageSeen(Frozen):
    """One attempt of a Spark stage."""

    stage: int
    attempt: int
    query: str | None
    """`route shop`; None for a stage that belongs to none."""
    batch_id: int | None = None
    name: str
    """Spark's: the call that it was planned for."""
    state: str
    """`active`, `complete`, `pending`, `failed`, `skipped`."""
    submitted_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    tasks: int
    active_tasks: int
    completed_tasks: int
    failed_tasks: int
    run_s: float
    """Of all tasks, together."""
    cpu_s: float
    gc_s: float
    input_bytes: int
    input_rows: int
    output_bytes: int
    output_rows: int
    shuffle_read_bytes: int
    shuffle_write_bytes: int
    spilled_memory_bytes: int
    spilled_disk_bytes: int
    task_s: tuple[float, float, float] | None = None
    """A task's time: median, 95th percentile, longest; None while no task has ended, or that was not asked."""
    task_rows: tuple[float, float, float] | None = None
    """The same of the rows that a task read, from its source or from a shuffle."""
    failure: str | None = None


class SparkStarted(Reported):
    """A part's Spark application runs; said again every 15 s while it does."""

    kind: Literal["spark_started"] = "spark_started"
    part: str
    """`route` or `lake`."""
    app_id: str
    ui: str | None = None
    """Address of Spark's own UI and REST API; None when it has none."""
    master: str
    """`local[2]`, `spark://...`, `k8s://...`."""
    slots: int
    """Tasks that can run at once now."""
    began_at: AwareDatetime


class SparkObserved(Reported):
    """What Spark's REST API said of a part's application."""

    kind: Literal["spark_observed"] = "spark_observed"
    part: str
    app_id: str
    executors: tuple[ExecutorSeen, ...] = ()
    stages: tuple[StageSeen, ...] = ()
    """Those that are active, and those that have ended since the fact before; the newest first, a bounded number."""
    took_s: float | None = None
    """How long asking took."""
    reason: str | None = None
    """Why nothing was said."""


class QueryPhases(Frozen):
    """Where a micro-batch's time went, seconds; None for a phase that Spark did not tell."""

    offsets_s: float | None = None
    """Asking the source up to where it goes (`latestOffset`)."""
    planning_s: float | None = None
    """`queryPlanning` and `getBatch`."""
    log_s: float | None = None
    """Writing offsets and commits to the checkpoint (`walCommit`, `commitOffsets`)."""
    work_s: float | None = None
    """`addBatch`: what the query is for."""


class QueryProgressed(Reported):
    """A Spark query reported progress, or that it runs at all."""

    kind: Literal["query_progressed"] = "query_progressed"
    query: str
    stream: str
    mode: Literal["realtime", "microbatch"]
    batch_id: int | None = None
    rows: int | None = None
    rows_per_s: float | None = None
    """Rows a second of the batch's own time."""
    input_rows_per_s: float | None = None
    """Rows a second since the batch before."""
    took_s: float | None = None
    run_id: str | None = None
    """Spark's: another one with each start."""
    trigger_s: float | None = None
    """How often a micro-batch is to begin; the length of a real-time batch."""
    phases: QueryPhases | None = None
    watermark: AwareDatetime | None = None
    state_rows: int | None = None
    """Of stateful operators; None when there are none."""
    state_bytes: int | None = None
    offsets: dict[int, tuple[int, int]] = Field(default_factory=dict)
    """Partition of its source -> offsets `[start, end)` of the batch."""
    behind_events: int | None = None
    """Offsets that were there when the batch began and that it did not take."""
    reason: str | None = None


class LatencyMeasured(Reported):
    """How long route takes with an event, measured from outside by the records themselves; said every few seconds.

    Spark tells of a real-time batch when it ends, after minutes. The broker's clock is on both sides: from the moment the raw
    topic took a record to the one at which the valid topic took what was made of it. It holds the wait for a producer's
    transaction to be committed (route reads no open ones), route's own work, and its sink.
    """

    kind: Literal["latency_measured"] = "latency_measured"
    query: str
    """`route shop`."""
    stream: str
    latency_ms: tuple[float, float, float] | None = None
    """Median, 99th percentile, longest; of the newest records of each partition. None with a reason."""
    samples: int = 0
    newest_at: AwareDatetime | None = None
    """When the valid topic took the newest of them."""
    reason: str | None = None
    """Why nothing is known, as when nothing has come for a while."""


class SparkPart(Frozen):
    """One part's application on the Spark page."""

    part: str
    started: SparkStarted | None
    """None when it has not said so lately."""
    observed: SparkObserved | None
    """With the stages of the last minutes, not only of the last fact; None when nobody has looked lately."""
    queries: tuple[QueryProgressed, ...]
    """The newest of each query."""
    batches: dict[str, tuple[QueryProgressed, ...]] = Field(default_factory=dict)
    """Query -> its last batches, oldest first, at most 60."""
    latencies: tuple[LatencyMeasured, ...] = ()
    """Route's: the newest of each query."""
    reason: str | None = None
    """Why something above is unknown."""


class SparkFrame(Frozen):
    """Every part that runs Spark, as known at `at`."""

    at: AwareDatetime
    parts: tuple[SparkPart, ...]


class BatchPoint(Frozen):
    """A micro-batch as it was, from ClickHouse's `tidegate_batches`."""

    at: AwareDatetime
    batch_id: int
    rows: int | None
    took_s: float | None
    rows_per_s: float | None
    phases: QueryPhases | None = None
