"""A worker with a kind of its own, so that operations can be run without a lake: `python -P operating.py [operate ID LEASE DOES]`.

Each of its stages writes a line into `<data>/did` when it begins and when it ends, and waits while there is a file `hold-<stage>`.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlplane.contract.operations import Does, Kind, OperationAsked, Plan, StagePlanned, Touch
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings
from pipeline.operate.client import ControlPlane
from pipeline.operate.run import run_leased
from pipeline.operate.worker import Worker

if TYPE_CHECKING:
    from pipeline.operate.kind import Work


class Writing:
    """Stages that write lines, two of them side by side."""

    def __init__(self) -> None:
        self.does = {"first": self._write, "build": self._write, "last": self._last}

    def parallel(self, stage: StagePlanned) -> bool:
        return stage.does == "build"

    def plan(self, work: Work) -> Plan:
        builds = [
            StagePlanned(key=f"build:{day}", does="build", title=f"Build {day}", partition=day, rows=10)
            for day in ("2013-01-01", "2013-01-02")
        ]
        first = StagePlanned(key="first", does="first", title="Look")
        last = StagePlanned(key="last", does="last", title="Swap")
        return Plan(
            at=datetime.now(UTC),
            stages=(first, *builds, last),
            touches=(Touch(stream=work.operation.stream, table="events", partitions=("2013-01-01", "2013-01-02")),),
            confirmation=work.operation.stream,
            fingerprint=f"f-{work.operation.id}",
            rows=20,
        )

    def confirm_basis(self, work: Work) -> None:
        _did(work, "basis")

    def clean_up(self, work: Work) -> None:
        _did(work, "clean_up")

    def undo(self, work: Work) -> OperationAsked:
        return OperationAsked(kind=work.operation.kind, asked=work.operation.asked, why="undo")

    def _write(self, work: Work, stage: StagePlanned) -> dict[str, Any]:
        _did(work, f"begin {stage.key}")
        work.check()
        held = work.settings.data / f"hold-{stage.key}"
        until = time.monotonic() + 60
        while held.exists() and time.monotonic() < until:
            work.progress(1, 2, "rows")
            work.check()
            threading.Event().wait(0.05)
        _did(work, f"end {stage.key}")
        return {"rows": 10}

    def _last(self, work: Work, stage: StagePlanned) -> dict[str, Any]:
        found = self._write(work, stage)
        rows = sum(int(str(work.result_of(f"build:2013-01-0{day}")["rows"])) for day in (1, 2))
        return {**found, "rows": rows}


def _did(work: Work, what: str) -> None:
    with (work.settings.data / "did").open("a") as file:
        file.write(json.dumps([work.operation.id, what]) + "\n")


def main(arguments: list[str]) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings, kinds = Settings(), {Kind.BACKFILL: Writing, Kind.TRIAL: Writing}
    if arguments:
        _, number, lease, does = arguments
        return run_leased(settings, kinds, number, lease, Does(does))
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    reporter = Reporter(settings.api, settings.service_token)
    plane = ControlPlane(settings.api, settings.authorization)
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "operate"]
    worker = Worker(
        settings, kinds, plane, reporter, lambda leased: [*command, leased.operation.id, leased.lease, leased.does]
    )
    worker.run(stopping)
    reporter.close()
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
