"""Tables and runs of maintenance, as known: nothing is invented, the oldest runs are forgotten."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import (
    MaintenancePlanned,
    MaintenanceRan,
    MaintenanceStage,
    TableMeasured,
    WindowsClosed,
)
from controlplane.service.lake import MEASURED_WITHIN, lake_frame
from controlplane.service.state import RUNS, Known

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def ran(ago: float, subject: str = "events") -> MaintenanceRan:
    at = NOW - timedelta(seconds=ago)
    return MaintenanceRan(
        at=at, run="r", stream="shop", subject=subject, stage=MaintenanceStage.COMPACT, what="", took_s=1
    )


def test_what_nobody_has_reported_is_unknown_with_a_reason(shop: StreamDefinition) -> None:
    [stream] = lake_frame(Known(), [shop], NOW).streams
    assert [each.table for each in stream.tables] == [
        "events",
        "entity_visitor",
        "rollup_traffic",
        "rollup_sales",
        "rollup_interest",
    ]
    assert {(each.measured.files, each.measured.reason, each.horizon) for each in stream.tables} == {
        (None, "not measured yet", None)
    }
    assert (stream.planned.next_at, stream.planned.reason) == (None, "the part maintenance has not reported yet")


def test_what_was_measured_is_known_for_a_while(shop: StreamDefinition) -> None:
    known = Known()
    known.fold(
        [
            TableMeasured(at=NOW, stream="shop", table="events", files=3),
            MaintenancePlanned(at=NOW, stream="shop", next_at=NOW, due=1),
            WindowsClosed(
                at=NOW,
                stream="shop",
                table="rollup_sales",
                version=1,
                rows=1,
                horizon=NOW,
                corrected=False,
                took_s=1,
            ),
            ran(5),
            ran(9),
        ]
    )
    [stream] = lake_frame(known, [shop], NOW).streams
    tables = {each.table: each for each in stream.tables}
    assert (tables["events"].measured.files, stream.planned.due) == (3, 1)
    assert (tables["rollup_sales"].horizon, tables["rollup_traffic"].horizon) == (NOW, None)
    assert tables["events"].last == ran(5).model_copy(
        update={"id": tables["events"].last.id if tables["events"].last else ""}
    )
    [later] = lake_frame(known, [shop], NOW + MEASURED_WITHIN + timedelta(seconds=1)).streams
    assert (later.tables[0].measured.files, later.planned.next_at) == (None, None)
    assert "not measured for 151 s" in (later.tables[0].measured.reason or "")


def test_the_newest_runs_are_remembered_in_whatever_order_they_come() -> None:
    facts = [ran(each) for each in range(RUNS + 30)]
    known = Known()
    known.fold(random.Random(1).sample(facts, len(facts)))  # noqa: S311 (a drawing)
    known.fold(facts)
    assert list(known.runs()) == facts[:RUNS]
