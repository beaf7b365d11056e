"""Look, decide, act, report: one run of maintenance, whoever asked for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.reporting import Reporter
from pipeline.maintenance.act import SparkActs
from pipeline.maintenance.look import looker
from pipeline.maintenance.measure import Measures
from pipeline.maintenance.run import run, turn
from pipeline.maintenance.tables import tables_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pyspark.sql import SparkSession

    from controlplane.contract.facts import MaintenanceRan
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_SLOTS = 1
"""One task at a time: what others do on this machine goes first."""


def maintain(
    settings: Settings,
    streams: Sequence[StreamDefinition],
    told: Callable[[MaintenanceRan], None],
    stopping: threading.Event,
    *,
    table: str | None = None,
    waits: Callable[[], None] = lambda: None,
) -> int:
    """Do what is due, in this process, after the run before; how many stages were left because of `stopping`.

    Args:
        settings: where everything is.
        streams: whose tables.
        told: called after each stage.
        stopping: ends the run after the stage that it is at.
        table: only this table of each stream, and nothing but tables.
        waits: called once if another run must end first.

    Raises:
        StoppedError: if `stopping` was set before it was this run's turn.
    """
    looks = looker(settings)
    acts = SparkActs(lambda: _session(settings), looks.topics, looks.kept)
    # Without an address nobody listens; what is kept is reported by the platform's next start.
    reporter = Reporter(settings.api, settings.service_token) if settings.api else None

    def report(ran: MaintenanceRan) -> None:
        looks.kept.add(ran)
        if reporter is not None:
            reporter.report(ran)
        told(ran)

    try:
        with turn(settings.data.resolve() / "maintenance", stopping.wait, waits):
            due = looks.plan(streams, datetime.now(UTC), table)
            left = len(due.stages) - run(due, acts, report, stopping)
        if reporter is not None:
            tables = [(each, stream) for stream in streams for each in tables_of(stream, settings.lake_root)]
            reporter.report(*Measures(tables).take(datetime.now(UTC)))
        return left
    finally:
        acts.stop()
        if reporter is not None:
            reporter.close()


def _session(settings: Settings) -> SparkSession:
    from pipeline.spark import build_session, session_options

    return build_session("tidegate maintenance", slots=_SLOTS, **session_options(settings, "maintenance"))
