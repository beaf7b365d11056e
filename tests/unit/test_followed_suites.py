"""A changed suite is taken once it has settled and is in order; a broken one is refused, and the one before goes on."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.folders import SUITE_FILE, load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.settings import SHIPPED_STREAMS
from pipeline.suites import FollowedSuites

if TYPE_CHECKING:
    from pathlib import Path

STAGES = (Stage.LAKE, Stage.ROLLUP)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED_STREAMS / "shop", tmp_path / "shop")


def edit(folder: Path, stage: Stage) -> None:
    """Drop a stage's last expectation."""
    suites = json.loads((folder / SUITE_FILE).read_text())
    suites[stage]["expectations"].pop()
    (folder / SUITE_FILE).write_text(json.dumps(suites))


def test_a_change_is_taken_when_two_looks_have_seen_it(folder: Path) -> None:
    followed = FollowedSuites(load_stream(folder), STAGES)
    before = {each.stage: each for each in followed.facts()}
    assert set(before) == set(STAGES)
    assert not followed.look()
    edit(folder, Stage.LAKE)
    assert not followed.look()
    assert followed.look()
    after = {each.stage: each for each in followed.facts()}
    assert after[Stage.LAKE].suite == followed.fingerprint(Stage.LAKE) != before[Stage.LAKE].suite
    assert after[Stage.LAKE].rules == before[Stage.LAKE].rules - 1
    assert after[Stage.LAKE].since > before[Stage.LAKE].since
    assert (after[Stage.ROLLUP].suite, after[Stage.ROLLUP].since) == (
        before[Stage.ROLLUP].suite,
        before[Stage.ROLLUP].since,
    )
    assert not followed.look()


def test_a_broken_suite_is_refused_until_it_is_mended(folder: Path) -> None:
    followed = FollowedSuites(load_stream(folder), STAGES)
    fingerprint, written = followed.fingerprint(Stage.LAKE), (folder / SUITE_FILE).read_text()
    (folder / SUITE_FILE).write_text(written[:-20])
    assert [followed.look(), followed.look()] == [False, True]
    [refused, _] = followed.facts()
    assert refused.suite == fingerprint
    assert "suite.json" in (refused.refused or "")
    (folder / SUITE_FILE).write_text(written)
    assert [followed.look(), followed.look()] == [False, True]
    assert [each.refused for each in followed.facts()] == [None, None]
