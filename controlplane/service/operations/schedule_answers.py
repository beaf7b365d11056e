"""What does the control plane answer about schedules? They are read, set and forgotten by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Request, Response

from controlplane.contract.access import Action, needs
from controlplane.contract.operations import Schedule, ScheduleAsked  # noqa: TC001 (FastAPI reads annotations)
from controlplane.service.operations.asking import asks
from controlplane.service.operations.rights import confirming, require
from controlplane.service.operations.schedules import on_day

if TYPE_CHECKING:
    from fastapi import APIRouter

    from controlplane.service.operations.desk import Desk
    from controlplane.service.operations.schedules import Schedules

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]


def add_schedules(router: APIRouter, desk: Desk, schedules: Schedules) -> None:
    """Add them; before the routes of single operations, whose paths look alike."""

    @router.get("/schedules")
    @needs(Action.READ)
    def listed() -> list[Schedule]:
        """Every schedule, by name."""
        return schedules.all()

    @router.get("/schedules/{name}")
    @needs(Action.READ)
    def one(name: Name) -> Schedule:
        """One schedule."""
        return schedules.one(name)

    @router.put("/schedules/{name}")
    @needs(Action.PLAN, later=True)
    def put(request: Request, name: Name, asked: ScheduleAsked) -> Schedule:
        """Make a schedule, or change one; who has it confirm itself must be allowed to confirm."""
        by, stream = asks(request), desk.stream_of(on_day(asked.ask, datetime.now(UTC)))
        require(by, confirming(asked.ask.kind) if asked.confirm else Action.PLAN, stream)
        found = schedules.put(name, asked, by)
        desk.tell("schedule.set", name, stream, by, cron=asked.cron, confirm=str(asked.confirm).lower())
        return found

    @router.delete("/schedules/{name}", status_code=204)
    @needs(Action.PLAN, later=True)
    def remove(request: Request, name: Name) -> Response:
        """Forget a schedule; what it has asked for goes on."""
        by, stream = asks(request), str(schedules.one(name).ask.asked.get("stream"))
        require(by, Action.PLAN, stream)
        schedules.remove(name)
        desk.tell("schedule.remove", name, stream, by)
        return Response(status_code=204)
