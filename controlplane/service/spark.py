"""What does Spark do? Every part's application, queries, stages and executors as the Spark page shows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.spark import (
    LatencyMeasured,
    QueryProgressed,
    SparkFrame,
    SparkObserved,
    SparkPart,
    SparkStarted,
)

if TYPE_CHECKING:
    from controlplane.service.observed import Observed
    from controlplane.service.state import Known

STARTED_WITHIN = timedelta(seconds=40)
"""A part says every 15 s that its application runs."""
OBSERVED_WITHIN = timedelta(seconds=20)
"""The REST API is asked every few seconds."""
PARTS = ("route", "lake")
"""They always run Spark."""


def spark_frame(known: Known, observed: Observed, now: datetime) -> SparkFrame:
    """Every part that runs Spark, as known at `now`."""
    found = {fact.part for fact in known.facts.values() if isinstance(fact, SparkStarted | SparkObserved)}
    queries = [fact for fact in known.facts.values() if isinstance(fact, QueryProgressed)]
    others = found | {_part_of(fact) for fact in queries}
    names = (*PARTS, *sorted(others - set(PARTS)))
    return SparkFrame(at=now, parts=tuple(_part(known, observed, queries, name, now) for name in names))


def _part_of(fact: QueryProgressed | LatencyMeasured) -> str:
    """`route` of `route shop`."""
    return fact.query.partition(" ")[0]


def _part(known: Known, observed: Observed, said: list[QueryProgressed], part: str, now: datetime) -> SparkPart:
    started, not_started = _started(known, part, now)
    seen, not_seen = _seen(known, observed, part, now)
    queries = sorted((fact for fact in said if _part_of(fact) == part), key=lambda fact: fact.query)
    return SparkPart(
        part=part,
        started=started,
        observed=seen,
        queries=tuple(queries),
        batches={fact.query: batches for fact in queries if (batches := observed.batches(fact.query))},
        latencies=_latencies(known, part, now),
        reason="; ".join(filter(None, (not_started, not_seen))) or None,
    )


def _started(known: Known, part: str, now: datetime) -> tuple[SparkStarted | None, str | None]:
    fact = known.facts.get(("spark_started", part))
    if not isinstance(fact, SparkStarted):
        return None, f"{part} has not said yet that its Spark runs"
    age = now - fact.at
    if age > STARTED_WITHIN:
        return None, f"{part} has not said for {age.total_seconds():.0f} s that its Spark runs"
    return fact, None


def _seen(known: Known, observed: Observed, part: str, now: datetime) -> tuple[SparkObserved | None, str | None]:
    fact = known.facts.get(("spark_observed", part))
    if not isinstance(fact, SparkObserved):
        return None, "nobody has asked its REST API for executors and stages yet"
    age = now - fact.at
    if age > OBSERVED_WITHIN:
        return None, f"nobody has asked its REST API for executors and stages for {age.total_seconds():.0f} s"
    return fact.model_copy(update={"stages": observed.stages(part, fact.app_id, now)}), fact.reason


def _latencies(known: Known, part: str, now: datetime) -> tuple[LatencyMeasured, ...]:
    """Those of its queries, by name; none where nobody has measured lately."""
    found = (fact for fact in known.facts.values() if isinstance(fact, LatencyMeasured) and _part_of(fact) == part)
    return tuple(sorted((fact for fact in found if now - fact.at <= OBSERVED_WITHIN), key=lambda fact: fact.query))
