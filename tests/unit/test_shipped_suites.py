"""Can every expectation of the shipped suites be evaluated on what its stage looks at? A wrong column would halt the lake."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.names import AS_OF, EVENT_DATE
from controlplane.contract.rollups import LATE, LAYER, WINDOW_END, WINDOW_START
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.valid import type_name, valid_schema
from pipeline.serving.ddl import valid_fields
from pipeline.serving.windows import number_types
from quality.gate import of_table
from quality.gx import judge

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition

MOMENT = pd.Timestamp("2026-03-01T12:00:00Z")
VALUES: dict[str, Any] = {
    **dict.fromkeys(("int", "long"), 1),
    **dict.fromkeys(("float", "double"), 1.5),
    **dict.fromkeys(("string", "enum"), "a"),
    **dict.fromkeys(("timestamp-millis", "timestamp-micros"), MOMENT),
    "boolean": True,
    "date": dt.date(2026, 3, 1),
}


def event(stream: StreamDefinition) -> dict[str, Any]:
    fields = {each["name"]: VALUES[type_name(each["type"])] for each in valid_schema(stream)["fields"]}
    return {**fields, EVENT_DATE: VALUES["date"]}


def window(stream: StreamDefinition, rollup: str) -> dict[str, Any]:
    definition = stream.rollups[rollup]
    kinds = number_types(definition, valid_fields(stream))
    measures = {name: 1.5 if "Float" in kind else 1 for name, kind in kinds.items()}
    times = {WINDOW_START: MOMENT, WINDOW_END: MOMENT + dt.timedelta(minutes=1)}
    return {**times, **dict.fromkeys(definition.dimensions, "a"), **measures, LATE: 0}


CASES = [
    (name, stage, rollup)
    for name in ("shop", "flights")
    for stage in (Stage.LAKE, Stage.ROLLUP, Stage.SERVING)
    for rollup in (load_stream(SHIPPED_STREAMS / name).rollups if stage is not Stage.LAKE else [None])
]


@pytest.mark.parametrize(("name", "stage", "rollup"), CASES, ids=str)
def test_every_expectation_can_be_evaluated(name: str, stage: Stage, rollup: str | None) -> None:
    stream = load_stream(SHIPPED_STREAMS / name)
    row = event(stream) if rollup is None else window(stream, rollup)
    if stage is Stage.SERVING:
        row |= {LAYER: "batch", AS_OF: MOMENT}
    suite = of_table(stream.suites[stage], rollup)
    judged = judge(suite, pd.DataFrame([row, row]), rows=100_000)
    assert suite["expectations"]
    assert {each.rule: each.reason for each in judged.rules if each.kept is None} == {}
