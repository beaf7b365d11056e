"""Partial frames come to the same as the full ones that they stand for."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.live import merged

SPAN, FRESH = 6, 3


def live(buckets: range, events: dict[int, float], keys: tuple[str, ...] = ("a", "b"), **more: Any) -> dict[str, Any]:
    """A frame over these seconds; every key has its own value in each."""
    series = [
        {"key": [key], "measures": {"n": [None if at not in events else events[at] + number for at in buckets]}}
        for number, key in enumerate(keys)
    ]
    frame = {"full": False, "bucket_s": 1.0, "span_s": float(SPAN), "buckets": [float(at) for at in buckets]}
    return {**frame, "series": series, "totals": {"n": 0}, "reason": None, **more}


@given(st.lists(st.tuples(st.integers(0, FRESH - 1), st.dictionaries(st.integers(0, 2), st.floats(0, 9))), max_size=12))
def test_a_chain_of_partial_frames_is_the_full_one(steps: list[tuple[int, dict[int, float]]]) -> None:
    events: dict[int, float] = {}
    end = 10
    held = live(range(end - SPAN + 1, end + 1), events, full=True)
    for forward, changed in steps:
        end += forward
        events |= {end - back: value for back, value in changed.items()}
        held = merged(held, live(range(end - FRESH + 1, end + 1), events))
    whole = live(range(end - SPAN + 1, end + 1), events)
    assert (held["buckets"], held["series"]) == (whole["buckets"], whole["series"])


def test_a_line_that_is_new_has_nothing_before_and_one_that_is_gone_has_nothing_after() -> None:
    held = live(range(6), dict.fromkeys(range(6), 1.0), keys=("a",), full=True)
    found = merged(held, live(range(5, 8), dict.fromkeys(range(8), 5.0), keys=("c",)))
    lines = {line["key"][0]: line["measures"]["n"] for line in found["series"]}
    assert lines == {"a": [1, 1, 1, None, None, None], "c": [None, None, None, 5, 5, 5]}


def test_a_reason_keeps_what_is_held_and_says_why_it_is_old() -> None:
    held = live(range(6), {1: 1.0}, full=True)
    why = live(range(0), {}, reason="ClickHouse does not answer")
    assert merged(held, why) == {**held, "reason": "ClickHouse does not answer"}
    assert merged(None, why) == why


def test_frames_after_a_pause_begin_anew_where_nothing_of_the_old_is_left() -> None:
    held = live(range(6), dict.fromkeys(range(6), 1.0), full=True)
    found = merged(held, live(range(97, 100), dict.fromkeys(range(97, 100), 2.0), keys=("a",)))
    assert found["buckets"] == [94, 95, 96, 97, 98, 99]
    assert found["series"][0]["measures"]["n"] == [None, None, None, 2, 2, 2]
