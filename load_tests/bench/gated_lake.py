"""What does lake's gate cost? The same events through the same writer, with its suite and without, in turns.

Small micro-batches, as of a few hundred events a second, are judged whole; large ones by a sample. The time is the
writer's own, from a micro-batch's beginning to its commit, so Spark's book-keeping between batches is not in it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from controlplane.contract.facts import BatchCommitted
from controlplane.contract.gates import GateDecided, Outcome, Stage
from controlplane.contract.names import Hop
from load_tests.bench.throughput import session_of_lake
from pipeline.lake.gate import BatchGate, FakeOrders
from pipeline.lake.writer import LakeWriter
from pipeline.registry import await_registry, learned
from pipeline.suites import FollowedSuites
from quality.gate import ExpectationsGate
from quality.gx import import_soon
from quality.results import Results

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from load_tests.bench.stage import Bench, Figures

SMALL, SMALL_BATCHES = 5_000, 12
"""Events of ten seconds at 500 a second."""
LARGE, LARGE_BATCHES = 200_000, 2
"""Of ten seconds at 20,000 a second."""
TURNS = 4
"""Of each kind; the first warms up and is not counted."""
_WITHIN_S = 120.0


@dataclass
class _Reports:
    """Hears of each batch."""

    wanted: int
    batches: list[BatchCommitted] = field(default_factory=list)
    decided: list[GateDecided] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def report(self, *facts: Any) -> None:  # noqa: ANN401 (any fact)
        self.batches += [each for each in facts if isinstance(each, BatchCommitted)]
        self.decided += [each for each in facts if isinstance(each, GateDecided)]
        if len(self.batches) >= self.wanted:
            self.enough.set()

    def stand(self, what: str, facts: Any) -> None:  # noqa: ANN401
        """What stands is not of interest here."""


def measure(bench: Bench) -> dict[str, Figures]:
    """Figures for small and for large micro-batches; in a process of its own, once `<s>.valid` is filled."""
    import_soon().join()
    large = min(LARGE, bench.count(Hop.VALID) // LARGE_BATCHES)
    with session_of_lake(bench) as spark:
        return {
            "lake_small": _compared(spark, bench, SMALL, SMALL_BATCHES),
            "lake_large": _compared(spark, bench, large, LARGE_BATCHES),
        }


def _compared(spark: SparkSession, bench: Bench, size: int, batches: int) -> Figures:
    turns: dict[bool, list[_Reports]] = {True: [], False: []}
    for number in range(TURNS):
        for has_gate in (False, True):
            turns[has_gate].append(_run(spark, bench, size, batches, f"{size}-{number}-{has_gate}"))
    on, off = (median(map(_seconds, turns[each][1:])) for each in (True, False))
    decided = [fact for reports in turns[True][1:] for fact in reports.decided]
    if astray := [fact.reason for fact in decided if fact.outcome not in (Outcome.PASSED, Outcome.WARNED)]:
        raise RuntimeError(f"the gate did not let all of it through: {astray[0]}")
    return {
        "events_a_batch": size,
        "judged_a_batch": median(each.judged for each in decided),
        "s_a_batch_without_gate": round(off / batches, 3),
        "s_a_batch_with_gate": round(on / batches, 3),
        "share_by_difference": round((on - off) / on, 3),
        "share_by_its_own_clock": round(
            sum(each.took_s or 0 for each in decided) / sum(each.stage_took_s or 0 for each in decided), 3
        ),
    }


def _seconds(reports: _Reports) -> float:
    return sum(each.took_s for each in reports.batches[: reports.wanted])


def _run(spark: SparkSession, bench: Bench, size: int, batches: int, name: str) -> _Reports:
    folder: Path = bench.settings.data / "gated" / name
    settings = bench.settings.model_copy(
        update={"lake": str(folder / "lake"), "checkpoints": str(folder / "checkpoints")}
        | {"lake_batch": size, "lake_trigger": timedelta(milliseconds=1)}
    )
    stream = bench.stream if name.endswith("True") else bench.stream.model_copy(update={"suites": {}})
    registry, closing, reports = await_registry(settings.registry), threading.Event(), _Reports(batches)
    parts: Any = (reports, closing)
    results = Results(folder / "results")
    gate = BatchGate(
        stream.name,
        stream.gates.lake,
        ExpectationsGate(results),
        FollowedSuites(stream, (Stage.LAKE,)),
        FakeOrders(),
        *parts,
    )
    known = learned(registry, bench.stream)
    writer = LakeWriter(spark, lambda: known, known, bench.partitions, settings, parts[0], gate)
    query = writer.start()
    try:
        if not reports.enough.wait(_WITHIN_S):
            raise TimeoutError(f"{len(reports.batches)} of {batches} batches in {_WITHIN_S:.0f} s: {query.exception()}")
    finally:
        closing.set()
        query.stop()
        results.close()
    return reports
