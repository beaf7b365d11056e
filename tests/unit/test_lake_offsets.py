"""A Delta commit names the source offsets of its rows, read from the checkpoint's own log."""

from __future__ import annotations

import pytest

from pipeline.lake.offsets import ranges_in, ranges_of_batch, user_metadata

FILES = {
    "sources/0/0": 'v1\n{"shop.valid":{"0":0,"1":3}}',
    "offsets/0": 'v1\n{"batchWatermarkMs":0}\n{"shop.valid":{"0":10,"1":3}}',
    "offsets/1": 'v1\n{"batchWatermarkMs":0}\n{"shop.valid":{"0":12,"1":9}}',
}


def test_the_first_batch_begins_where_the_source_did() -> None:
    assert ranges_of_batch(FILES.get, 0) == {0: (0, 10), 1: (3, 3)}


def test_a_batch_begins_where_the_one_before_ended() -> None:
    assert ranges_of_batch(FILES.get, 1) == {0: (10, 12), 1: (3, 9)}


def test_a_checkpoint_that_does_not_say_is_an_error_not_a_guess() -> None:
    with pytest.raises(ValueError, match="does not name offsets"):
        ranges_of_batch(FILES.get, 7)


def test_what_a_commit_says_can_be_read_back() -> None:
    ranges = {0: (10, 12), 1: (3, 9)}
    assert ranges_in(user_metadata("shop", "shop.valid", ranges)) == ranges


@pytest.mark.parametrize("written", [None, "", "{}", "not json", "[]"])
def test_a_commit_of_someone_else_says_nothing(written: str | None) -> None:
    assert ranges_in(written) is None
