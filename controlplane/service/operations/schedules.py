"""What is asked for again and again, and when? Rows with a crontab; APScheduler says when one is due.

When a run is due is kept with the row, so one that was missed while nothing ran is made up for once. A run asks with a key made of
the schedule and the moment it was due: asked twice (a crash, a second control plane) it is one operation.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import delete, insert, select, update

from controlplane.contract.access import Action, Grant, Principal, Role
from controlplane.contract.operations import OperationState, Schedule
from controlplane.service.database import writing
from controlplane.service.operations.crontab import next_run
from controlplane.service.operations.refusal import RefusedError, missing, mistaken
from controlplane.service.operations.rights import require
from controlplane.service.operations.store import Sought
from controlplane.service.operations.tables import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue
    from sqlalchemy import Connection, Engine

    from controlplane.contract.operations import Operation, OperationAsked, ScheduleAsked
    from controlplane.service.operations.desk import Desk

_AT_MOST = 200
_DAY = re.compile(r"today([+-]\d{1,4})?")
_log = logging.getLogger(__name__)


def on_day(asked: OperationAsked, due: datetime) -> OperationAsked:
    """What is asked for by a run: `today`, `today-7` stand for the day on which it is due, and a week before."""

    def said(value: JsonValue) -> JsonValue:
        found = _DAY.fullmatch(value) if isinstance(value, str) else None
        return value if found is None else (due.date() + timedelta(days=int(found[1] or 0))).isoformat()

    return asked.model_copy(update={"asked": {name: said(value) for name, value in asked.asked.items()}})


class Schedules:
    """Every schedule of a platform; its methods may be called from any thread."""

    def __init__(
        self,
        engine: Engine,
        desk: Desk,
        principal_of: Callable[[str], Principal | None] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`principal_of`: who asks in the name of whoever made the schedule; None: they may not any more."""
        self._engine, self._desk, self._now = engine, desk, now
        self._principal_of = principal_of or _everybody
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
        desk.planned = self.planned

    def start(self) -> None:
        """Begin to ask; what was planned while nobody could confirm it is confirmed now."""
        self._scheduler.start()
        for schedule in self.all():
            self._put_job(schedule)
        waiting, _ = self._desk.store.page(Sought((OperationState.PLANNED,)), _AT_MOST)
        for operation in waiting:
            self.planned(operation)

    def close(self) -> None:
        """Ask no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def all(self) -> list[Schedule]:
        """Every one, by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(SCHEDULES).order_by(SCHEDULES.c.name)).all()
        return [Schedule.model_validate_json(row.body) for row in rows]

    def one(self, name: str) -> Schedule:
        """One.

        Raises:
            RefusedError: 404, if there is none of that name.
        """
        with self._engine.connect() as connection:
            return _read(connection, name)

    def put(self, name: str, asked: ScheduleAsked, by: Principal) -> Schedule:
        """Make a schedule, or change one.

        Raises:
            RefusedError: 422, naming the field.
        """
        now = self._now()
        self._desk.stream_of(on_day(asked.ask, now))
        coming = next_run(asked.cron, now)
        fields = {**asked.model_dump(mode="json"), "next_at": coming if asked.is_on else None}
        with writing(self._engine) as connection:
            before = connection.execute(select(SCHEDULES).where(SCHEDULES.c.name == name)).one_or_none()
            last = {} if before is None else Schedule.model_validate_json(before.body).model_dump(include=_LAST)
            schedule = Schedule.model_validate({**fields, **last, "name": name, "by": by.name, "at": now})
            values = {"name": name, "body": schedule.model_dump_json()}
            if before is None:
                connection.execute(insert(SCHEDULES).values(**values))
            else:
                connection.execute(update(SCHEDULES).where(SCHEDULES.c.name == name).values(**values))
        self._put_job(schedule)
        return schedule

    def remove(self, name: str) -> None:
        """Forget one; what it has asked for goes on.

        Raises:
            RefusedError: 404, if there is none of that name.
        """
        with writing(self._engine) as connection:
            _read(connection, name)
            connection.execute(delete(SCHEDULES).where(SCHEDULES.c.name == name))
        self._remove_job(name)

    def run(self, name: str) -> None:
        """Ask for what is due, once."""
        now = self._now()
        try:
            schedule = self.one(name)
        except RefusedError:
            return
        if schedule.next_at is None or schedule.next_at > now:
            self._put_job(schedule)
            return
        what: dict[str, object] = {"last_at": now, "reason": None, "next_at": next_run(schedule.cron, now)}
        try:
            asked, by = on_day(schedule.ask, schedule.next_at), self._asks(schedule)
            require(by, Action.PLAN, self._desk.stream_of(asked))
            key = f"schedule:{name}:{schedule.next_at.isoformat()}"
            operation = self._desk.ask(asked, by, key=key, schedule=name)
            what["last_operation"] = operation.id
        except RefusedError as error:
            _log.warning("schedule %s asks for nothing: %s", name, error.detail)
            what["reason"] = error.detail
        with writing(self._engine) as connection:
            body = _read(connection, name).model_copy(update=what).model_dump_json()
            connection.execute(update(SCHEDULES).where(SCHEDULES.c.name == name).values(body=body))
        self._put_job(self.one(name))

    def planned(self, operation: Operation) -> None:
        """Confirm what a schedule has had planned, if that is what it says."""
        if operation.schedule is None:
            return
        try:
            schedule = self.one(operation.schedule)
            if schedule.confirm:
                self._desk.confirm_scheduled(operation.id, schedule, self._asks(schedule))
        except RefusedError as error:
            _log.warning("operation %s of schedule %s: %s", operation.id, operation.schedule, error.detail)

    def _asks(self, schedule: Schedule) -> Principal:
        found = self._principal_of(schedule.by)
        if found is None:
            raise mistaken(
                f"{schedule.by} may not ask for it any more: have somebody else set schedule {schedule.name}"
            )
        return found

    def _put_job(self, schedule: Schedule) -> None:
        self._remove_job(schedule.name)
        if schedule.next_at is not None:
            # One that is overdue is run at once, and once.
            self._scheduler.add_job(
                self.run,
                "date",
                id=schedule.name,
                args=(schedule.name,),
                run_date=schedule.next_at,
                misfire_grace_time=None,
                replace_existing=True,
            )

    def _remove_job(self, name: str) -> None:
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return


def _read(connection: Connection, name: str) -> Schedule:
    row = connection.execute(select(SCHEDULES).where(SCHEDULES.c.name == name)).one_or_none()
    if row is None:
        raise missing(f"there is no schedule {name!r}; `tidegate operations schedule ls` lists them")
    return Schedule.model_validate_json(row.body)


def _everybody(name: str) -> Principal:
    return Principal(name=name, grants=(Grant(role=Role.ADMIN),), by="schedule")


_LAST = {"last_at", "last_operation", "reason"}
