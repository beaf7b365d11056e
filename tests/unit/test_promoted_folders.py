"""A promoted folder takes the place of today's; parts follow what they can of it, and only those start again that have to."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.folders import StreamInvalidError, load_stream, load_streams
from controlplane.contract.gates import Stage
from controlplane.contract.restarts import RESTARTS, ask_restarts, to_restart
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from pipeline.suites import FollowedSuites

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition


@pytest.fixture
def flights() -> StreamDefinition:
    return load_stream(SHIPPED_STREAMS / "flights")


def copied(root: Path, name: str = "flights") -> Path:
    shutil.copytree(SHIPPED_STREAMS / name, root / name)
    return root / name


def test_a_promoted_folder_wins_over_the_shipped_one(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    shipped = {each.name: each for each in load_streams(settings.stream_roots)}
    promoted = copied(settings.promoted_streams)
    (promoted / "stream.yaml").write_text(
        (promoted / "stream.yaml").read_text().replace("lateness: 6h", "lateness: 7h")
    )
    found = {each.name: each for each in load_streams(settings.stream_roots)}
    assert sorted(found) == sorted(shipped)
    assert found["flights"].lateness == timedelta(hours=7)
    assert (shipped["flights"].lateness, shipped["flights"].today) == (timedelta(hours=6), promoted.resolve())


def test_two_folders_of_one_name_in_other_roots_are_refused(tmp_path: Path) -> None:
    copied(tmp_path / "mine")
    with pytest.raises(StreamInvalidError, match="has the same name"):
        load_streams((SHIPPED_STREAMS, tmp_path / "mine", tmp_path / "promoted"))


def test_a_gate_follows_the_suite_of_a_folder_that_was_promoted_while_it_ran(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    running = next(each for each in load_streams(settings.stream_roots) if each.name == "flights")
    followed = FollowedSuites(running, (Stage.INGEST,))
    before = followed.fingerprint(Stage.INGEST)
    promoted = copied(settings.promoted_streams)
    suite = promoted / "suite.json"
    suite.write_text(suite.read_text().replace('"max_value": 6000', '"max_value": 5000'))
    assert not followed.look()
    assert followed.look()
    assert followed.fingerprint(Stage.INGEST) == load_stream(promoted).fingerprint(Stage.INGEST) != before


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "suites-and-tables-are-followed": ({"suites": {}, "row_rules": ()}, set()),
    "a-title-is-only-shown": ({"title": "Another"}, {"control", "console"}),
    "live-goes-on-when-a-gates-policy-changes": (
        {"lateness": timedelta(hours=1)},
        {"lake", "control", "console"},
    ),
    "live-starts-again-for-a-rollup": (
        {"rollups": {}},
        {"lake", "live", "ledger", "maintenance", "control", "console"},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_only_parts_that_read_what_has_changed_start_again(case: str, flights: StreamDefinition) -> None:
    update, expected = CHANGES[case]
    assert set(to_restart(flights, flights.model_copy(update=update))) == expected


def test_a_field_that_joins_add_starts_everything_again_that_reads_valid_events(flights: StreamDefinition) -> None:
    found = to_restart(flights, flights.model_copy(update={"enrich": flights.enrich[:-1]}))
    assert {"route", "lake", "live"} <= set(found)


def test_a_key_is_read_by_all(flights: StreamDefinition) -> None:
    assert {"route", "live", "lag", "ledger"} <= set(
        to_restart(flights, flights.model_copy(update={"key": ("origin",)}))
    )


def test_a_restart_is_asked_of_a_supervisor_that_is_there(tmp_path: Path) -> None:
    assert not ask_restarts(tmp_path, ["live"])
    (tmp_path / RESTARTS).mkdir()
    assert ask_restarts(tmp_path, ["live"])
    assert (tmp_path / RESTARTS / "live").exists()
