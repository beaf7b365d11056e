"""A frame's lines are the rollup's rows: no holes, the largest first, nothing invented for what was merged."""

from __future__ import annotations

import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.frames import OTHER, SERIES_AT_MOST, StreamFrames, bounds_of, laid_out, summed

SHOP = load_stream(SHIPPED_STREAMS / "shop")
TRAFFIC = SHOP.rollups["traffic"]


def test_a_bucket_without_events_is_none() -> None:
    [line] = laid_out(TRAFFIC, [(10, "view", 4, 2, 50.0), (12, "view", 6, 3, 60.0)], range(10, 13), None)
    assert line.measures["events"] == (4.0, None, 6.0)


def test_the_largest_line_comes_first() -> None:
    lines = laid_out(TRAFFIC, [(10, "cart", 1, 1, 1.0), (10, "view", 9, 1, 1.0)], range(10, 11), None)
    assert [line.key for line in lines] == [("view",), ("cart",)]


def test_what_is_not_in_the_top_is_summed_where_it_adds_and_unknown_where_it_does_not() -> None:
    rows = [(10, f"kind{number:02}", 100 - number, 1, 5.0) for number in range(SERIES_AT_MOST + 2)]
    other = laid_out(TRAFFIC, rows, range(10, 11), None)[-1]
    assert other.key == (OTHER,)
    assert other.measures["events"] == (88.0 + 87.0,)
    assert other.measures["visitors"] == (None,)
    assert other.measures["page_load"] == (None,)


def test_a_clock_that_runs_ahead_makes_no_event_younger_than_its_arrival() -> None:
    assert summed([(0, 5, 900_000, 90_000)]).marks.event_ms == 90_000


def test_the_marks_are_the_low_ones_of_the_partitions_that_move() -> None:
    arrived = summed([(0, 5, 1000, 90_000), (1, 5, 900, 89_000), (2, 5, 1, 10)])
    assert arrived.events == 15
    assert arrived.marks.event_ms == 900
    assert arrived.marks.raw_ms == 89_000


def test_clickhouse_away_is_a_reason_not_a_zero() -> None:
    def away(sql: str, **parameters: int) -> list[tuple[object, ...]]:
        raise OSError("ClickHouse does not answer")

    source = StreamFrames(SHOP, away)
    frame = source.frame("traffic", source.look(), full=True)
    assert frame.reason == "ClickHouse does not answer"
    assert frame.totals == {"events": None, "visitors": None, "page_load": None}


NOW_MS = 1_800_000_000_000.0


@pytest.mark.parametrize(
    ("newest_ms", "until_s"),
    [
        pytest.param(NOW_MS - 500, 1_800_000_000, id="now"),
        pytest.param(NOW_MS + 300_000, 1_800_000_001, id="a-clock-that-runs-ahead-does-not-carry-the-window-away"),
        pytest.param(1_370_000_000_000, 1_370_000_001, id="a-replay-is-shown-at-its-own-time"),
    ],
)
def test_the_window_ends_at_the_newest_event_but_not_ahead_of_now(newest_ms: float, until_s: int) -> None:
    bounds = bounds_of(TRAFFIC, int(newest_ms), NOW_MS)
    assert bounds is not None
    since, until, fresh = bounds
    assert until == until_s
    assert until - since == TRAFFIC.span.total_seconds()
    assert fresh == until - 5


def test_a_frame_with_an_event_from_the_future_ends_now() -> None:
    asked: list[dict[str, int]] = []

    def query(sql: str, **parameters: int) -> list[tuple[object, ...]]:
        asked.append(parameters)
        return [] if parameters else [(0, 5, NOW_MS + 300_000, NOW_MS)]

    source = StreamFrames(
        SHOP, lambda sql, **p: [tuple(map(int, row)) for row in query(sql, **p)], now_ms=lambda: NOW_MS
    )
    frame = source.frame("traffic", source.look(), full=True)
    assert frame is not None
    assert frame.buckets[-1] == NOW_MS / 1000
    assert asked[-1]["until"] == NOW_MS / 1000 + 1


def test_the_last_events_before_a_silence_are_looked_at_once_more_and_no_tick_costs_more_meanwhile() -> None:
    def query(sql: str, **parameters: int) -> list[tuple[object, ...]]:
        return [] if parameters else [(0, 5, NOW_MS, NOW_MS)]

    source = StreamFrames(SHOP, lambda sql, **p: [tuple(map(int, row)) for row in query(sql, **p)])

    def has_frame(after_ms: float) -> bool:
        source.now_ms = lambda: NOW_MS + after_ms
        return source.frame("traffic", source.look(), full=False) is not None

    assert [has_frame(after_ms) for after_ms in (0, 150, 1_100, 1_250, 9_000)] == [True, False, True, False, False]
