"""What may be done to an operation in which state, and what it becomes: a table of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
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
    Touch,
    Wish,
    WorkerSays,
)
from controlplane.service.operations import life
from controlplane.service.operations.life import Kept
from controlplane.service.operations.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
S = OperationState
STAGES = (StagePlanned(key="build", does="build", title="Build"), StagePlanned(key="swap", does="swap", title="Swap"))


def plan(at: datetime = NOW, *touches: Touch) -> Plan:
    touched = touches or (Touch(stream="flights", table="events"),)
    return Plan(at=at, stages=STAGES, touches=touched, confirmation="flights", fingerprint="f")


def kept(state: OperationState, **what: Any) -> Kept:
    begun = state in (S.RUNNING, S.DONE, S.PAUSED)
    fields: dict[str, Any] = {
        "id": "one",
        "kind": Kind.BACKFILL,
        "stream": "flights",
        "asked": {"stream": "flights"},
        "by": "ann",
        "at": NOW,
        "changed_at": NOW - timedelta(minutes=1),
        "state": state,
        "plan": None if state is S.PLANNING else plan(),
        "stages": tuple(StageProgress(key=stage.key) for stage in STAGES),
        "confirmed_at": NOW if state.holds or begun else None,
        "started_at": NOW if begun else None,
        "ended_at": NOW if state.has_ended else None,
        **what,
    }
    return Kept(Operation(**fields))


def confirm(one: Kept, fingerprint: str = "f", word: str = "flights", others: tuple[Operation, ...] = ()) -> Kept:
    return life.confirmed(one, fingerprint, word, "bob", NOW, others)


def undone(one: Kept, _: datetime) -> Kept:
    life.may_be_undone(one.operation, None)
    return one


STEPS: dict[str, Callable[[Kept, datetime], Kept]] = {
    "confirm": lambda one, _: confirm(one),
    "pause": life.paused,
    "resume": life.resumed,
    "cancel": life.cancelled,
    "undo": undone,
}
TABLE = {
    #           confirm     pause     resume     cancel       undo
    S.PLANNING: ("refused", "refused", "refused", "cancelled", "refused"),
    S.PLANNED: ("queued", "refused", "refused", "cancelled", "refused"),
    S.QUEUED: ("same", "paused", "same", "cancelled", "refused"),
    S.RUNNING: ("same", "asked", "same", "asked", "refused"),
    S.PAUSED: ("same", "same", "queued", "queued", "refused"),
    S.DONE: ("same", "refused", "refused", "refused", "same"),
    S.CANCELLED: ("refused", "refused", "refused", "same", "refused"),
    S.FAILED: ("refused", "refused", "refused", "refused", "refused"),
}
CASES = [
    pytest.param(state, step, said, id=f"{step}-of-{state}-is-{said}")
    for state, row in TABLE.items()
    for step, said in zip(STEPS, row, strict=True)
]


@pytest.mark.parametrize(("state", "step", "said"), CASES)
def test_what_a_step_does_depends_on_the_state(state: OperationState, step: str, said: str) -> None:
    before = kept(state, undo={"kind": "backfill", "asked": {}})
    if said == "refused":
        with pytest.raises(RefusedError) as refused:
            STEPS[step](before, NOW)
        assert refused.value.status is HTTPStatus.CONFLICT
        assert "one" in refused.value.detail
        return
    after = STEPS[step](before, NOW)
    if said == "same":
        assert after == before
    elif said == "asked":
        assert (after.operation.state, after.operation.wish) == (state, Wish(step))
    else:
        assert after.operation.state == said
        assert after.operation.changed_at == NOW


@pytest.mark.parametrize(
    ("given", "status", "kind", "said"),
    [
        pytest.param({"fingerprint": "other"}, 409, "stale-plan", "read it again", id="of-another-plan"),
        pytest.param({"word": "shop"}, 422, "wrong-confirmation", "type 'flights'", id="wrong-word"),
        pytest.param({"word": ""}, 422, "wrong-confirmation", "type 'flights'", id="no-word"),
    ],
)
def test_a_plan_is_confirmed_by_its_fingerprint_and_its_word(
    given: dict[str, str], status: int, kind: str, said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        confirm(kept(S.PLANNED), **given)
    assert (refused.value.status, refused.value.kind) == (status, kind)


def test_an_old_plan_is_stale_and_one_that_was_only_planned_is_never_confirmed() -> None:
    assert confirm(kept(S.PLANNED, plan=plan(NOW - timedelta(minutes=15)))).operation.state is S.QUEUED
    with pytest.raises(RefusedError, match="16 minutes old: ask for it again") as refused:
        confirm(kept(S.PLANNED, plan=plan(NOW - timedelta(minutes=16))))
    assert refused.value.kind == "stale-plan"
    with pytest.raises(RefusedError, match="only to be planned"):
        confirm(kept(S.PLANNED, dry_run=True))


@pytest.mark.parametrize("state", [S.QUEUED, S.RUNNING, S.PAUSED])
def test_what_another_holds_is_a_conflict_that_names_it(state: OperationState) -> None:
    other = kept(state, id="two", by="eve").operation
    with pytest.raises(RefusedError, match=f"backfill two of eve \\({state}\\).*cancel two") as refused:
        confirm(kept(S.PLANNED), others=(other,))
    assert (refused.value.status, refused.value.kind) == (409, "conflict")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(kept(S.DONE, id="two"), id="it-has-ended"),
        pytest.param(kept(S.PLANNED, id="two"), id="it-is-not-confirmed"),
        pytest.param(kept(S.RUNNING, id="two", plan=plan(NOW, Touch(stream="shop"))), id="another-stream"),
        pytest.param(kept(S.RUNNING), id="it-is-the-same"),
    ],
)
def test_what_holds_nothing_of_it_is_no_conflict(other: Kept) -> None:
    assert confirm(kept(S.PLANNED), others=(other.operation,)).operation.state is S.QUEUED


def lease(one: Kept) -> tuple[Kept, Does | None]:
    return life.leased(one, "worker", "lease", NOW)


def test_a_worker_plans_and_runs_and_holds_a_lease_of_thirty_seconds() -> None:
    planning, does = lease(kept(S.PLANNING))
    assert (does, planning.lease, planning.leased_until) == (Does.PLAN, "lease", NOW + timedelta(seconds=30))
    running, does = lease(kept(S.QUEUED))
    assert (does, running.operation.state, running.operation.started_at) == (Does.RUN, S.RUNNING, NOW)


def test_it_is_begun_three_times_then_cleaned_up_three_times_then_given_up() -> None:
    one, did = kept(S.QUEUED), list[Does | None]()
    for _ in range(8):
        one, does = lease(one)
        did.append(does)
        if does is None:
            break
        one = life.heard(one, WorkerSays(worker="lease", state=S.QUEUED, reason="disk full"), NOW)
    assert did == [Does.RUN] * 3 + [Does.CLEAN_UP] * 4 + [None]
    assert one.operation.state is S.FAILED
    assert "disk full" in str(one.operation.reason)
    assert "could not be taken back" in str(one.operation.reason)


@pytest.mark.parametrize(("fruitless", "after_s"), [(1, 1), (2, 10)])
def test_what_came_to_nothing_is_begun_again_a_little_later(fruitless: int, after_s: int) -> None:
    one = replace(kept(S.RUNNING), fruitless=fruitless, lease="lease")
    one = life.heard(one, WorkerSays(worker="lease", state=S.QUEUED, reason="the broker is away"), NOW)
    assert (one.lease, one.leased_until) == (None, NOW + timedelta(seconds=after_s))
    assert life.cancelled(one, NOW).leased_until is None, "a cancel does not wait"


def test_what_a_worker_lets_go_in_order_is_free_at_once() -> None:
    one = replace(kept(S.RUNNING), fruitless=1, lease="lease")
    assert life.heard(one, WorkerSays(worker="lease", state=S.QUEUED), NOW).leased_until is None


def test_a_stage_that_is_done_begins_the_count_anew() -> None:
    one = replace(kept(S.RUNNING), fruitless=3, lease="lease")
    built = StageProgress(key="build", state=StageState.DONE)
    one = life.heard(one, WorkerSays(worker="lease", stages=(built,)), NOW)
    one = life.heard(one, WorkerSays(worker="lease", state=S.QUEUED, reason="killed"), NOW)
    assert lease(one)[1] is Does.RUN
    assert one.operation.stages[0] == built


def test_a_planning_that_ends_three_times_without_a_plan_has_failed() -> None:
    one = kept(S.PLANNING)
    for _ in range(3):
        one, does = lease(one)
        assert does is Does.PLAN
        one = life.heard(one, WorkerSays(worker="lease", state=S.QUEUED, reason="the lake is away"), NOW)
        assert one.operation.state is S.PLANNING
    one, does = lease(one)
    assert (does, one.operation.state) == (None, S.FAILED)
    assert "the lake is away" in str(one.operation.reason)


def test_what_was_cancelled_while_nobody_was_at_work_is_only_cleaned_up() -> None:
    cancelled = life.cancelled(kept(S.PAUSED), NOW)
    assert lease(cancelled)[1] is Does.CLEAN_UP
    ended = life.heard(lease(cancelled)[0], WorkerSays(worker="lease", state=S.CANCELLED), NOW)
    assert (ended.operation.state, ended.lease) == (S.CANCELLED, None)


def test_what_was_to_pause_when_its_process_died_is_paused() -> None:
    one, does = lease(life.paused(kept(S.RUNNING), NOW))
    assert (does, one.operation.state, one.lease) == (None, S.PAUSED, None)


def test_a_stage_that_was_begun_waits_again_and_keeps_how_far_it_was() -> None:
    far = StageProgress(key="build", state=StageState.RUNNING, done=1, total=1, started_at=NOW, note="reads")
    one = life.heard(kept(S.RUNNING), WorkerSays(worker="lease", stages=(far,)), NOW)
    one = life.heard(one, WorkerSays(worker="lease", state=S.PAUSED), NOW)
    assert one.operation.stages[0] == far.model_copy(update={"state": StageState.WAITING, "note": ""})
    assert life.resumed(one, NOW).operation.state is S.QUEUED


def test_a_reason_of_an_attempt_is_forgotten_when_it_ends_well() -> None:
    one = life.heard(kept(S.RUNNING), WorkerSays(worker="lease", state=S.QUEUED, reason="killed"), NOW)
    one, _ = lease(one)
    assert one.operation.reason == "killed"
    done = life.heard(one, WorkerSays(worker="lease", state=S.DONE, result={"rows": 1}), NOW)
    assert (done.operation.reason, done.operation.result, done.operation.ended_at) == (None, {"rows": 1}, NOW)


def test_what_it_waits_for_is_said_and_taken_back() -> None:
    one = life.heard(kept(S.RUNNING), WorkerSays(worker="lease", waits_for="live"), NOW)
    assert one.operation.waits_for == "live"
    assert life.heard(one, WorkerSays(worker="lease", waits_for=""), NOW).operation.waits_for is None


def test_only_what_is_done_and_can_be_undone_is_undone_once() -> None:
    undo = OperationAsked(kind=Kind.ROLLBACK, asked={}).model_dump()
    done = kept(S.DONE, undo=undo).operation
    life.may_be_undone(done, kept(S.CANCELLED).operation)
    for operation, undoing, said in (
        (kept(S.DONE).operation, None, "nothing undoes"),
        (done.model_copy(update={"undone_by": "two"}), None, "undone by two already"),
        (done, kept(S.RUNNING, id="two").operation, "being undone by two"),
    ):
        with pytest.raises(RefusedError, match=said):
            life.may_be_undone(operation, undoing)


def test_a_plan_that_nobody_confirms_is_let_go_after_a_day() -> None:
    one = kept(S.PLANNED)
    assert life.expired(one, NOW + timedelta(hours=23)) == one
    assert life.expired(one, NOW + timedelta(hours=25)).operation.state is S.CANCELLED
