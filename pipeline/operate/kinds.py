"""Which kinds of operation are there? One line each; what a kind imports is imported when one of its operations is leased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controlplane.contract.operations import Kind
    from pipeline.gate import Gate
    from pipeline.operate.kind import OperationKind
    from pipeline.route.frame import RuleCompiler


@dataclass(frozen=True)
class Ports:
    """What quality satisfies and only `__main__` may join; each is imported when it is asked for."""

    broken_rules: Callable[[], RuleCompiler]
    gate: Callable[[], Gate]


KINDS: Mapping[Kind, Callable[[Ports], OperationKind]] = {}
"""Kind -> what makes it, such as `Kind.BACKFILL: _backfill` of a function above that imports `pipeline.backfill.kind`."""
