"""How an operation is carried out to its end, in this process, with a control plane that only listens."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.operations import (
    Does,
    Kind,
    Operation,
    OperationAsked,
    OperationState,
    Plan,
    StagePlanned,
    StageProgress,
    StageState,
    Wish,
    WorkerSays,
)
from controlplane.contract.settings import Settings
from pipeline.operate.client import AwayError, LeaseLostError
from pipeline.operate.kind import RefusedError, RestsError, StaleError
from pipeline.operate.run import Run
from pipeline.operate.telling import Telling
from pipeline.operate.work import Shared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.operate.kind import Work

NOW = datetime(2026, 3, 1, tzinfo=UTC)
S, DONE = OperationState, StageState.DONE


class Listens:
    """Hears all that is told; wishes what it is told to."""

    def __init__(self) -> None:
        self.told: list[WorkerSays] = []
        self.wish = Wish.RUN
        self.is_away = self.is_lost = False

    def said(self, _: str, says: WorkerSays) -> Wish:
        if self.is_away:
            raise AwayError("starts anew")
        if self.is_lost:
            raise LeaseLostError("somebody else has it")
        self.told.append(says)
        return self.wish

    @property
    def end(self) -> WorkerSays:
        return self.told[-1]

    def stages(self) -> dict[str, StageState]:
        return {stage.key: stage.state for says in self.told for stage in says.stages}


class Kinds:
    """A kind whose stages do what the test says, and that remembers what was done."""

    def __init__(self, **does: Callable[[Work], dict[str, Any]]) -> None:
        self.done: list[str] = []
        self._given = does
        self.stale = self.unclean = False
        self.does = {"first": self._do, "build": self._do, "last": self._do}

    def _do(self, work: Work, stage: StagePlanned) -> dict[str, Any]:
        self.done.append(stage.key)
        return self._given[stage.key](work) if stage.key in self._given else {"rows": len(self.done)}

    def parallel(self, stage: StagePlanned) -> bool:
        return stage.does == "build"

    def plan(self, work: Work) -> Plan:
        raise NotImplementedError

    def confirm_basis(self, _: Work) -> None:
        self.done.append("basis")
        if self.stale:
            raise StaleError("the definition has changed")

    def clean_up(self, work: Work) -> None:
        work.check()
        self.done.append("clean_up")
        if self.unclean:
            raise OSError("the lake is away")

    def undo(self, work: Work) -> OperationAsked:
        return OperationAsked(kind=Kind.ROLLBACK, asked={"version": work.result_of("first").get("rows")})


STAGES = (
    StagePlanned(key="first", does="first", title="Look"),
    StagePlanned(key="a", does="build", title="a", partition="a"),
    StagePlanned(key="b", does="build", title="b", partition="b"),
    StagePlanned(key="last", does="last", title="Swap"),
)


def run(kind: Kinds, plane: Listens, tmp_path: Path, *done: str, does: Does = Does.RUN) -> Listens:
    began = NOW if done else None
    stages = tuple(
        StageProgress(key=each.key, state=DONE if each.key in done else StageState.WAITING, started_at=began)
        for each in STAGES
    )
    operation = Operation(
        id="one",
        kind=Kind.BACKFILL,
        stream="flights",
        asked={"parallel": 2},
        by="ann",
        at=NOW,
        changed_at=NOW,
        state=S.RUNNING,
        wish=plane.wish,
        plan=Plan(at=NOW, stages=STAGES, touches=(), confirmation="flights", fingerprint="f"),
        stages=stages,
    )
    telling = Telling(plane, "one", "lease", lost=list[str]().append)  # type: ignore[arg-type]
    telling.wish = plane.wish
    shared = Shared(Settings(data=tmp_path), plane, None, {}, telling)  # type: ignore[arg-type]
    Run(operation, kind, shared, telling).to_the_end(does)
    return plane


def test_all_stages_are_done_in_order_and_the_end_says_what_was_found_and_what_undoes_it(tmp_path: Path) -> None:
    kind = Kinds(last=lambda _: {"rows": 9, "version": 7})
    end = run(kind, Listens(), tmp_path).end
    assert (kind.done[:2], kind.done[-1], set(kind.done[2:4])) == (["basis", "first"], "last", {"a", "b"})
    assert (end.state, end.result, end.reason) == (S.DONE, {"rows": 9, "version": 7}, None)
    assert end.undo == {"kind": "rollback", "asked": {"version": 2}, "why": ""}


def test_what_is_done_is_not_done_again_and_the_basis_is_asked_once(tmp_path: Path) -> None:
    kind = Kinds()
    plane = run(kind, Listens(), tmp_path, "first", "a")
    assert kind.done == ["b", "last"]
    assert plane.stages() == {"b": DONE, "last": DONE}


def test_that_a_stage_is_done_is_told_before_the_next_begins(tmp_path: Path) -> None:
    plane, heard = Listens(), dict[str, StageState]()

    def last(_: Work) -> dict[str, Any]:
        heard.update(plane.stages())
        return {}

    run(Kinds(last=last), plane, tmp_path)
    assert heard == {"first": DONE, "a": DONE, "b": DONE}


def test_a_stale_plan_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    kind = Kinds()
    kind.stale = True
    end = run(kind, Listens(), tmp_path).end
    assert (kind.done, end.state, end.reason) == (["basis", "clean_up"], S.FAILED, "the definition has changed")


def failing(error: Exception) -> Callable[[Work], dict[str, Any]]:
    def fail(work: Work) -> dict[str, Any]:
        raise error

    return fail


def test_a_refusal_is_final_and_an_error_is_tried_again(tmp_path: Path) -> None:
    refused = run(Kinds(last=failing(RefusedError("a gate has failed"))), Listens(), tmp_path)
    assert (refused.end.state, refused.end.reason) == (S.FAILED, "a gate has failed")
    assert refused.stages()["last"] is StageState.FAILED
    kind = Kinds(last=failing(OSError("disk full")))
    tried = run(kind, Listens(), tmp_path)
    assert (tried.end.state, str(tried.end.reason)) == (S.QUEUED, "OSError: disk full")
    assert "clean_up" not in kind.done


def test_what_cannot_be_cleaned_up_is_tried_again(tmp_path: Path) -> None:
    kind = Kinds(first=failing(RefusedError("no")))
    kind.unclean = True
    end = run(kind, Listens(), tmp_path).end
    assert (end.state, "the lake is away" in str(end.reason)) == (S.QUEUED, True)


def test_a_stage_that_fails_ends_its_neighbour_and_is_the_reason(tmp_path: Path) -> None:
    beside = threading.Event()

    def fails(work: Work) -> dict[str, Any]:
        assert beside.wait(20)
        raise OSError("disk full")

    def goes_on(work: Work) -> dict[str, Any]:
        beside.set()
        deadline = threading.Event()
        for _ in range(2000):
            work.check()
            deadline.wait(0.01)
        raise AssertionError("nobody told it")

    plane = run(Kinds(a=fails, b=goes_on), Listens(), tmp_path)
    assert (plane.end.state, plane.end.reason) == (S.QUEUED, "OSError: disk full")
    assert plane.stages()["b"] is StageState.WAITING


@pytest.mark.parametrize(
    ("wish", "state", "cleaned"), [(Wish.PAUSE, S.PAUSED, False), (Wish.CANCEL, S.CANCELLED, True)]
)
def test_what_operators_want_is_done_between_two_pieces_of_work(
    tmp_path: Path, wish: Wish, state: OperationState, cleaned: bool
) -> None:
    plane, kind = Listens(), Kinds()
    plane.wish = wish
    run(kind, plane, tmp_path)
    assert plane.end.state is state
    assert kind.done == (["basis", "clean_up"] if cleaned else ["basis"])


def test_a_stage_that_rests_is_done_and_paused_in_one_breath(tmp_path: Path) -> None:
    end = run(Kinds(first=failing(RestsError("an operator's look", {"seen": True}))), Listens(), tmp_path).end
    assert (end.state, end.waits_for) == (S.PAUSED, "an operator's look")
    assert [(stage.key, stage.state, stage.result) for stage in end.stages] == [("first", DONE, {"seen": True})]


@pytest.mark.parametrize(("wish", "state"), [(Wish.CANCEL, S.CANCELLED), (Wish.RUN, S.FAILED)])
def test_to_clean_up_runs_no_stage_and_is_not_cut_short(tmp_path: Path, wish: Wish, state: OperationState) -> None:
    plane, kind = Listens(), Kinds()
    plane.wish = wish
    run(kind, plane, tmp_path, "first", does=Does.CLEAN_UP)
    assert (kind.done, plane.end.state) == (["clean_up"], state)


def test_what_could_not_be_told_is_told_later_and_nothing_is_lost() -> None:
    plane, lost = Listens(), list[str]()
    telling = Telling(plane, "one", "lease", lost=lost.append)  # type: ignore[arg-type]
    telling.log("begins")
    telling.stage(StageProgress(key="a", state=DONE))
    plane.is_away = True
    with pytest.raises(AwayError):
        telling._say()
    telling.log("goes on")
    plane.is_away = False
    telling.say(state=S.DONE)
    assert (plane.end.log, plane.stages(), plane.end.state) == (("begins", "goes on"), {"a": DONE}, S.DONE)
    plane.is_lost = True
    telling.say(state=S.DONE)
    assert lost == ["somebody else has it"]
