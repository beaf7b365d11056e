"""What has Spark done in the last minutes? The newest batches of each query, the newest stages of each part.

The fold does not depend on the order in which facts come, nor on how often. It is bounded: a query that starts a batch a
second, or a batch of two hundred stages, pushes out its own oldest ones.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.spark import QueryProgressed, SparkObserved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.facts import Fact
    from controlplane.contract.spark import StageSeen

BATCHES = 60
"""Of a query."""
STAGES = 60
"""Of a part."""
STAGES_WITHIN = timedelta(minutes=5)

Batch = tuple[str, int]
"""Run of the query, number."""
Attempt = tuple[str, int, int]
"""Application, stage, attempt."""


class Observed:
    """The newest batches and stages."""

    def __init__(self) -> None:
        self._batches: dict[str, dict[Batch, QueryProgressed]] = defaultdict(dict)
        self._stages: dict[str, dict[Attempt, tuple[datetime, StageSeen]]] = defaultdict(dict)

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take batches and stages in; other facts are passed over."""
        for fact in facts:
            if isinstance(fact, QueryProgressed) and fact.batch_id is not None:
                self._progressed(fact, (fact.run_id or "", fact.batch_id))
            elif isinstance(fact, SparkObserved):
                self._looked(fact)

    def batches(self, query: str) -> tuple[QueryProgressed, ...]:
        """Oldest first."""
        return tuple(sorted(self._batches.get(query, {}).values(), key=_by_time))

    def stages(self, part: str, app_id: str, now: datetime) -> tuple[StageSeen, ...]:
        """Of the last minutes, those that run first, then the newest."""
        kept = self._stages.get(part, {}).items()
        found = [stage for (app, _, _), (at, stage) in kept if app == app_id and now - at <= STAGES_WITHIN]
        return tuple(sorted(found, key=lambda stage: (stage.state != "active", -stage.stage, -stage.attempt)))

    def _progressed(self, fact: QueryProgressed, batch: Batch) -> None:
        kept = self._batches[fact.query]
        if batch in kept and _by_time(kept[batch]) >= _by_time(fact):
            return
        kept[batch] = fact
        while len(kept) > BATCHES:
            del kept[min(kept, key=lambda each: _by_time(kept[each]))]

    def _looked(self, fact: SparkObserved) -> None:
        kept = self._stages[fact.part]
        for stage in fact.stages:
            attempt = (fact.app_id, stage.stage, stage.attempt)
            if attempt not in kept or kept[attempt][0] < fact.at:
                kept[attempt] = (fact.at, stage)
        while len(kept) > STAGES:
            del kept[min(kept, key=lambda each: (kept[each][0], each))]


def _by_time(fact: QueryProgressed) -> tuple[datetime, str]:
    return fact.at, fact.id
