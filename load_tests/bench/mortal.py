"""A worker whose process dies at stages of rollbacks and backfills: when a stage has done its work, and nobody has heard of it yet.

That is the worst moment: what is done must be found done. It dies of SIGKILL, once at each stage of each operation, and once
when it takes back what a cancelled one has left. `python -P -m load_tests.bench.mortal DIES...` with keys of stages, `clean_up`,
or `all`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from controlplane.contract.operations import Does, Kind
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings
from pipeline.backfill.kind import BackfillKind
from pipeline.operate.client import ControlPlane
from pipeline.operate.kind import RestsError
from pipeline.operate.run import run_leased
from pipeline.operate.worker import Worker
from pipeline.rollback.kind import RollbackKind
from quality.compile import broken_rules
from quality.gate import ExpectationsGate
from quality.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from controlplane.contract.operations import StagePlanned
    from pipeline.operate.kind import OperationKind, Work

    Does_ = Callable[[Work, StagePlanned], Mapping[str, JsonValue]]

ALL = "all"
CLEAN_UP = "clean_up"


def deaths(data: Path, operation: str) -> list[str]:
    """Where an operation's process has died, in order of their names."""
    folder = data / "deaths" / operation
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


class Mortal:
    """A kind of operation that dies; else as it is. See `OperationKind`.

    Args:
        kind: what does the work.
        dies: at which stages.
    """

    def __init__(self, kind: OperationKind, dies: Collection[str]) -> None:
        self._kind, self._dies = kind, frozenset(dies)
        self.does: Mapping[str, Does_] = {name: self._once(does) for name, does in kind.does.items()}
        self.parallel = kind.parallel
        self.plan, self.confirm_basis, self.undo = kind.plan, kind.confirm_basis, kind.undo

    def clean_up(self, work: Work) -> None:
        """See `OperationKind`."""
        self._kind.clean_up(work)
        self._die(work, CLEAN_UP)

    def _once(self, does: Does_) -> Does_:
        def done(work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:
            try:
                found = does(work, stage)
            except RestsError:
                self._die(work, stage.key)
                raise
            self._die(work, stage.key)
            return found

        return done

    def _die(self, work: Work, where: str) -> None:
        if not {ALL, where} & self._dies:
            return
        died = work.settings.data / "deaths" / work.operation.id / where
        if died.exists():
            return
        died.parent.mkdir(parents=True, exist_ok=True)
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def work(dies: list[str]) -> None:
    """Lease rollbacks and backfills until SIGTERM; each is run by a process of its own, which dies."""
    settings, stopping = Settings(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    reporter = Reporter(settings.api, settings.service_token)
    Worker(
        settings,
        _kinds(settings, ()),
        ControlPlane(settings.api, settings.authorization),
        reporter,
        lambda leased: [
            sys.executable, "-P", "-m", "load_tests.bench.mortal", "--run",
            leased.operation.id, leased.lease, leased.does, *dies,
        ],
    ).run(stopping)  # fmt: skip
    reporter.close()


def main() -> None:
    """Entry point of the worker, and of the process that runs an operation."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if sys.argv[1:2] != ["--run"]:
        work(sys.argv[1:])
        return
    number, lease, does, *dies = sys.argv[2:]
    settings = Settings()
    run_leased(settings, _kinds(settings, dies), number, lease, Does(does))


def _kinds(settings: Settings, dies: Collection[str]) -> dict[Kind, Callable[[], Mortal]]:
    def gate() -> ExpectationsGate:
        return ExpectationsGate(Results(settings.data / "quality" / "results"))

    return {
        Kind.ROLLBACK: lambda: Mortal(RollbackKind(), dies),
        Kind.BACKFILL: lambda: Mortal(BackfillKind(lambda: broken_rules, gate), dies),
    }


if __name__ == "__main__":
    main()
