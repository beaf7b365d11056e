"""What is a table made of, when some of its commits were rolled back? Held against a model that keeps every version's content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lake.lineage import (
    NOTHING,
    followed,
    is_made_of,
    said_in,
    says,
    stretches,
    way_back,
    with_backfill,
    with_rollback,
)

Written = list[str | int]
"""`append`, `swap`, or the version that is rolled back to."""


def history_of(written: Written) -> list[dict[str, object]]:
    """As deltalake gives it, the newest first."""
    said = [
        {"version": at, "userMetadata": None}
        if each == "append"
        else {"version": at, "userMetadata": with_backfill(None, f"b{at}")}
        if each == "swap"
        else {"version": at, "userMetadata": with_rollback(None, f"r{at}", int(each))}
        for at, each in enumerate(written)
    ]
    return said[::-1]


def contents_of(written: Written) -> list[tuple[int, ...]]:
    """The model: what each version is made of."""
    found: list[tuple[int, ...]] = []
    for at, each in enumerate(written):
        before = found[-1] if found else ()
        if isinstance(each, str):
            found.append((*before, at))
        else:
            found.append(() if each == NOTHING else found[each])
    return found


@st.composite
def histories(draw: st.DrawFn) -> Written:
    written: Written = ["append"]
    for _ in range(draw(st.integers(0, 14))):
        choice = draw(st.sampled_from(["append", "append", "swap", "rollback"]))
        written.append(draw(st.integers(NOTHING, len(written) - 1)) if choice == "rollback" else choice)
    return written


@given(histories(), st.data())
def test_what_is_followed_is_what_a_version_has_beyond_the_one_that_was_followed(
    written: Written, data: st.DataObject
) -> None:
    contents, said = contents_of(written), says(history_of(written))
    since = data.draw(st.integers(0, len(written) - 1))
    until = data.draw(st.integers(since, len(written) - 1))
    before, now = contents[since], contents[until]
    is_part = now[: len(before)] == before
    expected = [each for each in now[len(before) :] if written[each] == "append"] if is_part else None
    assert followed(said, since, until) == expected
    assert is_made_of(said, until, since) is is_part
    assert tuple(way_back(said, until)) == now[::-1]


@given(histories(), st.data())
def test_entries_since_what_was_followed_are_enough_while_nothing_was_rolled_back(
    written: Written, data: st.DataObject
) -> None:
    since = data.draw(st.integers(0, len(written) - 1))
    some = {at: each for at, each in says(history_of(written)).items() if at >= since}
    if all(each.rollback is None for each in some.values()):
        assert followed(some, since, len(written) - 1) == [
            at for at in range(since + 1, len(written)) if written[at] == "append"
        ]


def test_a_log_that_was_cut_does_not_say() -> None:
    said = {at: each for at, each in says(history_of(["append"] * 6)).items() if at >= 3}
    assert followed(said, 1, 5) is None
    assert followed(said, 3, 5) == [4, 5]


def test_a_rollback_says_what_its_version_said_and_that_it_is_one() -> None:
    written = with_rollback('{"stream": "shop", "offsets": {"0": [3, 5]}, "releases": "x:1"}', "op1", 7)
    assert json.loads(written) == {
        "stream": "shop", "offsets": {"0": [3, 5]}, "rollback": {"operation": "op1", "to": 7},
    }  # fmt: skip
    found = said_in(written).rollback
    assert found is not None
    assert (found.operation, found.to) == ("op1", 7)


@pytest.mark.parametrize("metadata", [None, "", "plain words", "[1]", '{"rollback": 3}', '{"backfill": null}'])
def test_other_metadata_says_nothing(metadata: str | None) -> None:
    assert said_in(metadata).is_followed


def test_versions_are_read_in_unbroken_runs() -> None:
    assert stretches([1, 2, 3, 6, 8, 9]) == [(1, 3), (6, 6), (8, 9)]
    assert stretches([]) == []
