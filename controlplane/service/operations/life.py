"""What may operators and the worker do to an operation? Each step is a pure function from what it is to what it becomes.

A step that changes nothing (a pause of what is paused) gives the same back, so that a request that is sent twice does no harm. What
is not allowed is refused with what the operation is and what to do instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.operations import (
    PLAN_HOLDS_S,
    Does,
    Operation,
    OperationState,
    StageProgress,
    StageState,
    Wish,
)
from controlplane.service.operations.refusal import conflicting, mistaken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.operations import WorkerSays
    from controlplane.service.operations.refusal import RefusedError

LEASE = timedelta(seconds=30)
"""A worker of which nothing is heard for so long has lost the operation."""
AGAIN_AFTER = (timedelta(seconds=1), timedelta(seconds=10))
"""After the first start that came to nothing, and after the second: what is away may come back."""
TRIES = 3
"""So often is it begun without a stage being done, and so often it is cleaned up, before it is given up."""
_S = OperationState


@dataclass(frozen=True)
class Kept:
    """An operation, with what only the control plane has to know of it."""

    operation: Operation
    lease: str | None = None
    leased_until: datetime | None = None
    """Nobody else gets it before."""
    worker: str | None = None
    fruitless: int = 0
    """How often it was begun since a stage was last done."""


def changed(kept: Kept, now: datetime, **what: object) -> Kept:
    """With other fields of the operation; those that have ended are let go."""
    operation = kept.operation.model_copy(update={**what, "changed_at": now})
    if not operation.state.has_ended:
        return replace(kept, operation=operation)
    ended_at = operation.ended_at or now
    ended = operation.model_copy(update={"ended_at": ended_at, "waits_for": None, "wish": Wish.RUN})
    return Kept(ended)


def confirmed(  # noqa: PLR0913 (what a confirmation depends on)
    kept: Kept, fingerprint: str, confirmation: str, by: str, now: datetime, others: Iterable[Operation]
) -> Kept:
    """Queued, unless the plan is stale, the word is wrong or somebody else has what it touches.

    Raises:
        RefusedError: 409 or 422.
    """
    operation, plan = kept.operation, kept.operation.plan
    if operation.confirmed_at is not None and plan is not None and plan.fingerprint == fingerprint:
        return kept
    if operation.state is not _S.PLANNED or plan is None:
        raise conflicting("not-planned", f"{operation.id} is {operation.state}: {_INSTEAD[operation.state]}")
    if operation.dry_run:
        raise conflicting("dry-run", f"{operation.id} was only to be planned: ask for it again without dry_run")
    if fingerprint != plan.fingerprint:
        raise conflicting(
            "stale-plan",
            f"that is not the plan of {operation.id}: read it again, its fingerprint is {plan.fingerprint}",
        )
    if now - plan.at > timedelta(seconds=PLAN_HOLDS_S):
        age = round((now - plan.at).total_seconds() / 60)
        raise conflicting("stale-plan", f"the plan of {operation.id} is {age} minutes old: ask for it again")
    if confirmation != plan.confirmation:
        raise mistaken(f"confirmation: type {plan.confirmation!r} to have {operation.id} done", "wrong-confirmation")
    if (other := in_the_way(operation, others)) is not None:
        raise conflict_with(operation, other)
    return changed(kept, now, state=_S.QUEUED, wish=Wish.RUN, confirmed_by=by, confirmed_at=now)


def in_the_way(operation: Operation, others: Iterable[Operation]) -> Operation | None:
    """Which of those that hold something holds what this one touches? None: it may run."""
    touches = () if operation.plan is None else operation.plan.touches
    for other in others:
        held = () if other.plan is None or not other.state.holds or other.id == operation.id else other.plan.touches
        if any(mine.meets(theirs) for mine in touches for theirs in held):
            return other
    return None


def conflict_with(operation: Operation, other: Operation) -> RefusedError:
    """Names who has it."""
    return conflicting(
        "conflict",
        f"{operation.id} touches what {other.kind} {other.id} of {other.by} ({other.state}) has: "
        f"wait for its end, or cancel it by `tidegate operations cancel {other.id}`",
    )


def paused(kept: Kept, now: datetime) -> Kept:
    """It rests, or will as soon as its worker is between two pieces of work.

    Raises:
        RefusedError: 409, if there is nothing to pause.
    """
    operation = kept.operation
    if operation.state is _S.PAUSED:
        return kept
    if not operation.state.holds:
        raise conflicting("not-running", f"{operation.id} is {operation.state}: {_INSTEAD[operation.state]}")
    if operation.wish is Wish.CANCEL:
        raise conflicting("being-cancelled", f"{operation.id} is being cancelled: that cannot be taken back")
    if operation.state is _S.QUEUED:
        return changed(kept, now, state=_S.PAUSED, wish=Wish.PAUSE, waits_for=None)
    return kept if operation.wish is Wish.PAUSE else changed(kept, now, wish=Wish.PAUSE)


def resumed(kept: Kept, now: datetime) -> Kept:
    """It goes on.

    Raises:
        RefusedError: 409, if it does not rest.
    """
    operation = kept.operation
    if operation.wish is Wish.CANCEL and operation.state.holds:
        raise conflicting("being-cancelled", f"{operation.id} is being cancelled: that cannot be taken back")
    if operation.state is _S.PAUSED:
        return changed(replace(kept, fruitless=0), now, state=_S.QUEUED, wish=Wish.RUN, waits_for=None)
    if not operation.state.holds:
        raise conflicting("not-running", f"{operation.id} is {operation.state}: {_INSTEAD[operation.state]}")
    return kept if operation.wish is Wish.RUN else changed(kept, now, wish=Wish.RUN)


def cancelled(kept: Kept, now: datetime) -> Kept:
    """It ends: at once if it was never begun, else as soon as what it left is taken back.

    Raises:
        RefusedError: 409, if it has ended otherwise.
    """
    operation = kept.operation
    if operation.state is _S.CANCELLED or (operation.wish is Wish.CANCEL and operation.state.holds):
        return kept
    if operation.state.has_ended:
        raise conflicting("has-ended", f"{operation.id} is {operation.state}: {_INSTEAD[operation.state]}")
    if operation.started_at is None:
        return changed(kept, now, state=_S.CANCELLED, reason=None)
    if operation.state is _S.PAUSED:
        return changed(replace(kept, fruitless=0), now, state=_S.QUEUED, wish=Wish.CANCEL)
    at_once = replace(kept, fruitless=0, leased_until=None if kept.lease is None else kept.leased_until)
    return changed(at_once, now, wish=Wish.CANCEL)


def may_be_undone(operation: Operation, undoing: Operation | None) -> None:
    """Can it be undone?

    Args:
        operation: which.
        undoing: the last operation that was asked for to undo it.

    Raises:
        RefusedError: 409, if not.
    """
    if operation.state is not _S.DONE:
        raise conflicting("not-done", f"{operation.id} is {operation.state}: only what is done can be undone")
    if operation.undo is None:
        raise conflicting("no-undo", f"nothing undoes {operation.id}")
    if operation.undone_by is not None:
        raise conflicting("undone", f"{operation.id} was undone by {operation.undone_by} already")
    if undoing is not None and undoing.state.holds:
        raise conflicting("being-undone", f"{operation.id} is being undone by {undoing.id}")


def held(kept: Kept, now: datetime) -> Kept:
    """Its worker has been heard of; said anew only when half of the lease is over."""
    is_soon_over = kept.leased_until is None or kept.leased_until - now < LEASE / 2
    return replace(kept, leased_until=now + LEASE) if is_soon_over else kept


def freed(kept: Kept) -> Kept:
    """Nobody is at work on it any more."""
    return replace(kept, lease=None, leased_until=None, worker=None)


def leased(kept: Kept, worker: str, lease: str, now: datetime) -> tuple[Kept, Does | None]:
    """What a worker is to do with it; None: what it becomes needs no worker."""
    operation, tries = kept.operation, kept.fruitless + 1
    mine = replace(kept, worker=worker, lease=lease, leased_until=now + LEASE, fruitless=tries)
    if operation.state is _S.PLANNING:
        if tries > TRIES:
            return changed(kept, now, state=_S.FAILED, reason=_gave_up("planning it", operation)), None
        return changed(mine, now, attempts=operation.attempts + 1), Does.PLAN
    if operation.wish is Wish.PAUSE:
        return changed(freed(kept), now, state=_S.PAUSED, stages=rested(operation.stages)), None
    begun = {
        "state": _S.RUNNING,
        "attempts": operation.attempts + 1,
        "started_at": operation.started_at or now,
        "stages": rested(operation.stages),
        "waits_for": None,
    }
    if operation.wish is Wish.RUN and tries <= TRIES:
        return changed(mine, now, **begun), Does.RUN
    reason = operation.reason if operation.wish is Wish.CANCEL else _gave_up("its stage", operation)
    if tries > (1 if operation.wish is Wish.CANCEL else 2) * TRIES + 1:
        left = f"{reason or 'it was cancelled'}; what it has left could not be taken back: see its log"
        return changed(kept, now, state=_S.FAILED, reason=left), None
    return changed(mine, now, **begun, reason=reason), Does.CLEAN_UP


def heard(kept: Kept, says: WorkerSays, now: datetime) -> Kept:
    """What the worker has told of it."""
    operation = kept.operation
    what: dict[str, object] = {
        name: value for name in ("stream", "reason", "result", "undo") if (value := getattr(says, name)) is not None
    }
    if says.waits_for is not None:
        what["waits_for"] = says.waits_for or None
    if says.plan is not None:
        what |= {"plan": says.plan, "stages": tuple(StageProgress(key=stage.key) for stage in says.plan.stages)}
    if says.stages:
        what["stages"] = _merged(operation.stages, says.stages)
    state = _S.PLANNED if says.plan is not None and operation.state is _S.PLANNING else says.state
    is_fruitful = any(stage.state is StageState.DONE for stage in says.stages) or state in (_S.PLANNED, _S.DONE)
    if is_fruitful:
        what.setdefault("reason", None)
    mine = replace(kept, leased_until=now + LEASE, fruitless=0 if is_fruitful else kept.fruitless)
    if state in (None, operation.state):
        return changed(mine, now, **what) if what else mine
    if state in (_S.QUEUED, _S.PAUSED):
        stages = what.get("stages", operation.stages)
        what |= {"stages": rested(stages), "waits_for": says.waits_for or None}  # type: ignore[arg-type]
        is_orderly = state is _S.PAUSED or says.reason is None
        mine = replace(mine, fruitless=0 if is_orderly else mine.fruitless)
        if state is _S.QUEUED:
            # A plan that was not finished is made again.
            state = _S.PLANNING if operation.state is _S.PLANNING else state
        else:
            what["wish"] = Wish.PAUSE
    free = freed(mine)
    if 0 < free.fruitless < TRIES and state in (_S.QUEUED, _S.PLANNING):
        free = replace(free, leased_until=now + AGAIN_AFTER[free.fruitless - 1])
    return changed(free, now, **what, state=state)


def rested(stages: Iterable[StageProgress]) -> tuple[StageProgress, ...]:
    """Nobody is at work on them; what is done stays done, and how far the others were stays known."""
    done = (StageState.DONE, StageState.WAITING)
    return tuple(
        stage if stage.state in done else stage.model_copy(update={"state": StageState.WAITING, "note": ""})
        for stage in stages
    )


def expired(kept: Kept, now: datetime) -> Kept:
    """A plan that nobody has confirmed in a day is none any more."""
    operation = kept.operation
    if operation.state is not _S.PLANNED or now - operation.changed_at < timedelta(days=1):
        return kept
    said = "it was only to be planned" if operation.dry_run else "nobody has confirmed its plan within a day"
    return changed(kept, now, state=_S.CANCELLED, reason=said)


def _merged(before: Iterable[StageProgress], told: Iterable[StageProgress]) -> tuple[StageProgress, ...]:
    news = {stage.key: stage for stage in told}
    return tuple(news.get(stage.key, stage) for stage in before)


def _gave_up(what: str, operation: Operation) -> str:
    why = f", the last time because {operation.reason}" if operation.reason else ""
    return f"{what} was begun {TRIES} times and ended each time before it was done{why}: see its log"


_INSTEAD = {
    _S.PLANNING: "wait for its plan, or cancel it",
    _S.PLANNED: "it waits for its confirmation; confirm or cancel it",
    _S.QUEUED: "it is confirmed already",
    _S.RUNNING: "it runs already",
    _S.PAUSED: "resume it, or cancel it",
    _S.DONE: "it has ended; undo it, or ask for it again",
    _S.CANCELLED: "it has ended; ask for it again",
    _S.FAILED: "it has ended; ask for it again",
}
