"""What does route's gate cost? The same events through the same frame, with its rules and with none, in turns.

One job reads the whole raw topic, routes it and writes it, with route's own source, frame and sink. That is route but for the
schedule of real-time mode, and a job can be run again and again over the same events, so the two are measured turn by turn
while the machine is in one mood.
"""

from __future__ import annotations

import os
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from controlplane.contract.gates import Policy
from controlplane.contract.names import Hop
from controlplane.contract.streams import IngestGate
from load_tests.bench.throughput import session_of_route
from pipeline.registry import await_registry, learned
from pipeline.route.decode import Schemas
from pipeline.route.frame import route
from pipeline.route.references import references_of
from pipeline.route.wiring import raw_batch, sink_options
from quality.compile import broken_rules

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.stage import Bench, Figures

WARM = 3
"""Turns of each kind that are not counted: the JVM compiles for that long."""
TURNS = 7
"""Of each kind that are."""


def measure(bench: Bench) -> dict[str, Figures]:
    """Figures of route; in a process of its own, whose CPU time is what counts: the broker's is not route's."""
    own = replace(bench, family=os.getpid())
    gates = own.stream.gates.model_copy(update={"ingest": IngestGate(policy=Policy.PASS)})
    streams = {True: own.stream, False: own.stream.model_copy(update={"gates": gates})}
    turns: dict[bool, list[Figures]] = {True: [], False: []}
    with session_of_route(own) as spark:
        for number in range(WARM + TURNS):
            for has_gate in (True, False) if number % 2 else (False, True):
                turns[has_gate].append(_turn(spark, own, streams[has_gate]))
    counted = {has_gate: found[WARM:] for has_gate, found in turns.items()}
    on, off = (_median(counted[has_gate], "cpu_us_per_event") for has_gate in (True, False))
    pairs = [
        1 - b["cpu_us_per_event"] / a["cpu_us_per_event"] for a, b in zip(counted[True], counted[False], strict=True)
    ]
    found: Figures = {
        "rules": len(own.stream.row_rules),
        "events_a_turn": own.events,
        "events_per_s_without_gate": _median(counted[False], "events_per_s"),
        "events_per_s_with_gate": _median(counted[True], "events_per_s"),
        "cpu_us_per_event_without_gate": round(off, 3),
        "cpu_us_per_event_with_gate": round(on, 3),
        "share_of_cpu": round((on - off) / on, 3),
        "share_of_cpu_lowest_turn": round(min(pairs), 3),
        "share_of_cpu_highest_turn": round(max(pairs), 3),
    }
    return {"route": found}


def _turn(spark: SparkSession, bench: Bench, stream: StreamDefinition) -> Figures:
    known = learned(await_registry(bench.settings.registry), stream)
    schemas = Schemas(writers=known.raw, valid_id=max(known.valid), stop_at_unknown=False)
    ends = bench.ends(Hop.RAW)
    raw = raw_batch(spark, bench.settings.kafka, stream.name, dict.fromkeys(ends, 0), ends)
    frame = route(raw, known.stream, schemas, references_of(spark, stream), broken_rules, {})
    with bench.timed() as timed:
        frame.write.format("kafka").options(**sink_options(bench.settings.kafka)).save()
    return timed.of(bench.events)


def _median(turns: list[Figures], figure: str) -> float:
    return median(each[figure] for each in turns)
