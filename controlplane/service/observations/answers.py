"""What does the control plane answer about the past of consumers, queries, stages, executors and hops?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query
from pydantic import AwareDatetime

from controlplane.contract.access import Action, needs
from controlplane.contract.latency import LatencyHop  # noqa: TC001 (FastAPI reads it)
from controlplane.service.observations.tables import KEPT_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import BaseModel

    from controlplane.service.observations.asked import Past

Minutes = Annotated[float, Query(gt=0, le=KEPT_DAYS * 24 * 60)]
Until = Annotated[AwareDatetime | None, Query()]
"""Where the time that is asked for ends; none: now."""


def add_observations(api: FastAPI, past: Past) -> None:
    """Add the GETs of what ClickHouse keeps; 503 with a sentence while it is away, `[]` only where nothing was observed."""

    @api.get("/api/v1/lag/history")
    @needs(Action.READ)
    async def lag(consumer: str, topic: str = "", minutes: Minutes = 60, until: Until = None) -> list[dict[str, Any]]:
        return await _told(lambda: past.lag(consumer, topic, *_within(minutes, until)))

    @api.get("/api/v1/spark/batches")
    @needs(Action.READ)
    async def batches(query: str, minutes: Minutes = 60, until: Until = None) -> list[dict[str, Any]]:
        return await _told(lambda: past.batches(query, *_within(minutes, until)))

    @api.get("/api/v1/spark/stages")
    @needs(Action.READ)
    async def stages(part: str, query: str = "", minutes: Minutes = 60, until: Until = None) -> list[dict[str, Any]]:
        return await _told(lambda: past.stages(part, query, *_within(minutes, until)))

    @api.get("/api/v1/scaling/history")
    @needs(Action.READ)
    async def scaling(target: str, minutes: Minutes = 60, until: Until = None) -> list[dict[str, Any]]:
        return await _told(lambda: past.scaling(target, *_within(minutes, until)))

    @api.get("/api/v1/latency/history")
    @needs(Action.READ)
    async def latency(stream: str, hop: LatencyHop, minutes: Minutes = 60, until: Until = None) -> list[dict[str, Any]]:
        return await _told(lambda: past.latency(stream, hop, *_within(minutes, until)))


def _within(minutes: float, until: datetime | None) -> tuple[datetime, datetime]:
    end = until or datetime.now(UTC)
    return end - timedelta(minutes=minutes), end


async def _told(look: Callable[[], Sequence[BaseModel]]) -> list[dict[str, Any]]:
    try:
        found = await asyncio.to_thread(look)
    except OSError as error:
        raise HTTPException(503, f"the history cannot be read: {error}") from error
    return [each.model_dump(mode="json") for each in found]
