"""Groups, trends and pages of turned-away records; a header that is missing loses no record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from controlplane.contract.names import Hop, Reason
from controlplane.contract.replays import Marker, Selection, Status
from quality.inbox.index import BUCKETS, Index, chosen, counts_of, groups, page, trend
from quality.inbox.markers import Markers
from quality.rejects.record import SCHEMA, row

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Said:
    """A Kafka record."""

    def __init__(self, headers: list[tuple[str, bytes | None]]) -> None:
        self._headers = headers

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return (2, round(AT.timestamp() * 1000))

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17

    def key(self) -> bytes | None:
        return b"k"

    def value(self) -> bytes | None:
        return b"v"


def test_headers_become_columns() -> None:
    said = {
        "tidegate-reason": "rule_broken",
        "tidegate-rules": "a,b",
        "tidegate-stage": "ingest",
        "tidegate-suite": "abc",
        "tidegate-source": "1:5",
        "tidegate-schema-id": "7",
        "tidegate-seen-at": "2026-01-01T11:59:59.500Z",
    }
    found = row(Hop.QUARANTINE, Said([(key, value.encode()) for key, value in said.items()]))  # type: ignore[arg-type]
    assert (found["id"], found["reason"], found["rules"], found["suite"]) == (
        "quarantine:3:17",
        "rule_broken",
        "a,b",
        "abc",
    )
    assert (found["tg_partition"], found["tg_offset"], found["schema_id"]) == (1, 5, 7)
    assert (found["seen_at"], found["rejected_at"], found["day"]) == (AT - timedelta(seconds=0.5), AT, AT.date())


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("tidegate-source", b"x:y"), ("tidegate-schema-id", b"\xff"), ("tidegate-seen-at", b"soon"), ("other", None)],
        [("tidegate-schema-id", b"99999999999"), ("tidegate-source", b"5")],
    ],
)
def test_a_record_with_headers_of_another_kind_is_kept_with_nulls(headers: list[tuple[str, bytes | None]]) -> None:
    found = row(Hop.DEAD, Said(headers))  # type: ignore[arg-type]
    assert (found["tg_offset"], found["schema_id"], found["seen_at"], found["value"]) == (None, None, None, b"v")
    assert pa.Table.from_pylist([found], schema=SCHEMA).num_rows == 1


def rows(*records: tuple[str, str, str, int]) -> pa.Table:
    """Id, reason, rules, seconds after `AT`."""
    made: list[dict[str, Any]] = []
    for record, reason, rules, seconds in records:
        at = AT + timedelta(seconds=seconds)
        made.append({"id": record, "reason": reason, "rules": rules, "rejected_at": at, "day": at.date(), "schema_id": 1,
                     "tg_partition": 0, "tg_offset": seconds, "stage": "ingest"})  # fmt: skip
    return pa.Table.from_pylist(made, schema=SCHEMA)


def index() -> Index:
    markers = Markers()
    found = Index(markers)
    found.add(rows(("dead:0:1", "not_avro", "", 0), ("quarantine:0:1", "rule_broken", "a", 1)))
    found.add(rows(("quarantine:0:2", "rule_broken", "a", 2), ("quarantine:0:3", "rule_broken", "a,b", 59)))
    markers.fold(0, "quarantine:0:1", Marker(replay="r", action=Status.REPLAYED, raw="0:59", at=AT))
    markers.fold(1, "dead:0:1", Marker(replay="r", action=Status.DISCARDED, at=AT))
    return found


def test_groups_are_by_topic_reason_and_rules_the_most_waiting_first() -> None:
    found = [
        (each.hop, each.reason, each.rules, each.records, each.waiting, each.replayed, each.discarded)
        for each in groups(index().rows())
    ]
    assert found == [
        ("quarantine", "rule_broken", "a", 2, 1, 1, 0),
        ("quarantine", "rule_broken", "a,b", 1, 1, 0, 0),
        ("dead", "not_avro", "", 1, 0, 0, 1),
    ]
    assert counts_of(index().rows()) == {"total": 4, "waiting": 2, "replayed": 1, "discarded": 1}


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), 4),
        (Selection(rule="a"), 3),
        (Selection(rule="b"), 1),
        (Selection(reason=Reason.NOT_AVRO), 1),
        (Selection(hop=Hop.DEAD), 1),
        (Selection(status=Status.WAITING), 2),
        (Selection(since=AT + timedelta(seconds=2)), 2),
        (Selection(until=AT + timedelta(seconds=2)), 2),
        (Selection(ids=("dead:0:1", "dead:9:9"), reason=Reason.RULE_BROKEN), 1),
        (Selection(schema_id=2), 0),
    ],
)
def test_a_selection_is_all_of_its_conditions_or_ids_alone(selection: Selection, found: int) -> None:
    assert chosen(index().rows(), selection).num_rows == found


def test_a_trend_counts_in_equal_stretches_of_time() -> None:
    lines = trend(index().rows(), AT, AT + timedelta(seconds=60))
    line = lines["quarantine", "rule_broken", "a"]
    assert (len(line), line[:3], sum(line)) == (BUCKETS, [0, 1, 1], 2)
    assert lines["quarantine", "rule_broken", "a,b"][59] == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_have_each_record_once_the_newest_first(limit: int) -> None:
    found: list[str] = []
    cursor: str | None = None
    while True:
        records, cursor = page(index().rows(), limit, cursor)
        assert len(records) <= limit
        found += [each["id"] for each in records]
        if cursor is None:
            break
    assert found == ["quarantine:0:3", "quarantine:0:2", "quarantine:0:1", "dead:0:1"]


def test_a_record_is_found_by_the_raw_one_that_it_was() -> None:
    found = index().from_raw(0, 59)
    assert found is not None
    assert found["id"] == "quarantine:0:3"
    assert index().from_raw(0, 60) is None
