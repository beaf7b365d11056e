"""`python -P -m lag_monitor`: every second, how each hop of each stream stands."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.contract.folders import load_streams
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from controlplane.contract.settings import Settings
from lag_monitor.counts import Counts
from lag_monitor.measure import Curve
from lag_monitor.watch import measure_all

if TYPE_CHECKING:
    from controlplane.contract.facts import HopMeasured
    from controlplane.contract.names import Hop
_EVERY_S = 1.0


def watch(
    once: Annotated[bool, typer.Option("--once", help="Measure once and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the facts as JSON lines; report nothing.")] = False,
) -> None:
    """Measure until SIGTERM or Ctrl-C."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    settings = Settings()
    streams = [stream.name for stream in load_streams(settings.stream_roots)]
    counts = Counts(settings)
    curves: dict[tuple[str, Hop], Curve] = defaultdict(Curve)
    reporter = None if dry_run else Reporter(settings.api)
    heart = Heart(settings.notify_socket)
    is_ready = False
    while not stopping.is_set():
        facts: list[HopMeasured] = []
        for stream in streams:
            heart.beat()
            facts += measure_all([stream], counts, curves, lambda: datetime.now(UTC))
        if reporter is None:
            sys.stdout.writelines(f"{fact.model_dump_json()}\n" for fact in facts)
        else:
            reporter.report(*facts)
        if not is_ready:
            notify_ready(settings.notify_socket, f"{len(streams)} streams")
            is_ready = True
        if once or stopping.wait(_EVERY_S):
            break
    if reporter is not None:
        reporter.close()


if __name__ == "__main__":
    typer.run(watch)
