"""What does the control plane answer about gates? How they stand, and how they have judged."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException

from controlplane.contract.access import Action, needs
from controlplane.contract.gates import Stage  # noqa: TC001 (FastAPI reads it from the signature)
from controlplane.contract.verdicts import VerdictPoint
from controlplane.service.answers import Hours, Until, points_of
from controlplane.service.quality import quality_history
from controlplane.service.verdicts import SHOWN

if TYPE_CHECKING:
    from controlplane.service.service import Service

_DEFAULT_H = SHOWN / timedelta(hours=1)


def add_quality(api: FastAPI, service: Service) -> None:
    """Add `GET /api/v1/gates` and what is below it."""

    @api.get("/api/v1/gates")
    @needs(Action.READ)
    async def gates() -> dict[str, Any]:
        """Every stream's gates as known now."""
        return service.quality().model_dump(mode="json")

    @api.get("/api/v1/gates/{stream}/history")
    @needs(Action.READ)
    async def history(stream: str, hours: Hours = _DEFAULT_H, until: Until = None) -> dict[str, Any]:
        """A stream's verdicts by stretches of time, its suites, and what was turned away by minute."""
        _require(service, stream)
        end, within = until or datetime.now(UTC), timedelta(hours=hours)
        points = await _verdicts(service, stream, end - within, end)
        accounts = await points_of(service, stream, end - within, end)
        suites = service.verdicts.suites(stream)
        return quality_history(stream, points, suites, accounts, end, within).model_dump(mode="json")

    @api.get("/api/v1/gates/{stream}/{stage}/history")
    @needs(Action.READ)
    async def verdicts(
        stream: str, stage: Stage, hours: Hours = _DEFAULT_H, table: str | None = None
    ) -> list[dict[str, Any]]:
        """One gate's verdicts, oldest first: all that did not pass, and one a minute of those that did."""
        _require(service, stream)
        now = datetime.now(UTC)
        points = await _verdicts(service, stream, now - timedelta(hours=hours), now)
        found = (each for each in points if each.stage is stage and table in (None, each.table))
        return [each.model_dump(mode="json") for each in found]


def _require(service: Service, stream: str) -> None:
    if stream not in service.streams:
        raise HTTPException(404, f"there is no stream {stream!r}; there are: {', '.join(service.streams)}")


async def _verdicts(service: Service, stream: str, since: datetime, until: datetime) -> list[VerdictPoint]:
    """What is older than the memory comes from the file."""
    now = datetime.now(UTC)
    held = [point for point in service.verdicts.points(stream, now) if since <= point.at <= until]
    if now - since <= SHOWN or service.verdict_file is None:
        return held
    saved = await asyncio.to_thread(service.verdict_file.load, since, stream)
    older = (each for _, each in saved if isinstance(each, VerdictPoint) and now - each.at > SHOWN)
    return [*(each for each in older if each.at <= until), *held]
