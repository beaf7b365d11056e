"""Which metrics are there, and which process has them? The one list, by which they are kept, exposed, documented and tested.

Names by Prometheus' conventions: base units, `_total` for what only grows. A label whose values nobody bounds (an id, a batch, an
offset) is not among them.
"""

from __future__ import annotations

# ruff: noqa: E501 (a row a metric, however long)
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
ROUTE, LAKE, LIVE, LAG, LEDGER, MAINTENANCE = "route", "lake", "live", "lag", "ledger", "maintenance"
QUALITY, ALERTS, CONTROL, CONSOLE, CLICKHOUSE, FEED, UP, OPERATIONS, GRAFANA, COLLECTOR = (
    "quality", "alerts", "control", "console", "clickhouse", "feed", "up", "operations", "grafana", "collector",
)  # fmt: skip
PROCESSES = (
    UP,
    CLICKHOUSE,
    CONTROL,
    ROUTE,
    LAKE,
    LIVE,
    LAG,
    LEDGER,
    QUALITY,
    ALERTS,
    MAINTENANCE,
    OPERATIONS,
    COLLECTOR,
    CONSOLE,
    FEED,
    GRAFANA,
)
"""Every kind of process of ours; there is a feed for each demo stream."""
_REPORTERS = tuple(each for each in PROCESSES if each not in (CLICKHOUSE, CONTROL, CONSOLE, GRAFANA, COLLECTOR))
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    """As exposed."""
    kind: Kind
    described: str
    labels: tuple[str, ...]
    of: tuple[str, ...]
    """Processes that have it."""
    buckets: tuple[float, ...] = _SECONDS
    """Of a histogram: upper bounds."""


def _counter(of: str | tuple[str, ...], name: str, labels: str, described: str) -> Metric:
    return Metric(name, "counter", described, tuple(labels.split()), (of,) if isinstance(of, str) else of)


def _gauge(of: str | tuple[str, ...], name: str, labels: str, described: str) -> Metric:
    return Metric(name, "gauge", described, tuple(labels.split()), (of,) if isinstance(of, str) else of)


def _histogram(of: str | tuple[str, ...], name: str, labels: str, described: str) -> Metric:
    return Metric(name, "histogram", described, tuple(labels.split()), (of,) if isinstance(of, str) else of)


_ALL = (
    _counter(_REPORTERS, "tidegate_facts_reported_total", "kind", "Facts that the process has reported."),
    _counter(_REPORTERS, "tidegate_facts_dropped_total", "", "Facts that were dropped because the control plane stayed away."),
    _gauge(UP, "tidegate_part_memory_bytes", "part", "Resident memory of a part and its children."),

    _counter(CONTROL, "tidegate_ledger_events_total", "stream hop", "Events that the ledger has counted at a hop since the stream began."),
    _gauge(CONTROL, "tidegate_ledger_verdict", "stream verdict", "1 for the ledger's verdict, 0 for the others; a ledger that is not taken for 10 s is unknown."),
    _gauge(CONTROL, "tidegate_ledger_mismatched_events", "stream hop kind", "Events that a hop does not have once, in the mismatches that the ledger lists."),
    _gauge(CONTROL, "tidegate_ledger_taken_timestamp_seconds", "stream", "When the ledger was last taken."),
    _gauge(CONTROL, "tidegate_rejects", "stream status", "Turned-away records of the last 90 days, by what was done with them: waiting, replayed, discarded."),
    _gauge(CONTROL, "tidegate_part_up", "part", "1 while a part runs, 0 while it does not; absent for one whose work is done."),
    _gauge(CONTROL, "tidegate_part_state", "part state", "1 for the part's state, 0 for the others."),
    _counter(CONTROL, "tidegate_part_restarts_total", "part", "Starts of a part after its first."),
    _gauge(CONTROL, "tidegate_promised_freshness_seconds", "stream", "Service level: how old data may be."),
    _gauge(CONTROL, "tidegate_promised_validity_ratio", "stream", "Service level: the share of events that must be valid."),
    _gauge(CONTROL, "tidegate_promised_latency_seconds", "stream", "Service level: the 99th percentile from event to pixel."),
    _gauge(CONTROL, "tidegate_problems", "", "Problems that the console shows now."),
    _gauge(CONTROL, "tidegate_incidents", "critical", "Open incidents; critical says whether they are."),
    _gauge(CONTROL, "tidegate_pages_waiting", "", "Events that PagerDuty has not taken yet."),
    _counter(CONTROL, "tidegate_facts_folded_total", "kind", "Facts that the control plane has taken in."),
    _counter(CONTROL, "tidegate_history_rows_dropped_total", "", "Rows of history that were dropped because ClickHouse stayed away."),
    _gauge(CONTROL, "tidegate_probes_missing", "", "1 while probes do not arrive, 0 while they do; nothing while they are off."),
    _gauge(CONTROL, "tidegate_hub_clients", "", "Watchers that are connected to the hub."),
    _counter(CONTROL, "tidegate_hub_updates_total", "topic", "Updates that the hub has published."),
    _counter(CONTROL, "tidegate_hub_sent_total", "", "Updates that were written to a watcher's socket as they were published."),
    _histogram(CONTROL, "tidegate_hub_push_seconds", "", "From an update to the socket of the last watcher that could take it at once."),
    _counter(CONTROL, "tidegate_hub_closed_total", "why", "Watchers that the hub has closed: too_slow, too_many, signed_out, version."),
    _counter(CONTROL, "tidegate_hub_replaced_updates_total", "", "Updates that a slow watcher never got, because a newer one took their place."),
    _histogram((LIVE, CONTROL), "tidegate_latency_seconds", "stream hop", "How old an event is when a hop has it, since its event time (of a replay: since the raw topic took it). Live has the hops raw, routed and inserted, of a sample of each block; control has served, sent and painted, of ten points of each picture."),
    _counter(CONTROL, "tidegate_promise_seconds_total", "stream level hop kept", "Seconds in which a service level was measured, by whether it was kept."),
    _gauge(CONTROL, "tidegate_burn_rate", "stream level hop window", "How many times faster than allowed an error budget is spent; absent where too little was measured."),
    _gauge(CONTROL, "tidegate_error_budget_left_ratio", "stream level hop", "What is left of 30 days' error budget; below 0 it is overdrawn."),
    _gauge(CONTROL, "tidegate_scaling_have", "target", "Executors that the autoscaler last saw."),
    _gauge(CONTROL, "tidegate_scaling_want", "target", "Executors that the autoscaler, or an operator, last wanted."),
    _gauge(CONTROL, "tidegate_operations", "kind state", "Operations that have not ended."),
    _counter(CONTROL, "tidegate_operations_ended_total", "kind state", "Operations that have ended since the control plane started."),
    _counter(CONTROL, "tidegate_scaling_decisions_total", "target acted", "Looks of the autoscaler, by whether it acted."),

    _gauge(CONTROL, "tidegate_audit_export_lag_entries", "", "Entries of the audit log that are not in Kafka yet."),
    _gauge(CONTROL, "tidegate_audit_export_lag_seconds", "", "Age of the oldest entry of the audit log that is not in Kafka yet."),
    _counter(CONTROL, "tidegate_audit_failures_total", "", "Entries of the audit log that could not be written at once."),
    _counter(CONTROL, "tidegate_audit_left_out_total", "", "Refusals of somebody without a name that the audit log only counts, because there were too many."),

    _counter(CLICKHOUSE, "tidegate_clickhouse_requests_total", "verb result", "Requests of the embedded ClickHouse, by the statement's first word."),
    _histogram(CLICKHOUSE, "tidegate_clickhouse_request_seconds", "verb", "How long a request took, from its body to the end of its answer."),
    _counter(CLICKHOUSE, "tidegate_clickhouse_rows_total", "direction", "Rows that requests have read and written."),

    _counter(CONSOLE, "tidegate_console_pages_total", "page", "Pages that were laid out."),

    _counter((ROUTE, LAKE), "tidegate_query_batches_total", "query", "Micro-batches that a Spark query has told of."),
    _counter((ROUTE, LAKE), "tidegate_query_rows_total", "query", "Rows in them."),
    _histogram((ROUTE, LAKE), "tidegate_query_batch_seconds", "query", "How long a micro-batch took; in real-time mode it is as long as the setting says."),
    _counter((ROUTE, LAKE), "tidegate_query_phase_seconds_total", "query phase", "Where the time of micro-batches went: offsets, planning, log, work."),
    _gauge((ROUTE, LAKE), "tidegate_query_behind_events", "query", "Offsets that were there when the last batch began and that it did not take."),
    _gauge((ROUTE, LAKE), "tidegate_query_state_rows", "query", "Rows of state that a query keeps."),
    _gauge((ROUTE, LAKE), "tidegate_query_state_bytes", "query", "Memory of that state."),
    _gauge((ROUTE, LAKE), "tidegate_spark_slots", "part", "Tasks that a Spark application can run at once."),
    _gauge((ROUTE, LAKE), "tidegate_suite_refused", "stream stage", "1 while the suite of now is refused and the one before stays in use, else 0."),
    _counter(ROUTE, "tidegate_route_starts_total", "stream", "Starts of a stream's query, in the same process too: for a schema, a partition, a reference table, a suite, a breaker."),
    _gauge(LAG, "tidegate_route_latency_seconds", "query percentile", "From the raw topic's taking a record to the valid topic's, by the records' own timestamps: median, 99th percentile, longest."),
    _gauge(ROUTE, "tidegate_breaker_state", "stream stage state", "1 for the flood breaker's state, 0 for the others."),
    _gauge(ROUTE, "tidegate_references_refused", "stream", "1 while the reference tables of now are refused and the ones before stay in use, else 0."),

    _counter(LAKE, "tidegate_lake_rows_total", "stream", "Events that were committed to the lake."),
    _histogram(LAKE, "tidegate_lake_commit_seconds", "stream", "How long a micro-batch took from its rows to its commit, without waiting at its gate."),
    _gauge(LAKE, "tidegate_lake_version", "stream", "Version of the events table after the last commit."),
    _counter(LAKE, "tidegate_entity_events_total", "stream table", "Events that were folded into an entity."),
    _histogram(LAKE, "tidegate_entity_merge_seconds", "stream table", "How long a MERGE into an entity took."),
    _counter(LAKE, "tidegate_entity_written_bytes_total", "stream table", "Bytes that MERGEs into an entity have written."),
    _counter(LAKE, "tidegate_rollup_windows_total", "stream table", "Closed windows by dimensions that were written or corrected."),
    _counter(LAKE, "tidegate_publish_rows_total", "stream rollup", "Rows of closed windows that were published to ClickHouse."),
    _histogram(LAKE, "tidegate_publish_seconds", "stream rollup", "How long publishing took."),
    _gauge(LAKE, "tidegate_publish_horizon_timestamp_seconds", "stream rollup", "Event time up to which readers see closed windows."),
    _gauge(LAKE, "tidegate_executors", "target", "Executors that are registered with the part's driver."),
    _gauge(LAKE, "tidegate_executors_wanted", "target", "Executors that the part has asked its cluster for."),
    _counter(LAKE, "tidegate_executor_failures_total", "target", "Executors that ended by themselves since the part started."),

    _counter((LAKE, QUALITY), "tidegate_gate_verdicts_total", "stream stage outcome", "Verdicts of a gate; of single rows (ingest) one a look."),
    _gauge((LAKE, QUALITY), "tidegate_gate_outcome", "stream stage table outcome", "1 for the outcome of a gate's last verdict, 0 for the others; absent when nothing was judged for 10 minutes, unless it halted."),
    _gauge((LAKE, QUALITY), "tidegate_gate_broken_ratio", "stream stage table", "Of the rows that the last verdict looked at, the largest share that breaks one critical rule."),
    _counter((LAKE, QUALITY), "tidegate_gate_seconds_total", "stream stage", "Time that judging took."),
    _counter((LAKE, QUALITY), "tidegate_gate_stage_seconds_total", "stream stage", "Time that the stage took with what was judged, judging included."),

    _counter(LIVE, "tidegate_live_rows_total", "stream", "Events that were inserted into ClickHouse."),
    _counter(LIVE, "tidegate_live_inserts_total", "stream", "Inserts into ClickHouse."),
    _counter(LIVE, "tidegate_live_insert_seconds_total", "stream", "Time that inserts took, waiting for ClickHouse included."),

    _counter(LAG, "tidegate_hop_events_total", "stream hop", "Records that a hop has taken since its stream began."),
    _gauge(LAG, "tidegate_hop_lag_events", "stream hop", "Records of the hop before that this one has not taken."),
    _gauge(LAG, "tidegate_hop_lag_seconds", "stream hop", "Age of the oldest of them; 0 when there is none."),
    _gauge(LAG, "tidegate_consumer_lag_events", "consumer topic stream hop", "Offsets that a query or a consumer group has not taken."),
    _gauge(LAG, "tidegate_consumer_lag_seconds", "consumer topic stream hop", "Age of the oldest record that it has not taken, in the partition that is the furthest behind."),
    _gauge(LAG, "tidegate_consumer_lag_error_seconds", "consumer topic stream hop", "The true age is within this of it."),
    _gauge(LAG, "tidegate_consumer_taken_per_second", "consumer topic stream hop", "Offsets that it takes a second."),
    _gauge(LAG, "tidegate_consumer_arriving_per_second", "consumer topic stream hop", "Offsets that producers add a second."),
    _gauge(LAG, "tidegate_consumer_catch_up_seconds", "consumer topic stream hop", "Until nothing is left at these rates; absent when it never will be."),
    _gauge(LAG, "tidegate_consumer_retention_seconds", "consumer topic stream hop", "Until the oldest record that was not taken may be deleted."),
    _gauge(LAG, "tidegate_consumer_moved_timestamp_seconds", "consumer topic stream hop", "When its position last changed; absent while it has not, since it is watched."),
    _gauge(LAG, "tidegate_consumer_idle", "consumer topic stream hop", "1 while nothing is produced and nothing is left to take, else 0."),
    _gauge(LAG, "tidegate_consumer_verdict", "consumer topic stream hop verdict", "1 for the verdict over the window (Burrow's rules), 0 for the others."),
    _gauge(LAG, "tidegate_partition_lag_events", "consumer topic stream partition", "Offsets of a partition that were not taken."),
    _gauge(LAG, "tidegate_partition_lag_seconds", "consumer topic stream partition", "Age of the oldest record of a partition that was not taken."),
    _gauge(LAG, "tidegate_partition_position_offsets", "consumer topic stream partition", "Offset of the next record that will be taken."),
    _gauge(LAG, "tidegate_partition_end_offsets", "consumer topic stream partition", "Offset of the next record that will be produced."),
    _gauge(LAG, "tidegate_slow_cause_ratio", "consumer cause", "Share of the time or the lag that a cause explains, while a query is slow."),
    _gauge(LAG, "tidegate_spark_executors", "part", "Executors that are active, without the driver."),
    _gauge(LAG, "tidegate_spark_active_stages", "part", "Stages that run."),
    _gauge(LAG, "tidegate_spark_executor_active_tasks", "part executor", "Tasks that an active executor runs."),
    _counter(LAG, "tidegate_spark_executor_tasks_total", "part executor result", "Tasks that it has completed, or that failed on it."),
    _counter(LAG, "tidegate_spark_executor_task_seconds_total", "part executor", "Time that its tasks took, together."),
    _counter(LAG, "tidegate_spark_executor_gc_seconds_total", "part executor", "Part of it that the JVM collected garbage."),
    _gauge(LAG, "tidegate_spark_executor_memory_used_bytes", "part executor", "Storage memory that it uses."),
    _counter(LAG, "tidegate_spark_stages_total", "part query state", "Stages that have ended."),
    _counter(LAG, "tidegate_spark_stage_run_seconds_total", "part query", "Time of their tasks, together."),
    _counter(LAG, "tidegate_spark_stage_cpu_seconds_total", "part query", "CPU time of their tasks."),
    _counter(LAG, "tidegate_spark_stage_gc_seconds_total", "part query", "Garbage collection while they ran."),
    _counter(LAG, "tidegate_spark_shuffle_bytes_total", "part query direction", "Bytes that they read from and wrote to a shuffle."),
    _counter(LAG, "tidegate_spark_spilled_bytes_total", "part query", "Bytes that they spilled to disk."),
    _gauge(LAG, "tidegate_spark_stage_skew_ratio", "part query", "Of the last stage with several tasks: the longest task by the median one."),

    _counter(LEDGER, "tidegate_ledger_accounts_total", "stream verdict", "Accounts that were taken."),
    _gauge(MAINTENANCE, "tidegate_table_bytes", "stream table", "Size of a Delta table's newest version."),
    _gauge(MAINTENANCE, "tidegate_table_files", "stream table", "Files of it."),
    _gauge(MAINTENANCE, "tidegate_table_small_files", "stream table", "Of them, those below the policy's size."),
    _gauge(MAINTENANCE, "tidegate_maintenance_due", "stream", "Stages that the last look found due."),
    _gauge(MAINTENANCE, "tidegate_maintenance_failed", "stream", "1 while the last look or run of maintenance has failed, else 0."),
    _counter(MAINTENANCE, "tidegate_maintenance_stages_total", "stage result", "Stages of maintenance that were carried out."),
    _counter(MAINTENANCE, "tidegate_maintenance_seconds_total", "stage", "How long they took."),
    _counter(ALERTS, "tidegate_outbox_events_total", "result", "Events that were offered to PagerDuty, by what came of it: sent, refused, later."),
    _gauge(ALERTS, "tidegate_outbox_waiting", "", "Events that PagerDuty has not taken yet."),
    _counter(GRAFANA, "tidegate_grafana_points_total", "result", "Points that were offered to Grafana Live, by what came of it: sent, refused, away."),
    _counter(GRAFANA, "tidegate_grafana_pushes_total", "result", "Requests or messages that they were in."),
    _histogram(GRAFANA, "tidegate_grafana_push_seconds", "", "How long such a request took."),
    _gauge(GRAFANA, "tidegate_grafana_up", "", "1 while Grafana takes what is pushed, 0 while it does not; absent when nothing was tried for a minute."),
    _counter(FEED, "tidegate_feed_events_total", "stream", "Events that a demo feed has sent since its beginning."),
    _counter(COLLECTOR, "tidegate_collector_requests_total", "stream status", "Requests with events, by the status that they were answered; no stream where there is none of that name."),
    _counter(COLLECTOR, "tidegate_collector_events_total", "stream result", "Events that were sent, by what came of them: taken (Kafka has them for good) or mistaken."),
    _gauge(COLLECTOR, "tidegate_collector_waiting_events", "", "Events that wait for their transaction."),
    _histogram(COLLECTOR, "tidegate_collector_transaction_seconds", "result", "How long a transaction took: committed, taken_back, in_doubt."),
)  # fmt: skip
METRICS = {metric.name: metric for metric in _ALL}
"""By name."""


def of_process(process: str) -> tuple[Metric, ...]:
    """What a kind of process has."""
    return tuple(metric for metric in _ALL if process in metric.of)
