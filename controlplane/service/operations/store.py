"""How are operations read and written? Every change reads, decides and writes in one transaction that excludes the others."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, or_, select, update

from controlplane.contract.operations import LogLine, Operation, OperationState, Plan, StageProgress
from controlplane.service.database import writing
from controlplane.service.operations.life import Kept
from controlplane.service.operations.refusal import missing
from controlplane.service.operations.tables import KEYS, LINES, OPERATIONS, STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

UNENDED = tuple(each for each in OperationState if not each.has_ended)
HOLDING = tuple(each for each in OperationState if each.holds)
_APART = {"plan", "stages", "result"}


@dataclass(frozen=True)
class Sought:
    """Which operations; what is None does not matter."""

    states: tuple[OperationState, ...] = ()
    kind: str | None = None
    stream: str | None = None


_LISTED = (OPERATIONS.c.number, OPERATIONS.c.id, OPERATIONS.c.state, OPERATIONS.c.body)
"""What a list reads of each."""


class Store:
    """Operations in a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """A transaction in which nobody else changes an operation."""
        with writing(self._engine) as connection:
            yield Change(connection)

    def one(self, number: str) -> Operation:
        """An operation, with its plan.

        Raises:
            RefusedError: if there is none of that id.
        """
        with self._engine.connect() as connection:
            return Change(connection).one(number).operation

    def page(self, sought: Sought, limit: int, before: int | None = None) -> tuple[list[Operation], int | None]:
        """The newest that are sought, without plans and results; and `before` of those that follow, None: there are none."""
        where = [] if before is None else [OPERATIONS.c.number < before]
        if sought.states:
            where.append(OPERATIONS.c.state.in_(sought.states))
        if sought.kind is not None:
            where.append(OPERATIONS.c.kind == sought.kind)
        if sought.stream is not None:
            where.append(OPERATIONS.c.stream == sought.stream)
        query = select(*_LISTED).where(*where).order_by(OPERATIONS.c.number.desc()).limit(limit + 1)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            shown = rows[:limit]
            live = [row.id for row in shown if row.state in UNENDED]
            stages = _stages(connection, live)
            found = [_brief(row, stages.get(row.id, ())) for row in shown]
        return found, shown[-1].number if len(rows) > limit else None

    def counts(self) -> dict[tuple[str, str], int]:
        """How many there are of those that have not ended, by kind and state."""
        kind, state = OPERATIONS.c.kind, OPERATIONS.c.state
        query = select(kind, state, func.count()).where(state.in_(UNENDED)).group_by(kind, state)
        with self._engine.connect() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}

    def lines(self, number: str, after: int, limit: int) -> list[LogLine]:
        """Lines of an operation's log after a number, oldest first."""
        query = (
            select(LINES)
            .where(LINES.c.operation == number, LINES.c.number > after)
            .order_by(LINES.c.number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [LogLine(number=row.number, at=row.at, text=row.text) for row in connection.execute(query)]


class Change:
    """What may be read and written within a transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def one(self, number: str) -> Kept:
        """An operation.

        Raises:
            RefusedError: if there is none of that id.
        """
        row = self.connection.execute(select(OPERATIONS).where(OPERATIONS.c.id == number)).one_or_none()
        if row is None:
            raise missing(f"there is no operation {number!r}; `tidegate operations ls` lists them")
        return self._kept(row)

    def holding(self) -> list[Operation]:
        """Those that hold what they touch, the one first that was confirmed first."""
        found = [each.operation for each in self._found(OPERATIONS.c.state.in_(HOLDING))]
        return sorted(found, key=lambda each: each.confirmed_at or each.at)

    def open_to_lease(self, now: datetime) -> list[Kept]:
        """Those that need a worker and have none, oldest first."""
        waiting = OPERATIONS.c.state.in_((OperationState.PLANNING, OperationState.QUEUED, OperationState.RUNNING))
        free = or_(OPERATIONS.c.leased_until.is_(None), OPERATIONS.c.leased_until < now)
        return self._found(and_(waiting, free))

    def leased_by(self, worker: str) -> list[Kept]:
        """Those that a worker has."""
        return self._found(OPERATIONS.c.worker == worker)

    def planned_before(self, moment: datetime) -> list[Kept]:
        """Those that wait for a confirmation since before a moment."""
        return self._found(and_(OPERATIONS.c.state == OperationState.PLANNED, OPERATIONS.c.changed_at < moment))

    def undoing(self, number: str) -> Operation | None:
        """The last one that was asked for to undo another."""
        found = self._found(OPERATIONS.c.undoes == number)
        return found[-1].operation if found else None

    def add(self, kept: Kept) -> None:
        """A new one."""
        self.connection.execute(insert(OPERATIONS).values(**_row(kept), plan=None, result=None))

    def put(self, before: Kept, after: Kept) -> None:
        """Write what has changed."""
        if before == after:
            return
        values = _row(after)
        if after.operation.plan is not before.operation.plan and after.operation.plan is not None:
            values["plan"] = after.operation.plan.model_dump_json()
        if after.operation.result != before.operation.result:
            values["result"] = json.dumps(after.operation.result)
        self.connection.execute(update(OPERATIONS).where(OPERATIONS.c.id == after.operation.id).values(**values))
        self._put_stages(before.operation, after.operation)

    def log(self, number: str, at: datetime, *lines: str) -> None:
        """Add lines to an operation's log."""
        if lines:
            self.connection.execute(insert(LINES), [{"operation": number, "at": at, "text": line} for line in lines])

    def key(self, by: str, key: str) -> tuple[str, str] | None:
        """What was asked for with an idempotency key (its hash), and the operation that came of it."""
        query = select(KEYS.c.asked, KEYS.c.operation).where(KEYS.c.by == by, KEYS.c.key == key)
        row = self.connection.execute(query).one_or_none()
        return None if row is None else (row.asked, row.operation)

    def keep_key(self, by: str, key: str, asked: str, operation: str, at: datetime) -> None:
        """Remember an idempotency key."""
        self.connection.execute(insert(KEYS).values(by=by, key=key, asked=asked, operation=operation, at=at))

    def forget_keys(self, before: datetime) -> None:
        """Forget idempotency keys that are older."""
        self.connection.execute(delete(KEYS).where(KEYS.c.at < before))

    def _found(self, where: object) -> list[Kept]:
        query = select(OPERATIONS).where(where).order_by(OPERATIONS.c.number)  # type: ignore[arg-type]
        return [self._kept(row) for row in self.connection.execute(query).all()]

    def _kept(self, row: Row[Any]) -> Kept:
        stages = _stages(self.connection, [row.id]).get(row.id, ())
        plan = None if row.plan is None else Plan.model_validate_json(row.plan)
        result = {} if row.result is None else json.loads(row.result)
        apart = {"plan": plan, "stages": tuple(stages), "result": result}
        operation = Operation.model_validate_json(row.body).model_copy(update=apart)
        return Kept(operation, row.lease, row.leased_until, row.worker, row.fruitless)

    def _put_stages(self, before: Operation, after: Operation) -> None:
        if before.stages == after.stages:
            return
        if len(before.stages) != len(after.stages):
            self.connection.execute(delete(STAGES).where(STAGES.c.operation == after.id))
            rows = [
                {"operation": after.id, "position": position, "body": stage.model_dump_json()}
                for position, stage in enumerate(after.stages)
            ]
            if rows:
                self.connection.execute(insert(STAGES), rows)
            return
        for position, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)):
            if old != new:
                at = and_(STAGES.c.operation == after.id, STAGES.c.position == position)
                self.connection.execute(update(STAGES).where(at).values(body=new.model_dump_json()))


def _row(kept: Kept) -> dict[str, object]:
    operation = kept.operation
    return {
        "id": operation.id,
        "kind": operation.kind,
        "stream": operation.stream,
        "state": operation.state,
        "at": operation.at,
        "changed_at": operation.changed_at,
        "undoes": operation.undoes,
        "body": operation.model_dump_json(exclude=_APART),
        "lease": kept.lease,
        "leased_until": kept.leased_until,
        "worker": kept.worker,
        "fruitless": kept.fruitless,
    }


def _stages(connection: Connection, numbers: Iterable[str]) -> dict[str, Sequence[StageProgress]]:
    query = (
        select(STAGES.c.operation, STAGES.c.body)
        .where(STAGES.c.operation.in_(list(numbers)))
        .order_by(STAGES.c.operation, STAGES.c.position)
    )
    found: dict[str, list[StageProgress]] = {}
    for operation, body in connection.execute(query):
        found.setdefault(operation, []).append(StageProgress.model_validate_json(body))
    return dict(found)


def _brief(row: Any, stages: Sequence[StageProgress]) -> Operation:  # noqa: ANN401 (a row of `_LISTED`)
    return Operation.model_validate_json(row.body).model_copy(update={"stages": tuple(stages)})
