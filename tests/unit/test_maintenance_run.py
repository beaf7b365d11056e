"""A plan is walked in its order; a stage that fails costs none of the others; runs take turns."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.facts import Extent
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from pipeline.maintenance import run as running
from pipeline.maintenance.act import ChangedMeanwhileError, FakeActs
from pipeline.maintenance.cli import line
from pipeline.maintenance.folders import orphans, set_aside
from pipeline.maintenance.kept import Kept
from pipeline.maintenance.look import Looker
from pipeline.maintenance.part import Job, scheduled
from pipeline.maintenance.run import StoppedError, run, turn
from pipeline.maintenance.stages import Plan, Vacuum
from pipeline.maintenance.tables import FakeLake, UnreadableError
from pipeline.maintenance.topics import FakeTopics

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.facts import MaintenanceRan

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def planned(*tables: str) -> Plan:
    before = Extent(files=2, bytes=20)
    return Plan(
        at=NOW,
        stages=tuple(
            Vacuum(stream="shop", table=each, path=f"/{each}", before=before, promise=timedelta(days=7))
            for each in tables
        ),
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_AGAIN_AFTER_S", 0.0)


def test_stages_are_done_in_order_and_each_is_told() -> None:
    acts, told = FakeActs(), list[Any]()
    assert run(planned("a", "b"), acts, told.append, threading.Event()) == 2
    assert [each.subject for each in told] == [each.subject for each in acts.performed] == ["a", "b"]
    assert len({each.run for each in told}) == 1
    assert "2 files of 20 B -> 1 file of 19 B" in line(told[0])


def test_what_somebody_elses_commit_made_impossible_is_tried_again() -> None:
    acts, told = FakeActs(ChangedMeanwhileError("appended"), ChangedMeanwhileError("appended")), list[Any]()
    run(planned("a"), acts, told.append, threading.Event())
    assert (len(acts.performed), told[0].error) == (3, None)


def test_it_is_not_tried_for_ever() -> None:
    acts, told = FakeActs(*[ChangedMeanwhileError("appended")] * 9), list[Any]()
    run(planned("a"), acts, told.append, threading.Event())
    assert told[0].error == "tried 4 times; appended"


def test_a_stage_that_fails_costs_none_of_the_others() -> None:
    acts, told = FakeActs(OSError("disk full")), list[Any]()
    run(planned("a", "b"), acts, told.append, threading.Event())
    assert "disk full" in told[0].error
    assert (told[0].after, told[1].error) == (None, None)
    assert "FAILED" in line(told[0])


def test_told_to_stop_it_stops_after_the_stage_that_it_is_at() -> None:
    stopping, acts = threading.Event(), FakeActs()

    def told(_: MaintenanceRan) -> None:
        stopping.set()

    assert run(planned("a", "b"), acts, told, stopping) == 1


def test_runs_take_turns(tmp_path: Path) -> None:
    stopping, waited = threading.Event(), list[str]()

    def waits() -> None:
        waited.append("waits")
        stopping.set()

    never = threading.Event().wait
    with turn(tmp_path, never, waits), pytest.raises(StoppedError), turn(tmp_path, stopping.wait, waits):
        pass
    assert waited == ["waits"]
    with turn(tmp_path, never, waits):
        assert waited == ["waits"]


def test_what_was_done_is_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.read().runs == ()
    run(planned("a"), FakeActs(), kept.add, threading.Event())
    kept.note_order("t", "event_date=2026-03-08", NOW)
    assert [each.subject for each in Kept(tmp_path).read().runs] == ["a"]
    assert Kept(tmp_path).ordered_at() == {("t", "event_date=2026-03-08"): NOW}
    (tmp_path / "kept.json").write_text("{damaged")
    assert Kept(tmp_path).ordered_at() == {}


def test_only_a_streams_own_checkpoints_and_only_dead_processes_files_are_leftovers(tmp_path: Path) -> None:
    for name in ("shop", "shop-aside-20260301T120000", "shop_two-aside-20260301T120000", "shop-aside-nonsense"):
        (tmp_path / "lake" / name).mkdir(parents=True)
    [found] = set_aside(str(tmp_path), "shop")
    assert (found.path, found.since) == (
        str(tmp_path / "lake" / "shop-aside-20260301T120000"),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
    )
    (tmp_path / "lake-process" / "spark-1").mkdir(parents=True)
    (tmp_path / "route-process" / "spark-2").mkdir(parents=True)
    later, earlier = datetime.now(UTC) + timedelta(minutes=1), datetime.now(UTC) - timedelta(minutes=1)
    assert [each.path for each in orphans(tmp_path, {"lake": later, "route": earlier})] == [
        str(tmp_path / "lake-process" / "spark-1")
    ]


def test_a_table_that_cannot_be_read_is_a_note_and_the_job_says_when_it_comes_again(tmp_path: Path) -> None:
    shop = load_stream(SHIPPED_STREAMS / "shop")
    settings = Settings(data=tmp_path, api="")
    path = f"{settings.lake_root}/shop/events"
    looks = Looker(settings, FakeLake({path: UnreadableError("storage is away")}), FakeTopics(None), Kept(tmp_path))
    notes = {note.subject: note.text for note in looks.plan([shop], NOW).notes}
    assert notes["events"] == "cannot be read: storage is away"
    assert notes["topics"] == "the broker is away"
    job = Job(shop, looks, threading.Event())
    scheduler = scheduled([job])
    try:
        scheduler.start(paused=True)
        assert (job.planned(scheduler).looked_at, job.planned(scheduler).due) == (None, None)
        job()
        told = job.planned(scheduler)
        assert (told.due, told.reason, job.has_just_run(), job.has_just_run()) == (0, None, True, False)
        assert told.next_at is not None
        assert told.next_at <= datetime.now(UTC) + shop.maintenance.every
    finally:
        scheduler.shutdown(wait=False)
