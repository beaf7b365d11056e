"""Where does the lake begin? The table is the truth, and a checkpoint that does not agree with it is set aside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipeline.lake.checkpoint import (
    EARLIEST,
    Checkpoint,
    CheckpointRefusedError,
    Start,
    decide,
    look,
    starting_offsets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH = {"batchWatermarkMs": 0}
WHOLE = {
    "metadata": '{"id":"one"}',
    "sources/0/0": 'v1\n{"shop.valid":{"0":0}}',
    "offsets/0": 'v1\n{"batchWatermarkMs":0}\n{"shop.valid":{"0":10}}',
    "offsets/1": 'v1\n{"batchWatermarkMs":0}\n{"shop.valid":{"0":12}}',
    "commits/0": 'v1\n{"nextBatchWatermarkMs":0}',
}


class Held:
    """A checkpoint as a dict of its files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def read(self, name: str) -> str | None:
        if (text := self._files.get(name)) == "unreadable":
            raise OSError("checksum error")
        return text

    def numbers(self, folder: str) -> list[int]:
        return sorted(int(name.removeprefix(f"{folder}/")) for name in self._files if name.startswith(f"{folder}/"))


def test_a_whole_checkpoint_says_where_its_newest_batch_and_the_one_before_end() -> None:
    assert look(Held(WHOLE)) == Checkpoint(begun={0: 12}, before={0: 10}, is_new=False)


def test_no_checkpoint_is_no_damaged_one() -> None:
    assert look(Held({})) is None


def test_one_that_has_no_batch_yet_is_new() -> None:
    assert look(Held({"metadata": WHOLE["metadata"]})) == Checkpoint({}, {}, is_new=True)


DAMAGES = {
    "identity-gone": {"metadata": None},
    "identity-cut-short": {"metadata": '{"id":"o'},
    "newest-batch-cut-short": {"offsets/1": 'v1\n{"ba'},
    "newest-batch-empty": {"offsets/1": ""},
    "batch-before-gone": {"offsets/0": None},
    "commit-empty": {"commits/0": ""},
    "commits-gone": {"commits/0": None},
    "commit-of-a-later-batch": {"commits/2": "v1\n{}"},
    "file-unreadable": {"offsets/1": "unreadable"},
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_seen(case: str) -> None:
    changed = {**WHOLE, **DAMAGES[case]}
    assert isinstance(look(Held({name: text for name, text in changed.items() if text is not None})), str)


def begin(found: Checkpoint | str | None, held: dict[int, int] | None, *, has_table: bool = True) -> Start:
    return decide(found, held, has_table=has_table, where="/checkpoint")


KEPT = {
    "the-table-has-the-newest-batch": {0: 12},
    "the-newest-batch-was-begun-and-not-written": {0: 10},
    "a-partition-that-is-still-empty-is-named-by-one-only": {0: 12, 1: 0},
}


@pytest.mark.parametrize("case", KEPT)
def test_a_checkpoint_that_agrees_with_the_table_is_kept(case: str) -> None:
    assert begin(Checkpoint({0: 12}, {0: 10}, is_new=False), KEPT[case]) == Start(None)


@pytest.mark.parametrize("held", [{0: 7}, {0: 40}, {0: 12, 1: 3}], ids=["behind", "ahead", "another-partition"])
def test_one_of_another_time_is_set_aside_and_the_table_says_where(held: dict[int, int]) -> None:
    started = begin(Checkpoint({0: 12}, {0: 10}, is_new=False), held)
    assert (started.offsets, bool(started.set_aside)) == (held, True)


def test_a_damaged_one_is_set_aside_and_a_deleted_one_is_not_missed() -> None:
    assert begin("cut short", {0: 12}) == Start({0: 12}, set_aside="it is damaged (cut short)")
    assert begin(None, {0: 12}) == Start({0: 12})


def test_without_table_and_checkpoint_everything_is_written() -> None:
    assert begin(None, None, has_table=False) == Start(None)
    assert begin(Checkpoint({0: 5}, {0: 0}, is_new=True), None, has_table=False) == Start(None)


def test_a_table_that_is_gone_is_refused_with_what_to_do() -> None:
    with pytest.raises(CheckpointRefusedError, match="put the table back, or delete /checkpoint"):
        begin(Checkpoint({0: 12}, {0: 10}, is_new=False), None, has_table=False)


def test_a_table_that_does_not_say_is_refused_with_what_to_do() -> None:
    with pytest.raises(CheckpointRefusedError, match="roll the table back"):
        begin(None, None)


def test_a_partition_that_the_topic_has_gained_is_read_from_its_beginning() -> None:
    assert json.loads(starting_offsets("shop.valid", {0: 12}, [0, 1])) == {"shop.valid": {"0": 12, "1": EARLIEST}}
