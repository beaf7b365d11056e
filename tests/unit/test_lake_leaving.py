"""Is a query stopped between two micro-batches, also when one follows the other?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.lake.leaving import Leaving, is_between
from pipeline.lake.writer import files_of

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeQuery:
    """A query that works or rests."""

    def __init__(self, *, is_active: bool) -> None:
        self.status: dict[str, Any] = {"isTriggerActive": is_active}
        self.isActive = True

    def stop(self) -> None:
        self.isActive = False


@pytest.mark.parametrize(
    ("now_s", "is_active", "is_so"),
    [
        pytest.param(101.0, False, True, id="rests"),
        pytest.param(101.0, True, False, id="works"),
        pytest.param(109.9, False, False, id="rests-but-not-for-long"),
    ],
)
def test_a_query_is_between_two_batches_while_it_rests(now_s: float, is_active: bool, is_so: bool) -> None:
    assert is_between(now_s, 10.0, is_active=is_active) is is_so


def test_a_query_that_works_is_stopped_when_its_batch_is_committed_and_not_before(
    eventually: Callable[..., object],
) -> None:
    query: Any = FakeQuery(is_active=True)
    committed = set[int]()
    leaving = Leaving()
    leaving.ask(query, timedelta(seconds=10), committed.__contains__)
    assert query.isActive
    leaving.after(7)
    assert query.isActive
    committed.add(7)
    eventually(lambda: not query.isActive, "it is stopped", 5)


def test_a_query_that_nobody_wants_to_stop_goes_on() -> None:
    leaving = Leaving()
    leaving.after(3)
    assert not leaving.is_asked


@pytest.mark.parametrize(
    ("count", "share", "files"),
    [(100, None, 1), (1_000_000, None, 4), (100, 50_000, 1), (400_000, 50_000, 8), (50_001, 50_000, 2)],
)
def test_no_task_writes_more_than_an_executors_share(count: int, share: int | None, files: int) -> None:
    assert files_of(count, 4, share) == files
