from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.streams import Rollup, Window
from pipeline.tables.cursor import Commits, Cursor, read
from pipeline.tables.due import closed_until, joined
from pipeline.tables.watermark import IDLE_MS, Newest, watermark
from pipeline.tables.watermark import joined as together

LATENESS = timedelta(seconds=10)


def newest(event_s: float, raw_s: float = 1_000.0) -> Newest:
    return Newest(1, int(event_s * 1000), int(raw_s * 1000))


@pytest.mark.parametrize(
    ("seen", "mark"),
    [
        pytest.param({}, None, id="no-events-no-watermark"),
        pytest.param({0: newest(500)}, 490, id="lateness-is-waited-for"),
        pytest.param({0: newest(500), 1: newest(300)}, 290, id="the-slowest-partition-decides"),
        pytest.param(
            {0: newest(500), 1: newest(300, 1_000 - IDLE_MS / 1000 - 1)}, 490, id="an-idle-partition-holds-nobody-up"
        ),
    ],
)
def test_watermark(seen: dict[int, Newest], mark: int | None) -> None:
    assert watermark(seen, LATENESS) == mark


@given(st.lists(st.builds(newest, st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1))
def test_what_was_seen_is_the_same_in_any_order(each: list[Newest]) -> None:
    forward: dict[int, Newest] = {}
    backward: dict[int, Newest] = {}
    for one, other in zip(each, reversed(each), strict=True):
        forward, backward = together(forward, {0: one}), together(backward, {0: other})
    assert forward == backward


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 50))), st.integers(1, 5))
def test_few_spans_hold_every_second_of_many(parts: list[tuple[int, int]], at_most: int) -> None:
    spans = [(start, start + length) for start, length in parts]
    few = joined(spans, at_most)
    assert len(few) <= at_most
    assert all(any(start <= one and two <= end for start, end in few) for one, two in spans)
    assert all(one[1] < two[0] for one, two in pairwise(few))


@pytest.mark.parametrize(
    ("window", "until"),
    [
        pytest.param(Window(tumbling=timedelta(minutes=1)), 3_600, id="tumbling-windows-end-at-whole-minutes"),
        pytest.param(
            Window(sliding=timedelta(minutes=10), every=timedelta(minutes=5)), 3_600, id="sliding-windows-at-their-step"
        ),
        pytest.param(Window(session=timedelta(minutes=1)), 3_659, id="sessions-at-any-second"),
    ],
)
def test_the_horizon_is_where_a_window_ends(window: Window, until: int) -> None:
    rollup = Rollup.model_validate({"title": "x", "window": window, "measures": {"n": {"count": True}}})
    assert closed_until(3_659, rollup) == until


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"tumbling": "1m", "session": "1m"},
        {"sliding": "10m"},
        {"tumbling": "1m", "every": "30s"},
        {"sliding": "10m", "every": "3m"},
        {"tumbling": "500ms"},
    ],
    ids=["none", "two-kinds", "no-step", "a-step-without-sliding", "a-step-that-does-not-divide", "under-a-second"],
)
def test_a_window_that_is_none_is_refused(window: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"give|window"):
        Window.model_validate(window)


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = Cursor("abc", 7, {0: newest(5)}, 60, 30, ("202601",))
    assert read(cursor.written()) == cursor


@pytest.mark.parametrize("text", [None, "", "not JSON", "{}", '{"offsets": {}}'])
def test_other_metadata_is_no_cursor(text: str | None) -> None:
    assert read(text) is None


def commits(*, is_whole: bool) -> Commits:
    by_version = {version: Cursor("x", version, periods=(str(version),)) for version in (4, 5, 6)}
    return Commits(6, by_version[6], by_version, is_whole=is_whole)


def test_partitions_that_have_changed_are_known_while_the_log_is() -> None:
    assert commits(is_whole=False).periods_since(4) == {"5", "6"}
    assert commits(is_whole=False).periods_since(3) is None, "a commit in between may be gone"
    assert commits(is_whole=True).periods_since(3) == {"4", "5", "6"}
    assert commits(is_whole=True).periods_since(-1) is None, "never published: all of it"
