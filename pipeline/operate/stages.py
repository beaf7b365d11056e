"""Which stages are run next, and which of them side by side? Pure, from the plan and what is done."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from controlplane.contract.operations import StageState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from controlplane.contract.operations import StagePlanned, StageProgress


def groups(
    planned: Sequence[StagePlanned], done: Collection[str], parallel: Callable[[StagePlanned], bool]
) -> list[list[StagePlanned]]:
    """What is left, in order; the stages of one group may run side by side, and a group begins when the one before has ended.

    Args:
        planned: all stages.
        done: keys of those that are not run again.
        parallel: may it run beside its neighbours for which this is true as well?
    """
    numbers = [0]
    for before, stage in pairwise(planned):
        numbers.append(numbers[-1] + (not (parallel(before) and parallel(stage))))
    grouped = groupby(zip(numbers, planned, strict=False), key=lambda pair: pair[0])
    found = [[stage for _, stage in group if stage.key not in done] for _, group in grouped]
    return [group for group in found if group]


def done_of(stages: Sequence[StageProgress]) -> frozenset[str]:
    """Keys of the stages that are done."""
    return frozenset(stage.key for stage in stages if stage.state is StageState.DONE)
