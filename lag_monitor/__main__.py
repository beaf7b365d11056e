"""`python -P -m lag_monitor`: how each hop of each stream stands, and how each consumer of each topic does."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.contract.folders import load_probe, load_streams
from controlplane.contract.metrics.serve import serve_metrics
from controlplane.contract.metrics.table import LAG
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from controlplane.contract.settings import Settings
from lag_monitor.hops.watch import watch_hops
from lag_monitor.kafka.cluster import Cluster
from lag_monitor.lag import watch_lag
from lag_monitor.latency.watch import EVERY_S as LATENCY_EVERY_S
from lag_monitor.latency.watch import watch_latency
from lag_monitor.positions.lake import LakeEnds
from lag_monitor.probe import EVERY_S as PROBE_EVERY_S
from lag_monitor.probe import watch_probe
from lag_monitor.spark.watch import EVERY_S as SPARK_EVERY_S
from lag_monitor.spark.watch import watch_spark
from lag_monitor.watches import Watch, look_once, run
from lag_monitor.why.watch import EVERY_S, watch_why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.facts import Fact


def main(
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the facts as JSON lines; report nothing.")] = False,
) -> None:
    """Watch until SIGTERM or Ctrl-C."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    settings = Settings()
    definitions = load_streams(settings.stream_roots)
    streams, probe = [stream.name for stream in definitions], load_probe(settings)
    cluster, lake = Cluster(settings.kafka), LakeEnds(settings.lake_root)
    watches = (
        Watch("hops", 1.0, watch_hops(settings, streams, cluster, lake)),
        Watch("lag", 1.0, watch_lag(settings, streams, cluster, lake)),
        Watch("latency", LATENCY_EVERY_S, watch_latency(settings, streams)),
        Watch("spark", SPARK_EVERY_S, watch_spark(settings)),
        Watch("why", EVERY_S, watch_why(settings, definitions)),
        *([] if probe is None else [Watch("probe", PROBE_EVERY_S, watch_probe(settings, probe, cluster))]),
    )
    reporter = None if dry_run else Reporter(settings.api, settings.service_token)

    def tell(facts: Iterable[Fact]) -> None:
        if reporter is None:
            sys.stdout.write("".join(f"{fact.model_dump_json()}\n" for fact in facts))
        else:
            reporter.report(*facts)

    def ready() -> None:
        notify_ready(settings.notify_socket, f"{len(streams)} streams")

    if once:
        for watch in watches:
            look_once(watch, tell)
    else:
        serve_metrics(settings.metrics, LAG)
        run(watches, tell, Heart(settings.notify_socket), ready, stopping)
    if reporter is not None:
        reporter.close()


if __name__ == "__main__":
    typer.run(main)
