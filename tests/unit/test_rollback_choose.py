"""To which version does each table go? A few drawings of logs, and a model that says what each version was made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lake.lineage import NOTHING, with_backfill, with_rollback
from pipeline.lake.offsets import user_metadata
from pipeline.rollback.choose import diverted_version, followed_version, is_current, is_forward, rolled_back
from pipeline.rollback.logs import Done, Log, log_of
from pipeline.tables.cursor import Cursor

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
OURS = "ours"


@dataclass
class Table:
    """A log that is written as the platform writes it."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, metadata: str | None, operation: str = "WRITE") -> int:
        at = len(self.entries)
        stamp = int((BEGAN + timedelta(seconds=at)).timestamp() * 1000)
        self.entries.append({"version": at, "timestamp": stamp, "operation": operation, "userMetadata": metadata})
        return at

    def append(self) -> int:
        at = len(self.entries)
        return self.add(user_metadata("shop", "shop.valid", {0: (at * 10, at * 10 + 10)}))

    def follow(self, events_version: int, definition: str = OURS) -> int:
        return self.add(Cursor(definition, events_version).written())

    @property
    def log(self) -> Log:
        return log_of(self.entries[::-1])


def test_a_table_goes_to_the_last_version_that_followed_nothing_else() -> None:
    events, table = Table(), Table()
    for _ in range(6):
        events.append()
    for version in (0, 2, 3, 5):
        table.follow(version)
    assert followed_version(table.log, events.log.said, 3, OURS) == (2, "")
    assert followed_version(table.log, events.log.said, 4, OURS) == (2, "")
    assert followed_version(table.log, events.log.said, 1, OURS) == (0, "")


def test_it_is_taken_as_it_was_compacted() -> None:
    events, table = Table(), Table()
    for _ in range(3):
        events.append()
    table.follow(0)
    table.add(None, "OPTIMIZE")
    table.add(None, "SET TBLPROPERTIES")
    table.follow(2)
    assert followed_version(table.log, events.log.said, 1, OURS)[0] == 2


def test_one_that_began_later_or_of_another_definition_is_emptied() -> None:
    events, table = Table(), Table()
    for _ in range(3):
        events.append()
    table.follow(1, "theirs")
    table.follow(2)
    assert followed_version(table.log, events.log.said, 1, OURS) == (
        NOTHING,
        "none of its versions is made of these events alone",
    )
    assert followed_version(table.log, events.log.said, 1, "new")[0] == NOTHING


def test_what_a_rolled_back_swap_has_rewritten_is_out_and_what_stands_is_in() -> None:
    events, table = Table(), Table()
    events.append()
    table.follow(0)
    swap = events.add(with_backfill(None, "b1"))
    table.add(with_backfill(Cursor(OURS, 0).written(), "b1"))
    events.append()
    table.follow(2)
    assert followed_version(table.log, events.log.said, 0, OURS)[0] == 0, "before the swap: as it was before"
    assert followed_version(table.log, events.log.said, swap, OURS)[0] == 1
    assert followed_version(table.log, events.log.said, 2, OURS)[0] == 2


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Table, Table, list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Events and a table that follows, with rollbacks as ours do them; what each version of both is made of."""
    events, table = Table(), Table()
    content: list[tuple[int, ...]] = []
    made: list[tuple[int, ...]] = []
    events.append()
    content.append((0,))
    cursor = NOTHING
    for _ in range(draw(st.integers(1, 14))):
        choice = draw(st.sampled_from(["append", "append", "follow", "rollback"]))
        if choice == "append":
            at = events.append()
            content.append((*content[-1], at))
        elif choice == "follow":
            cursor = len(content) - 1
            table.follow(cursor)
            made.append(content[cursor])
        else:
            to = draw(st.integers(0, len(content) - 1))
            target, _ = followed_version(table.log, events.log.said, to, OURS) if made else (NOTHING, "")
            events.add(with_rollback(user_metadata("shop", "shop.valid", events.log.ranges_at(to) or {}), "op", to))
            content.append(content[to])
            if made:
                found = table.log.cursor_at(target) if target >= 0 else None
                table.add(with_rollback((found or Cursor(OURS, NOTHING)).written(), "op", target))
                made.append(made[target] if target >= 0 else ())
    return events, table, content, made


@given(worlds(), st.data())
def test_what_is_chosen_is_made_of_the_version_and_nothing_made_of_more_of_it_is_left_out(
    world: tuple[Table, Table, list[tuple[int, ...]], list[tuple[int, ...]]], data: st.DataObject
) -> None:
    events, table, content, made = world
    if not made:
        return
    to = data.draw(st.integers(0, len(content) - 1))
    target, _ = followed_version(table.log, events.log.said, to, OURS)
    wanted = content[to]
    fitting = [each for each in made if each and wanted[: len(each)] == each]
    assert (made[target] if target >= 0 else ()) == max(fitting, key=len, default=())
    assert is_current(events.log, to) is (content[-1] == wanted)
    assert rolled_back(events.log, to) == [each for each in content[-1] if each not in wanted]
    assert is_forward(events.log, to) is (content[-1][: len(wanted)] != wanted)
    assert events.log.ranges_at(to) == {0: (wanted[-1] * 10, wanted[-1] * 10 + 10)}


def test_diverted_batches_are_those_of_that_time() -> None:
    table = Table()
    table.append()
    table.append()
    assert diverted_version(table.log, BEGAN + timedelta(seconds=0.5)) == 0
    assert diverted_version(table.log, BEGAN - timedelta(seconds=1)) == NOTHING


@pytest.mark.parametrize("second", [0, 2])
def test_a_log_says_what_an_operation_has_rolled_back(second: int) -> None:
    table = Table()
    table.append()
    table.append()
    at = table.add(with_rollback(None, "op1", 0))
    for _ in range(second):
        table.append()
    done = table.log.done_by("op1")
    assert done is not None
    assert (done.before, done.version) == (at - 1, at)
    assert table.log.done_by("op2") is None
    again = table.add(with_rollback(None, "op1", 0))
    assert table.log.done_by("op1") == Done(at - 1, again), "also where a killed process was still heard of"
