"""Is a release that was rolled back not taken for done, and one that was not for undone?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pipeline.lake.lineage import with_rollback
from pipeline.lake.release import Released, released_in


def history(*metadata: str | None) -> list[dict[str, Any]]:
    found = [{"version": at, "timestamp": at * 1000, "userMetadata": each} for at, each in enumerate(metadata)]
    return found[::-1]


def releases(batch: str) -> str:
    return json.dumps({"stream": "shop", "releases": batch})


def test_what_was_released_is_there() -> None:
    found = released_in(history(None, releases("x:1"), None))
    assert found == Released(there=frozenset({"x:1"}))
    assert found.once("x:1") == "release:x:1"


def test_what_was_released_and_rolled_back_is_written_under_another_name() -> None:
    found = released_in(history(None, releases("x:1"), releases("x:2"), with_rollback(None, "op1", 1)))
    assert found.there == {"x:1"}
    assert found.once("x:1") == "release:x:1", "Delta still knows it by that"
    assert found.once("x:2") == "release:x:2:op1"
    assert found.since == datetime.fromtimestamp(3, UTC), "orders of before count no more"


def test_it_may_be_released_again_and_taken_back_again() -> None:
    written = (None, releases("x:1"), with_rollback(None, "op1", 0), releases("x:1"))
    assert released_in(history(*written)).there == {"x:1"}
    assert released_in(history(*written, with_rollback(None, "op2", 0))).once("x:1") == "release:x:1:op2"


def test_an_undone_rollback_has_it_again() -> None:
    written = (None, releases("x:1"), with_rollback(None, "op1", 0), with_rollback(None, "op2", 1))
    assert released_in(history(*written)).there == {"x:1"}


def test_no_table_has_released_nothing() -> None:
    assert released_in([]) == Released()
