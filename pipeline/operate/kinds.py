"""Which kinds of operation are there? One line each; what a kind imports is imported when one of its operations is leased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from controlplane.contract.folders import Problem
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate
    from pipeline.operate.kind import OperationKind
    from pipeline.route.frame import RuleCompiler


@dataclass(frozen=True)
class Ports:
    """What quality satisfies and only `__main__` may join; each is imported when it is asked for."""

    broken_rules: Callable[[], RuleCompiler]
    gate: Callable[[], Gate]
    suite_check: Callable[[StreamDefinition], Iterable[Problem]]
    """Mistakes in a stream's suites that only Great Expectations can name."""


def _backfill(ports: Ports) -> OperationKind:
    from pipeline.backfill.kind import BackfillKind

    return BackfillKind(ports.broken_rules, ports.gate)


def _trial(ports: Ports) -> OperationKind:
    from pipeline.trial.kind import TrialKind
    from pipeline.trial.registered import learn

    return TrialKind(ports.broken_rules(), ports.gate(), ports.suite_check, learn)


def _promotion(_: Ports) -> OperationKind:
    from pipeline.trial.promotion import PromotionKind
    from pipeline.trial.registered import register

    return PromotionKind(register)


def _rollback(_: Ports) -> OperationKind:
    from pipeline.rollback.kind import RollbackKind

    return RollbackKind()


def _load_test(_: Ports) -> OperationKind:
    from pipeline.loads.kind import LoadKind

    return LoadKind()


def _maintenance(_: Ports) -> OperationKind:
    from pipeline.maintenance.kind import MaintenanceKind

    return MaintenanceKind()


KINDS: Mapping[Kind, Callable[[Ports], OperationKind]] = {
    Kind.BACKFILL: _backfill,
    Kind.LOAD_TEST: _load_test,
    Kind.MAINTENANCE: _maintenance,
    Kind.PROMOTION: _promotion,
    Kind.ROLLBACK: _rollback,
    Kind.TRIAL: _trial,
}
"""Kind -> what makes it, such as `Kind.BACKFILL: _backfill` of a function above that imports `pipeline.backfill.kind`."""
