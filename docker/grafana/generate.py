"""Which dashboards are there? `python docker/grafana/generate.py [folder]` writes them as JSON, to import or to provision.

A test holds that the JSON beside this file is what it writes, and runs every query for real.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from panels import Json, dashboard, graph, live, prom, pushed, rows, sql, stat, timeline, words

HERE = Path(__file__).parent
_RATE = "$__rate_interval"
_S = 'stream=~"$stream"'


def _quantile(share: float, metric: str, by: str = "") -> str:
    return (
        f"histogram_quantile({share}, sum by ({', '.join(filter(None, ('le', by)))}) (rate({metric}_bucket[{_RATE}])))"
    )


def _age(share: float, only: str = 'hop="painted"') -> str:
    """How old events are when a hop has them; nothing where none has come."""
    metric = f"tidegate_latency_seconds_bucket{{{only}}}" if only else "tidegate_latency_seconds_bucket"
    return f"histogram_quantile({share}, sum by (le, stream, hop) (rate({metric}[5m]))) >= 0"


def overview() -> Json:
    """Is all well, and how fast does it flow?"""
    hop = "tidegate_hop_lag_seconds"
    return dashboard("overview", "Tidegate: overview", "Is all well, and how fast do events flow?", [
        stat("Problems", "tidegate_problems", of="tidegate_problems", red_from=1, described="What the console's banner shows."),
        stat("Open incidents", "sum(tidegate_incidents)", of="tidegate_incidents", red_from=1, page="/alerts",
             described="Critical or not, acknowledged or not."),
        stat("Parts that do not run", "count(tidegate_part_up == 0) or 0 * count(tidegate_part_up)", of="tidegate_part_up",
             red_from=1, described="Of those whose work is not done."),
        stat("Ledgers that do not add up", f'sum(tidegate_ledger_verdict{{{_S},verdict="unbalanced"}})',
             of="tidegate_ledger_verdict", red_from=1, page="/ledger", described="Events missing or doubled."),
        stat("Furthest behind", f"max({hop}{{{_S}}})", "s", of=hop, red_from=30, page="/lag",
             described="The oldest event that a hop has not taken."),
        stat("Event to pixel, p99", f"max({_age(0.99)})", "s", of='tidegate_latency_seconds_bucket{hop="painted"}', page="/latency",
             described="As browsers measured it; unknown while nobody looks at a live page."),
        graph("Events by hop", prom(f"sum by (hop) (stream_hop:tidegate_hop_events:rate1m{{{_S}}})", "{{hop}}"),
              unit="cps", page="/", described="Events a second that each hop takes."),
        graph("Lag by hop", prom(f"{hop}{{{_S}}}", "{{stream}} {{hop}}"), unit="s", page="/lag",
              described="Age of the oldest event that a hop has not taken; a gap is not known."),
        graph("Memory by part", prom("tidegate_part_memory_bytes", "{{part}}"), unit="bytes", stacked=True,
              described="Resident, with children."),
        graph("CPU by process", prom(f'rate(process_cpu_seconds_total{{job="tidegate"}}[{_RATE}])', "{{part}}"),
              unit="percentunit", stacked=True, described="Of one core; a JVM below a process is not in it."),
        graph("Restarts", prom("increase(tidegate_part_restarts_total[5m])", "{{part}}"),
              described="Starts of a part after its first, in five minutes."),
        graph("Collector", prom(f"sum by (status) (rate(tidegate_collector_requests_total[{_RATE}]))", "{{status}}"),
              unit="reqps", described="Requests with events, by status: 202 Kafka has them, 400 mistakes, 429 too many at once."),
        rows("Scraped processes", prom('up{job="tidegate"}', instant=True), described="1 where Prometheus was answered."),
    ])  # fmt: skip


def lag() -> Json:
    """Which consumer is in trouble, since when, and when will it have caught up?"""
    c = "tidegate_consumer"
    return dashboard("lag", "Tidegate: lag", "Which consumer does not keep up, since when, and until when?", [
        stat("Consumers in trouble", f'sum({c}_verdict{{{_S},verdict=~"warn|rewind|stall|stop"}})', of=f"{c}_verdict",
             red_from=1, page="/lag", described="By Burrow's rules."),
        stat("Not known", f'sum({c}_verdict{{{_S},verdict="unknown"}})', of=f"{c}_verdict", page="/lag",
             described="Consumers of which nothing can be said."),
        stat("Furthest behind", f"max({c}_lag_seconds{{{_S}}})", "s", of=f"{c}_lag_seconds", red_from=30, page="/lag",
             described="In the partition that is the furthest behind."),
        stat("Not taken", f"sum({c}_lag_events{{{_S}}})", of=f"{c}_lag_events", page="/lag", described="Offsets, of all."),
        stat("Longest catch-up", f"max({c}_catch_up_seconds{{{_S}}})", "s", of=f"{c}_catch_up_seconds", page="/lag",
             described="At the rates of now; one that never will is not in it."),
        stat("Least retention left", f"min({c}_retention_seconds{{{_S}}})", "s", of=f"{c}_retention_seconds", page="/lag",
             described="Until a record that was not taken may be deleted."),
        graph("Lag in seconds", prom(f"{c}_lag_seconds{{{_S}}}", "{{consumer}} {{topic}}"), unit="s", page="/lag",
              described="From the records' own timestamps."),
        timeline("Verdict", prom(f"{c}_verdict{{{_S}}} == 1", "{{consumer}} {{topic}}: {{verdict}}"), page="/lag",
                 described="ok, unknown, warn, rewind, stall, stop."),
        graph("Taken and arriving", prom(f"{c}_taken_per_second{{{_S}}}", "{{consumer}} takes"),
              prom(f"{c}_arriving_per_second{{{_S}}}", "{{consumer}} is sent"), unit="cps", page="/lag",
              described="Offsets a second."),
        graph("Lag by partition", prom(f"tidegate_partition_lag_events{{{_S}}}", "{{consumer}} {{partition}}"), page="/lag",
              described="A partition that is far above the others is hot."),
        graph("Why it is slow", prom("tidegate_slow_cause_ratio", "{{consumer}}: {{cause}}"), unit="percentunit", page="/lag",
              described="Share of the time or the lag that a cause explains, while a query is slow."),
        graph("Lag in the last weeks", sql(
            "SELECT $__timeInterval(at) AS time, consumer, max(lag_s) AS lag_s FROM tidegate_lag "
            "WHERE $__timeFilter_ms(at) GROUP BY time, consumer ORDER BY time"), unit="s", page="/lag",
            described="From ClickHouse, which keeps 30 days; the worst of each step."),
        rows("Since when", sql(
            "SELECT consumer, topic, argMax(verdict, at) AS verdict, max(at) AS seen, argMax(reason, at) AS why FROM tidegate_lag "
            "WHERE $__timeFilter_ms(at) GROUP BY consumer, topic ORDER BY consumer, topic", table=True), page="/lag", width=24,
            described="The last verdict of each consumer in the time range, and what it rests on."),
    ])  # fmt: skip


def spark() -> Json:
    """Where does the time of micro-batches go, and what do executors do?"""
    stage = "tidegate_spark_stage"
    return dashboard("spark", "Tidegate: Spark", "Where does the time of micro-batches go, and what do executors do?", [
        stat("Executors", "sum(tidegate_spark_executors)", of="tidegate_spark_executors", page="/scaling",
             described="Active, without drivers; 0 for a local session."),
        stat("Wanted", "sum(tidegate_scaling_want)", of="tidegate_scaling_want", page="/scaling",
             described="By the autoscaler, or an operator."),
        stat("Running stages", "sum(tidegate_spark_active_stages)", of="tidegate_spark_active_stages", page="/spark",
             described="Of all applications."),
        stat("Lake's last version", f"max(tidegate_lake_version{{{_S}}})", of="tidegate_lake_version", page="/lake",
             described="Of the events table."),
        stat("Route, p99", 'max(tidegate_route_latency_seconds{percentile="99"})', "s", of="tidegate_route_latency_seconds",
             page="/spark", described="From the raw topic to the valid one."),
        stat("Garbage collection", "max(part:tidegate_spark_gc:ratio_rate5m)", "percentunit",
             of="part:tidegate_spark_gc:ratio_rate5m", page="/spark", red_from=0.1, described="Share of the tasks' time."),
        graph("Micro-batches", prom(_quantile(0.5, "tidegate_query_batch_seconds", "query"), "{{query}} p50"),
              prom(_quantile(0.95, "tidegate_query_batch_seconds", "query"), "{{query}} p95"), unit="s", page="/spark",
              described="How long they took."),
        graph("Rows", prom("query:tidegate_query_rows:rate5m", "{{query}}"), unit="cps", page="/spark",
              described="A second, over five minutes."),
        graph("Phases", prom("query_phase:tidegate_query_phase_seconds:ratio_rate5m", "{{query}} {{phase}}"), stacked=True,
              unit="percentunit", page="/spark", described="Share of a query's time: offsets, planning, log, work."),
        graph("Commits to the lake", prom(_quantile(0.95, "tidegate_lake_commit_seconds", "stream"), "{{stream}} p95"),
              unit="s", page="/lake", described="From a micro-batch's rows to its commit."),
        graph("Executors", prom("tidegate_scaling_have", "{{target}} has"), prom("tidegate_scaling_want", "{{target}} should have"),
              prom("tidegate_executors_wanted", "{{target}} has asked for"), page="/scaling",
              described="What is, and what is wanted."),
        graph("Tasks by executor", prom("tidegate_spark_executor_active_tasks", "{{part}} {{executor}}"), page="/spark",
              described="That run now."),
        graph("Work of stages", prom(f"rate({stage}_run_seconds_total[{_RATE}])", "{{query}} tasks"),
              prom(f"rate({stage}_cpu_seconds_total[{_RATE}])", "{{query}} CPU"),
              prom(f"rate({stage}_gc_seconds_total[{_RATE}])", "{{query}} GC"), unit="percentunit", page="/spark",
              described="Of one core."),
        graph("Shuffle and spill", prom(f"rate(tidegate_spark_shuffle_bytes_total[{_RATE}])", "{{query}} {{direction}}"),
              prom(f"rate(tidegate_spark_spilled_bytes_total[{_RATE}])", "{{query}} spilled"), unit="Bps", page="/spark",
              described="Bytes a second."),
        graph("Skew", prom(f"{stage}_skew_ratio", "{{query}}"), page="/spark",
              described="The longest task by the median one, of the last stage with several tasks."),
        graph("Micro-batches of the last weeks", sql(
            "SELECT at AS time, query, took_s FROM tidegate_batches "
            "WHERE $__timeFilter_ms(at) ORDER BY time"), unit="s", page="/spark",
            described="From ClickHouse, which keeps 30 days."),
        rows("Slowest stages", sql(
            "SELECT at, part, query, batch_id, stage, name, tasks, run_s, gc_s, shuffle_read_bytes, spilled_disk_bytes "
            "FROM tidegate_stages WHERE $__timeFilter_ms(at) ORDER BY run_s DESC LIMIT 50", table=True), page="/spark", width=24,
            described="Of the time range, by the time of their tasks."),
        rows("Executors", sql(
            "SELECT part, executor, max(at) AS seen, argMax(is_active, at) AS active, max(completed_tasks) AS tasks, "
            "max(task_s) AS task_s, max(gc_s) AS gc_s, max(failed_tasks) AS failed FROM tidegate_executors "
            "WHERE $__timeFilter_ms(at) GROUP BY part, executor ORDER BY seen DESC", table=True), page="/spark",
            described="That were seen in the time range, counters since their start."),
        rows("Scaling decisions", sql(
            "SELECT at, target, have, want, rule, is_acted_on, is_dry_run, by, reason FROM tidegate_scaling "
            "WHERE $__timeFilter_ms(at) AND kind = 'decided' ORDER BY at DESC LIMIT 200", table=True), page="/scaling",
            described="The last of the time range, with their reasons."),
    ])  # fmt: skip


def quality() -> Json:
    """What do the gates say, and what is turned away?"""
    return dashboard("quality", "Tidegate: quality", "What do the gates say, and what is turned away?", [
        stat("Halted stages", f'sum(tidegate_gate_outcome{{{_S},outcome="halted"}})', of="tidegate_gate_outcome", red_from=1,
             page="/quality", described="They wait for an operator, another suite, or data that passes."),
        stat("Open breakers", f'sum(tidegate_breaker_state{{{_S},state!="closed"}})', of="tidegate_breaker_state", red_from=1,
             page="/quality", described="Too much had to be turned away."),
        stat("Refused suites", f"sum(tidegate_suite_refused{{{_S}}})", of="tidegate_suite_refused", red_from=1, page="/quality",
             described="The one before stays in use."),
        stat("Waiting in quarantine", f'sum(tidegate_rejects{{{_S},status="waiting"}})', of="tidegate_rejects",
             page="/quarantine", described="Records of the last 90 days that nobody has replayed or discarded."),
        stat("Turned away", f"max(stream:tidegate_invalid_events:ratio_rate5m{{{_S}}})", "percentunit",
             of="stream:tidegate_invalid_events:ratio_rate5m", page="/quality", described="Of the last five minutes' events."),
        stat("Of it promised", f"min(1 - tidegate_promised_validity_ratio{{{_S}}})", "percentunit",
             of="tidegate_promised_validity_ratio", page="/quality", described="So many may be."),
        timeline("Outcomes", prom(f"tidegate_gate_outcome{{{_S}}} == 1", "{{stream}} {{stage}} {{table}}: {{outcome}}"),
                 page="/quality", described="Of each gate's last verdict."),
        graph("Verdicts", prom(f"sum by (stage, outcome) (increase(tidegate_gate_verdicts_total{{{_S}}}[5m]))",
                               "{{stage}} {{outcome}}"), page="/quality", described="In five minutes."),
        graph("Turned away and promised", prom(f"stream:tidegate_invalid_events:ratio_rate5m{{{_S}}}", "{{stream}}"),
              prom(f"1 - tidegate_promised_validity_ratio{{{_S}}}", "{{stream}} may be"), unit="percentunit", page="/quality",
              described="Share of the events."),
        graph("Dead and quarantined", prom(f'stream_hop:tidegate_hop_events:rate1m{{{_S},hop=~"dead|quarantine"}}',
                                           "{{stream}} {{hop}}"), unit="cps", page="/quarantine", described="Records a second."),
        graph("What gates cost", prom(f"stream_stage:tidegate_gate_seconds:ratio_rate15m{{{_S}}}", "{{stream}} {{stage}}"),
              unit="percentunit", page="/quality", described="Share of their stage's time, over a quarter of an hour."),
        graph("Broken rows", prom(f"tidegate_gate_broken_ratio{{{_S}}}", "{{stream}} {{stage}} {{table}}"), unit="percentunit",
              page="/quality", described="The largest share that breaks one critical rule, in the last verdict."),
        timeline("Breakers", prom(f"tidegate_breaker_state{{{_S}}} == 1", "{{stream}} {{stage}}: {{state}}"), page="/quality",
                 described="Of the flood breakers."),
        graph("Rejects", prom(f"tidegate_rejects{{{_S}}}", "{{stream}} {{status}}"), page="/quarantine",
              described="By what was done with them."),
    ])  # fmt: skip


def serving() -> Json:
    """How fresh and how fast is what people read?"""
    return dashboard("serving", "Tidegate: serving", "How fresh and how fast is what people read?", [
        stat("Inserted", f"sum(rate(tidegate_live_rows_total{{{_S}}}[1m]))", "cps", of="tidegate_live_rows_total", page="/live",
             described="Events a second into ClickHouse."),
        stat("Time an insert", f"sum(rate(tidegate_live_insert_seconds_total{{{_S}}}[1m])) / "
             f"sum(rate(tidegate_live_inserts_total{{{_S}}}[1m]))", "s", of="tidegate_live_inserts_total",
             described="Waiting for ClickHouse included."),
        stat("Failed requests", 'sum(increase(tidegate_clickhouse_requests_total{result="failed"}[5m]))',
             of="tidegate_clickhouse_requests_total", described="In five minutes; also those whose asker went away."),
        stat("Watchers", "tidegate_hub_clients", of="tidegate_hub_clients", page="/", described="Open WebSockets."),
        stat("Horizon", f"time() - min(tidegate_publish_horizon_timestamp_seconds{{{_S}}})", "s",
             of="tidegate_publish_horizon_timestamp_seconds", described="Age of the oldest rollup's last published window."),
        stat("Event to pixel, p50", f"max({_age(0.5)})", "s", of='tidegate_latency_seconds_bucket{hop="painted"}', page="/latency",
             described="Unknown while nobody looks at a live page."),
        graph("Age of events by hop, p99", prom(_age(0.99, ""), "{{stream}} {{hop}}"), unit="s", page="/latency",
              described="Since the event, or of a replay since the raw topic took it; the last five minutes."),
        graph("Requests", prom(f"sum by (verb, result) (rate(tidegate_clickhouse_requests_total[{_RATE}]))", "{{verb}} {{result}}"),
              unit="reqps", described="Of ClickHouse."),
        graph("Time of requests", prom(_quantile(0.95, "tidegate_clickhouse_request_seconds", "verb"), "{{verb}} p95"), unit="s",
              described="From the body to the end of the answer."),
        graph("Rows", prom(f"rate(tidegate_clickhouse_rows_total[{_RATE}])", "{{direction}}"), unit="rps",
              described="That requests have read and written."),
        graph("Publishing", prom(_quantile(0.95, "tidegate_publish_seconds", "rollup"), "{{rollup}} p95"), unit="s",
              described="Of closed windows."),
        graph("Updates of the hub", prom(f"sum by (topic) (rate(tidegate_hub_updates_total[{_RATE}]))", "{{topic}}"), unit="cps",
              described="A second; each goes to everybody who watches its topic."),
        graph("Updates to watchers", prom(f"rate(tidegate_hub_sent_total[{_RATE}])", "sent"),
              prom(f"rate(tidegate_hub_replaced_updates_total[{_RATE}])", "replaced"), unit="cps",
              described="A second, of all watchers; what was replaced by something newer never reached a slow one."),
        graph("Time to the last watcher", prom(_quantile(0.5, "tidegate_hub_push_seconds"), "p50"),
              prom(_quantile(0.99, "tidegate_hub_push_seconds"), "p99"), unit="s",
              described="From an update to the socket of the last one that could take it at once."),
        graph("Watchers by time", prom("tidegate_hub_clients", "connected"),
              prom("sum by (why) (increase(tidegate_hub_closed_total[5m])) > 0", "closed, {{why}}"),
              described="Connected now; closed by the hub in five minutes, and why."),
        rows("Arrivals", sql(
            "SELECT partition, sum(events) AS events, fromUnixTimestamp64Milli(max(max_raw_ms)) AS newest_in_raw, "
            "fromUnixTimestamp64Milli(max(max_event_ms)) AS newest_event FROM ${stream}_arrivals GROUP BY partition "
            "ORDER BY partition", table=True), page="/ledger", described="By source partition, and how fresh each is."),
        graph("Shop: traffic by kind of event", sql(
            "SELECT window_start AS time, event_type, sum(events) AS events FROM shop_traffic "
            "WHERE $__timeFilter(window_start) GROUP BY time, event_type ORDER BY time"), page="/live/shop",
            described="From the rollup's view: closed windows and the live ones. An example; every rollup has such a view."),
        rows("Which layer answers", sql(
            "SELECT layer, count() AS windows, min(window_start) AS first, max(window_end) AS last, max(as_of) AS as_of "
            "FROM shop_traffic WHERE $__timeFilter(window_start) GROUP BY layer", table=True), page="/live/shop",
            described="batch: published from the lake; live: from the pump."),
    ], several=False)  # fmt: skip


def pushed_live() -> Json:
    """What happens this second? Pushed by the part `grafana`; nothing is asked and nothing is kept."""
    hop, consumer = (
        "${__field.labels.stream} ${__field.labels.hop}",
        "${__field.labels.consumer} ${__field.labels.topic}",
    )
    return dashboard("live", "Tidegate: live", "What happens this second? Pushed over Grafana Live.", [
        pushed(graph("Events by hop", live("hop_events_per_second"), unit="cps", page="/",
                     described="Events a second that each hop takes; a gap is not known."), hop),
        pushed(graph("Lag by hop", live("hop_lag_seconds"), unit="s", page="/lag",
                     described="Age of the oldest event that a hop has not taken."), hop),
        pushed(graph("Not taken", live("hop_lag_events"), page="/lag",
                     described="Events of the hop before that a hop has not taken."), hop),
        pushed(graph("Age of the newest event", live("hop_age_seconds"), unit="s", page="/",
                     described="Since a hop took its newest record."), hop),
        words("Verdicts of lag", live("consumer_verdict"), consumer, page="/lag",
              described="ok, unknown, warn, rewind, stall, stop."),
        words("Verdicts of ledgers", live("ledger_verdict"), "${__field.labels.stream}", page="/ledger",
              described="Whether every event is where it should be."),
        pushed(graph("From event to pixel", live("event_to_pixel_ms"), unit="ms", page="/live",
                     described="As browsers measured it in the last minutes; nothing while nobody looks at a live page."),
               "p${__field.labels.percentile}"),
        pushed(graph("Problems", live("problems"), page="/", described="What the console's banner shows."), "problems"),
        pushed(graph("Shop: traffic by kind of event", live("live_shop_traffic_events"), unit="short", page="/live/shop", width=24,
                     described="Each second once it has ended, if TIDEGATE_GRAFANA_TOPICS has live/shop/traffic. An example; every "
                     "measure of every rollup can have such a channel."),
               "${__field.labels.event_type}"),
    ]) | {"refresh": "", "liveNow": True, "time": {"from": "now-5m", "to": "now"}}  # fmt: skip


def main() -> None:
    """Write every dashboard into a folder."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards"
    folder.mkdir(parents=True, exist_ok=True)
    for build in (overview, lag, spark, quality, serving, pushed_live):
        built = build()
        text = json.dumps(built, indent=2, ensure_ascii=False)
        (folder / f"{built['uid'].removeprefix('tidegate-')}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
