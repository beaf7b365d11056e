"""What is due, and what is better left alone?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.contract.facts import Extent, MaintenanceStage
from controlplane.contract.streams import Maintenance
from pipeline.maintenance.plan import Leftover, Observed, TopicSettings, plan
from pipeline.maintenance.promise import drifted, length_of, promised
from pipeline.maintenance.tables import DataFile, Table, TableFacts

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
POLICY = Maintenance(small_files=4, small_file_bytes=2**20, target_file_bytes=2**22, time_travel=timedelta(days=7))
PLAIN = Table("shop", "rollup_orders", "/lake/shop/rollup_orders")
CLUSTERED = Table("shop", "events", "/lake/shop/events", ("user_id",))
ENTITY = Table("shop", "entity_user", "/lake/shop/entity_user", ("user_id",))
OLD, NEW = (("event_date", "2026-03-07"),), (("event_date", "2026-03-08"),)
SMALL, LARGE = 1_000, 2**21
NONE = Extent(files=0, bytes=0)


def files(count: int, size: int = SMALL, partition: Any = OLD, at: datetime = NOW) -> list[DataFile]:
    return [DataFile(size, at, partition)] * count


def facts(found: list[DataFile], **other: Any) -> TableFacts:
    written = {"properties": promised(POLICY), "written_at": NOW, "dead": NONE, **other}
    return TableFacts(id="t", version=9, files=found, **written)


def due(table: Table, found: TableFacts | str, **other: Any) -> list[tuple[str, int | None]]:
    planned = plan(Observed("shop", POLICY, [(table, found)], **other), NOW)
    return [(each.kind.value, getattr(each, "before", NONE).files) for each in planned.stages]


@pytest.mark.parametrize(
    ("table", "found", "expected"),
    [
        pytest.param(PLAIN, facts([]), [], id="an-empty-table-needs-nothing"),
        pytest.param(PLAIN, facts(files(3)), [], id="few-small-files-are-cheap-to-read"),
        pytest.param(PLAIN, facts(files(4)), [("compact", 4)], id="many-small-files-are-compacted"),
        pytest.param(PLAIN, facts([*files(4), *files(9, LARGE)]), [("compact", 4)], id="large-files-are-not-rewritten"),
        pytest.param(PLAIN, facts([*files(3), *files(3, SMALL, NEW)]), [], id="small-files-count-by-partition"),
        pytest.param(PLAIN, facts(files(4, SMALL, NEW)), [("compact", 4)], id="the-hot-partition-is-compacted-too"),
        pytest.param(CLUSTERED, facts(files(4, SMALL, NEW)), [("compact", 4)], id="the-hot-partition-is-not-clustered"),
        pytest.param(
            CLUSTERED,
            facts([*files(2, LARGE), *files(1, SMALL, NEW)]),
            [("cluster", 2)],
            id="a-partition-that-was-hot-is-put-in-order",
        ),
        pytest.param(ENTITY, facts(files(3, LARGE, ())), [], id="an-entity-of-large-files-is-left"),
        pytest.param(ENTITY, facts(files(4, SMALL, ())), [("cluster", 4)], id="an-entity-of-small-files-is-clustered"),
        pytest.param(
            PLAIN,
            facts(files(9), written_at=NOW - timedelta(days=4)),
            [],
            id="an-idle-table-keeps-the-log-that-says-where-it-goes-on",
        ),
        pytest.param(PLAIN, facts(files(9), written_at=None), [], id="a-table-that-does-not-say-is-not-rewritten"),
        pytest.param(PLAIN, facts([], dead=Extent(files=3, bytes=9)), [], id="a-few-dead-files-can-wait"),
        pytest.param(
            PLAIN, facts(files(4), dead=Extent(files=4, bytes=9)), [("compact", 4), ("vacuum", 4)], id="vacuum-is-last"
        ),
        pytest.param(PLAIN, facts([], properties={}), [("promise", 0)], id="a-table-without-a-promise-is-given-one"),
        pytest.param(PLAIN, "is not there yet", [], id="a-table-that-is-not-there-is-no-failure"),
    ],
)
def test_what_is_due(table: Table, found: TableFacts | str, expected: list[tuple[str, int | None]]) -> None:
    assert due(table, found) == expected


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        pytest.param(1, [], id="a-tenth-is-newer-is-left"),
        pytest.param(3, [("cluster", 10)], id="a-third-is-newer-is-put-in-order-again"),
    ],
)
def test_once_in_order_a_partition_stays_until_much_is_newer(newer: int, expected: list[Any]) -> None:
    before = NOW - timedelta(hours=5)
    found = [*files(10 - newer, LARGE, at=before), *files(newer, LARGE), *files(1, SMALL, NEW)]
    ordered = {("t", "event_date=2026-03-07"): NOW - timedelta(hours=1)}
    assert due(CLUSTERED, facts(found), ordered_at=dict.fromkeys(ordered, before)) == expected
    assert due(CLUSTERED, facts(found), ordered_at={("another", "event_date=2026-03-07"): NOW}) == [("cluster", 10)]


def test_a_compacted_file_that_is_no_longer_small_is_left_alone() -> None:
    found = facts([*files(1, POLICY.small_file_bytes), *files(3)])
    assert due(PLAIN, found) == []


def test_what_is_left_says_why() -> None:
    planned = plan(
        Observed("shop", POLICY, [(PLAIN, facts(files(9), written_at=NOW - timedelta(days=4))), (ENTITY, "is gone")]),
        NOW,
    )
    assert [(note.subject, note.is_warning) for note in planned.notes] == [
        ("rollup_orders", False),
        ("entity_user", False),
    ]
    assert "no row has come since 2026-03-04" in planned.notes[0].text


@pytest.mark.parametrize(
    ("kind", "age", "is_due"),
    [
        pytest.param(MaintenanceStage.CHECKPOINT, timedelta(days=6), False, id="a-checkpoint-may-be-wanted-back"),
        pytest.param(MaintenanceStage.CHECKPOINT, timedelta(days=8), True, id="but-not-for-longer-than-a-version"),
        pytest.param(MaintenanceStage.SCRATCH, timedelta(minutes=1), True, id="temporary-files-are-of-no-use"),
    ],
)
def test_leftovers(kind: MaintenanceStage, age: timedelta, *, is_due: bool) -> None:
    left = Leftover(kind, "/data/old", Extent(files=2, bytes=7), NOW - age)
    assert [each.kind for each in plan(Observed("shop", POLICY, leftovers=[left]), NOW).stages] == [kind] * is_due


def test_a_topic_is_set_as_its_definition_says_and_nothing_else_of_it() -> None:
    should, has = {"retention.ms": "100", "other": "1"}, {"retention.ms": "5", "other": "1", "segment.ms": "7"}
    [stage] = plan(Observed("shop", POLICY, topics=[TopicSettings("shop.raw", should, has)]), NOW).stages
    assert stage.what == "retention.ms from 5 to 100"


def test_a_raw_topic_that_forgets_before_the_lake_has_read_is_a_warning() -> None:
    kept, behind = timedelta(hours=1), timedelta(hours=2)
    [note] = plan(Observed("shop", POLICY, raw_retention=kept, lag=behind), NOW).notes
    assert note.is_warning
    assert "events will be lost" in note.text
    assert plan(Observed("shop", POLICY, raw_retention=behind, lag=kept), NOW).notes == ()


@pytest.mark.parametrize("length", [timedelta(days=7), timedelta(hours=5), timedelta(minutes=90), timedelta()])
def test_a_promise_reads_as_it_was_written(length: timedelta) -> None:
    policy = POLICY.model_copy(update={"time_travel": length})
    assert {length_of(each) for each in promised(policy).values()} == {length}
    assert drifted(promised(policy), policy) == {}


def test_columns_that_rows_are_laid_together_by_are_counted_by_delta() -> None:
    properties = {**promised(POLICY), "delta.dataSkippingStatsColumns": "a,b"}
    assert drifted(properties, POLICY, ["b", "c"]) == {"delta.dataSkippingStatsColumns": "a,b,c"}
    assert drifted(properties, POLICY, ["b"]) == {}
