"""Who asks for operations and who does them meet here: each request is a transaction, an entry on the audit record, and a ring."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.contract.backfills import PromotionAsked
from controlplane.contract.metrics.meter import METER
from controlplane.contract.operations import (
    Kind,
    Leased,
    Operation,
    OperationAsked,
    OperationsFrame,
    OperationState,
    Wish,
)
from controlplane.service.operations import life
from controlplane.service.operations.asked import checked, command_of
from controlplane.service.operations.bell import Bell
from controlplane.service.operations.life import Kept
from controlplane.service.operations.refusal import RefusedError, conflicting, mistaken
from controlplane.service.operations.rights import require_confirming
from controlplane.service.operations.store import UNENDED, Sought, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Engine

    from controlplane.contract.access import Principal
    from controlplane.contract.operations import Does, Schedule, WorkerSays
    from controlplane.service.audit.port import Audit
    from controlplane.service.operations.store import Change

KEYS_KEPT = timedelta(days=2)
_SHOWN = 50
_COUNTED_FOR = timedelta(seconds=30)
_FAILURES = (OperationState.FAILED,)


class Desk:
    """Operations of a platform; every method may be called from any thread."""

    def __init__(
        self,
        engine: Engine,
        streams: Collection[str],
        audit: Audit,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = Store(engine)
        self.bell = Bell()
        self._streams = streams
        self._audit = audit
        self._now = now
        self._worker_at: datetime | None = None
        self.planned: Callable[[Operation], None] = lambda _: None
        """Told of each operation that has a plan now."""

    def ask(  # noqa: PLR0913 (what an operation is asked for with)
        self,
        asked: OperationAsked,
        by: Principal,
        *,
        dry_run: bool = False,
        key: str | None = None,
        undoes: str | None = None,
        schedule: str | None = None,
    ) -> Operation:
        """Have an operation planned; with an idempotency key that was used for the same before: what came of it.

        Raises:
            RefusedError: 404 or 422, naming what is wrong with it.
        """
        now = self._now()
        digest = _digest(asked, dry_run, undoes)
        stream = self.stream_of(asked)
        whole = checked(asked).model_dump(mode="json")
        with self.store.changing() as change:
            if key is not None and (known := change.key(by.name, key)) is not None:
                if known[0] != digest:
                    raise mistaken(f"Idempotency-Key {key!r} was used for another request", "idempotency-key-reused")
                return change.one(known[1]).operation
            operation = Operation(
                id=uuid4().hex[:12],
                kind=asked.kind,
                stream=stream,
                asked=whole,
                why=asked.why,
                by=by.name,
                at=now,
                changed_at=now,
                state=OperationState.PLANNING,
                undoes=undoes,
                schedule=schedule,
                dry_run=dry_run,
                cli=command_of(asked) if undoes is None else f"tidegate operations undo {undoes}",
            )
            change.add(Kept(operation))
            if key is not None:
                change.keep_key(by.name, key, digest, operation.id, now)
        self._tell("ask", operation, by.name, by.by)
        return operation

    def stream_of(self, asked: OperationAsked) -> str:
        """Which stream it is about.

        Raises:
            RefusedError: 422, naming the field that is wrong.
        """
        found = checked(asked)
        stream = str(getattr(found, "stream", ""))
        if stream not in self._streams:
            raise mistaken(
                f"asked.stream: there is no stream {stream!r}; there are: {', '.join(sorted(self._streams))}"
            )
        if isinstance(found, PromotionAsked) and found.trial is not None:
            self._require_trial(found.trial, stream)
        return stream

    def confirm(self, number: str, fingerprint: str, confirmation: str, by: Principal) -> Operation:
        """Have a plan done.

        Raises:
            RefusedError: 404, 409 or 422; nothing has changed.
        """

        def step(change: Change, kept: Kept) -> Kept:
            undoes = kept.operation.undoes
            if undoes is not None and kept.operation.confirmed_at is None:
                life.may_be_undone(change.one(undoes).operation, None)
            return life.confirmed(kept, fingerprint, confirmation, by.name, self._now(), change.holding())

        return self._step("confirm", number, by, step)

    def pause(self, number: str, by: Principal) -> Operation:
        """Have it rest."""
        return self._step("pause", number, by, lambda _, kept: life.paused(kept, self._now()))

    def resume(self, number: str, by: Principal) -> Operation:
        """Have it go on."""
        return self._step("resume", number, by, lambda _, kept: life.resumed(kept, self._now()))

    def cancel(self, number: str, by: Principal) -> Operation:
        """Have it end."""
        return self._step("cancel", number, by, lambda _, kept: life.cancelled(kept, self._now()))

    def undo(self, number: str, by: Principal, *, dry_run: bool = False, key: str | None = None) -> Operation:
        """Have the operation planned that undoes another.

        Raises:
            RefusedError: 404 or 409.
        """
        with self.store.changing() as change:
            operation = change.one(number).operation
            undoing = change.undoing(number)
        life.may_be_undone(operation, undoing)
        asked = OperationAsked.model_validate(operation.undo)
        return self.ask(asked, by, undoes=operation.id, dry_run=dry_run, key=key)

    def lease(self, worker: str, holds: Collection[str], does: Collection[Does]) -> Leased | None:
        """Work for a worker; None: there is none.

        Args:
            worker: its name; what it had and no longer holds (it has started anew) is free again.
            holds: the leases of what it is at work on.
            does: what it has room for.
        """
        now = self._now()
        self._worker_at = now
        with self.store.changing() as change:
            for kept in change.leased_by(worker):
                # What it holds it is at work on, however long its process is silent: nobody else may begin it meanwhile.
                change.put(kept, life.held(kept, now) if kept.lease in holds else life.freed(kept))
            found = self._next(change, worker, does, now)
        if found is not None:
            self._tell("begin", found.operation, worker, "service", does=str(found.does))
        return found

    def heard(self, number: str, says: WorkerSays) -> Wish:
        """Take in what a worker tells of an operation; what operators want of it.

        Raises:
            RefusedError: 409, if somebody else has it by now.
        """
        now = self._now()
        self._worker_at = now
        with self.store.changing() as change:
            before = change.one(number)
            if before.lease is None or before.lease != says.worker:
                raise conflicting(
                    "lease-lost", f"{number} is not this worker's any more: it is {before.operation.state}"
                )
            after = life.heard(before, says, now)
            change.put(before, after)
            change.log(number, now, *says.log)
            self._mark_undone(change, after.operation, now)
        if after.operation.state is not before.operation.state:
            self._tell(_ENDINGS.get(after.operation.state, "end"), after.operation, "service", "service")
            if after.operation.state is OperationState.PLANNED:
                self.planned(after.operation)
        elif after != before:
            self.bell.ring()
        return after.operation.wish

    def tidy(self) -> None:
        """Let go of plans that nobody has confirmed, and of old idempotency keys."""
        now = self._now()
        with self.store.changing() as change:
            for kept in change.planned_before(now - timedelta(days=1)):
                change.put(kept, life.expired(kept, now))
            change.forget_keys(now - KEYS_KEPT)

    def frame(self) -> OperationsFrame:
        """The newest operations, as the hub pushes them."""
        found, _ = self.store.page(Sought(), _SHOWN)
        return OperationsFrame(at=self._now(), operations=tuple(found), worker_at=self._worker_at)

    def confirm_scheduled(self, number: str, schedule: Schedule, by: Principal) -> None:
        """Confirm what a schedule has had planned; what cannot be confirmed is cancelled, and says why."""
        plan = self.store.one(number).plan
        if plan is None:
            return
        try:
            require_confirming(by, self.store.one(number))
            self.confirm(number, plan.fingerprint, plan.confirmation, by)
        except RefusedError as error:
            said = f"schedule {schedule.name}: {error.detail}"
            self._step(
                "cancel", number, by, lambda _, kept: life.changed(kept, self._now(), state=_FAILURES[0], reason=said)
            )

    def tell(self, action: str, subject: str, stream: str, by: Principal, **details: str) -> None:
        """Put something else on the record."""
        self._audit.record(by.name, by.by, action, subject, stream=stream, details=dict(details))

    def _next(self, change: Change, worker: str, does: Collection[Does], now: datetime) -> Leased | None:
        held = change.holding()
        for kept in change.open_to_lease(now):
            ahead = [each for each in held if _is_ahead(each, kept.operation)]
            if (other := life.in_the_way(kept.operation, ahead)) is not None:
                said = f"{other.kind} {other.id}"
                if kept.operation.waits_for != said:
                    change.put(kept, life.changed(kept, now, waits_for=said))
                continue
            after, what = life.leased(kept, worker, uuid4().hex, now)
            if what is not None and what not in does:
                continue
            change.put(kept, after)
            if what is not None and after.lease is not None:
                change.log(after.operation.id, now, f"{worker}: {what}, attempt {after.operation.attempts}")
                return Leased(operation=after.operation, does=what, lease=after.lease)
        return None

    def _mark_undone(self, change: Change, operation: Operation, now: datetime) -> None:
        if operation.undoes is not None and operation.state is OperationState.DONE:
            undone = change.one(operation.undoes)
            change.put(undone, life.changed(undone, now, undone_by=operation.id))
            if undone.operation.undoes is not None:  # an undo is undone: what it undid stands again
                again = change.one(undone.operation.undoes)
                change.put(again, life.changed(again, now, undone_by=None))

    def _step(self, action: str, number: str, by: Principal, step: Callable[[Change, Kept], Kept]) -> Operation:
        try:
            with self.store.changing() as change:
                before = change.one(number)
                after = step(change, before)
                change.put(before, after)
                if after != before:
                    change.log(number, self._now(), f"{by.name}: {action}")
        except RefusedError as error:
            self._audit.record(by.name, by.by, f"operation.{action}", number, outcome="refused", reason=error.detail)
            raise
        if after != before:
            self._tell(action, after.operation, by.name, by.by)
        return after.operation

    def count(self) -> None:
        """Have the numbers of what has not ended in `/metrics`, for as long as somebody counts."""
        found = self.store.counts()
        for kind in Kind:
            for state in UNENDED:
                until = self._now() + _COUNTED_FOR
                METER.hold("tidegate_operations", kind, state, value=found.get((kind, state), 0), until=until)

    def _tell(self, action: str, operation: Operation, actor: str, by: str, **details: str) -> None:
        self.bell.ring()
        if operation.state.has_ended:
            METER.add("tidegate_operations_ended_total", operation.kind, operation.state)
        self._audit.record(
            actor,
            by,
            f"operation.{action}",
            operation.id,
            stream=operation.stream,
            outcome="failed" if operation.state in _FAILURES else "ok",
            reason=operation.reason,
            details={"kind": str(operation.kind), "state": str(operation.state), **details},
        )

    def _require_trial(self, number: str, stream: str) -> None:
        found = self.store.one(number)
        if (found.kind, found.state, found.stream) != (Kind.TRIAL, OperationState.DONE, stream):
            said = f"{found.kind} of {found.stream} that is {found.state}"
            raise mistaken(f"asked.trial: {number} is a {said}, and no trial of {stream} that is done")


def _is_ahead(other: Operation, operation: Operation) -> bool:
    """Does it come first? Who is at work does, then who was confirmed earlier."""
    if other.state is not OperationState.QUEUED:
        return True
    return _order(other) < _order(operation)


def _order(operation: Operation) -> tuple[datetime, str]:
    return (operation.confirmed_at or operation.at, operation.id)


def _digest(asked: OperationAsked, *more: object) -> str:
    said = [asked.model_dump(mode="json"), *more]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_ENDINGS = {
    OperationState.PLANNED: "planned",
    OperationState.QUEUED: "interrupted",
    OperationState.PAUSED: "paused",
    OperationState.DONE: "done",
    OperationState.FAILED: "failed",
    OperationState.CANCELLED: "cancelled",
}
