"""Which tokens are struck out: those whose part neither stands there nor went into another."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from pipeline.embedded.deduplication import lacks, strike_out

if TYPE_CHECKING:
    from pathlib import Path


def noted(*parts: str, does: int = 1) -> str:
    return "".join(f"{does}\t{part}\t{part.split('_')[0]}_1_2\n" for part in parts)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "abc" / "abc-table"
    (folder / "deduplication_logs").mkdir(parents=True)
    return folder


def written(table: Path, parts: tuple[str, ...], *logs: str) -> list[Path]:
    for part in parts:
        (table / part).mkdir()
    files = [table / "deduplication_logs" / f"deduplication_log_{number}.txt" for number in range(1, len(logs) + 1)]
    for file, log in zip(files, logs, strict=True):
        file.write_text(log)
    return files


@pytest.mark.parametrize(
    ("parts", "log", "struck"),
    [
        pytest.param(("all_1_1_0",), noted("all_1_1_0"), [], id="it-is-there"),
        pytest.param(("tmp_insert_all_1_1_0",), noted("all_1_1_0"), ["all_1_1_0"], id="it-has-no-name-yet"),
        pytest.param(("all_1_9_2",), noted("all_1_1_0", "all_9_9_0"), [], id="it-was-merged"),
        pytest.param(("all_1_1_0_7",), noted("all_1_1_0"), [], id="it-was-altered"),
        pytest.param(
            ("20260101_1_4_1",), noted("20260102_3_3_0"), ["20260102_3_3_0"], id="another-partition-was-merged"
        ),
        pytest.param(("all_1_2_1",), noted("all_1_1_0", "all_2_3_1"), ["all_2_3_1"], id="half-of-it-was-merged"),
        pytest.param((), noted("all_1_1_0", does=2) + "what comes one day\n", [], id="other-records-are-left"),
        pytest.param(("detached",), noted("detached"), [], id="a-name-of-another-kind-is-left"),
    ],
)
def test_a_token_whose_part_is_nowhere_is_struck_out_and_no_other(
    tmp_path: Path, table: Path, parts: tuple[str, ...], log: str, struck: list[str]
) -> None:
    (file,) = written(table, parts, log)
    assert lacks(tmp_path) == bool(struck)
    assert strike_out(tmp_path) == [f"abc-table/{part}" for part in struck]
    assert file.read_text() == "".join(
        line for line in log.splitlines(keepends=True) if not any(part in line for part in struck)
    )
    assert not lacks(tmp_path)


def test_every_log_is_read_and_an_old_gap_is_no_doubt_of_now(tmp_path: Path, table: Path) -> None:
    there = tuple(f"all_{number}_{number}_0" for number in range(2, 20))
    first, second = written(table, there, noted("all_1_1_0", *there[:9]), noted(*there[9:]))
    assert not lacks(tmp_path)
    assert strike_out(tmp_path) == ["abc-table/all_1_1_0"]
    assert (first.read_text(), second.read_text()) == (noted(*there[:9]), noted(*there[9:]))


def test_a_folder_that_a_process_has_open_is_left_alone(tmp_path: Path, table: Path) -> None:
    (file,) = written(table, (), noted("all_1_1_0"))
    with (tmp_path / "status").open("w") as status:
        fcntl.flock(status, fcntl.LOCK_EX)
        assert strike_out(tmp_path) == []
        assert file.read_text() == noted("all_1_1_0")
    assert strike_out(tmp_path) == ["abc-table/all_1_1_0"]
