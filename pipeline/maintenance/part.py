"""Maintenance as a process: each stream by its own clock, the work in a process of its own, until told to stop.

Spark's memory goes with the process that did the work. This one stays small: it asks Delta's log how the tables are, once a
minute, and every `maintenance.every` whether something is due.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from controlplane.contract.facts import MaintenancePlanned
from controlplane.contract.reporting import Heart, Reporter, notify_ready
from pipeline.maintenance.look import looker
from pipeline.maintenance.measure import Measures
from pipeline.maintenance.tables import tables_of
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.maintenance.look import Looker

_BEAT_S = 0.2
_MEASURE_EVERY_S = 60.0
_PLANNED_EVERY_S = 5.0
_FIRST_AFTER = timedelta(minutes=5)
"""A platform that has just started has other things to do."""
_JITTER_SHARE = 0.05
_STOP_WITHIN_S = 15.0
_log = logging.getLogger(__name__)


def run(settings: Settings, streams: Sequence[StreamDefinition], stopping: threading.Event) -> None:
    """Plan and run each stream's maintenance when its policy says so, and report how the tables are."""
    reporter, heart = Reporter(settings.api, settings.service_token), Heart(settings.notify_socket)
    jobs = {stream.name: Job(stream, looker(settings), stopping) for stream in streams}
    scheduler = scheduled(jobs.values())
    scheduler.start()
    measures = Measures([(table, stream) for stream in streams for table in tables_of(stream, settings.lake_root)])
    kept = looker(settings).kept
    notify_ready(settings.notify_socket, f"{len(jobs)} streams")
    measured_at = planned_at = -_MEASURE_EVERY_S
    try:
        while not stopping.wait(_BEAT_S):
            heart.beat()
            now = time.monotonic()
            if now - planned_at >= _PLANNED_EVERY_S:
                planned_at = now
                reporter.report(*(job.planned(scheduler) for job in jobs.values()))
            if now - measured_at >= _MEASURE_EVERY_S or any(job.has_just_run() for job in jobs.values()):
                measured_at = now
                reporter.report(*measures.take(datetime.now(UTC)), *kept.read().runs)
    finally:
        scheduler.shutdown(wait=True)
        reporter.close()


def scheduled(jobs: Any, first_after: timedelta = _FIRST_AFTER) -> BackgroundScheduler:  # noqa: ANN401 (any iterable)
    """A job a stream, one at a time: a late one is done once, however often it was due."""
    scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
    for job in jobs:
        every = job.stream.maintenance.every
        scheduler.add_job(
            job,
            "interval",
            id=job.stream.name,
            seconds=every.total_seconds(),
            jitter=every.total_seconds() * _JITTER_SHARE,
            next_run_time=datetime.now(UTC) + min(first_after, every),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=max(1, round(every.total_seconds())),
        )
    return scheduler


@dataclass
class Job:
    """One stream's maintenance."""

    stream: StreamDefinition
    looks: Looker
    stopping: threading.Event
    looked_at: datetime | None = None
    due: int | None = None
    is_running: bool = False
    reason: str | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        """Look, and have done what is due."""
        try:
            plan = self.looks.plan([self.stream], datetime.now(UTC))
            self.looked_at, self.due, self.reason = plan.at, len(plan.stages), None
            if plan.stages:
                self.is_running = True
                self.reason = self._run()
        except Exception as error:  # noqa: BLE001 (said, and tried again when it is due again)
            _log.exception("maintenance of %s failed", self.stream.name)
            self.reason = first_line(error)
        finally:
            self.is_running = False
            self._ended.set()

    def planned(self, scheduler: BackgroundScheduler) -> MaintenancePlanned:
        """When it comes next, and how the last look was."""
        job = scheduler.get_job(self.stream.name)
        return MaintenancePlanned(
            at=datetime.now(UTC),
            stream=self.stream.name,
            next_at=None if job is None else job.next_run_time,
            looked_at=self.looked_at,
            due=self.due,
            is_running=self.is_running,
            reason=self.reason,
        )

    def has_just_run(self) -> bool:
        """Has a look or run ended since this was asked last?"""
        has = self._ended.is_set()
        self._ended.clear()
        return has

    def _run(self) -> str | None:
        """In a process of its own; why it failed, None when it did not."""
        command = [sys.executable, "-P", "-m", "pipeline", "maintain", "run", "--stream", self.stream.name]
        child = subprocess.Popen(command)
        while child.poll() is None:
            if self.stopping.wait(_BEAT_S):
                child.terminate()
                _ended_or_killed(child)
                return None
        return None if child.returncode == 0 else f"the last run ended with code {child.returncode}; see its stages"


def _ended_or_killed(child: subprocess.Popen[bytes]) -> None:
    """It stops after its stage; one that takes too long leaves files that vacuum will find, and nothing half done."""
    try:
        child.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
