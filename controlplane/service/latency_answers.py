"""What does the control plane answer about latency? How it is, how it was, and the histogram of a hop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query

from controlplane.contract.access import Action, needs
from controlplane.contract.burn import KEPT
from controlplane.contract.latency import PROBE, LatencyHop
from controlplane.service.latency_frame import bars
from controlplane.service.observations.tables import KEPT_DAYS

if TYPE_CHECKING:
    from controlplane.service.service import Service

PATH = "/api/v1/latency"
HOPS = f"{PATH}/hops"
Minutes = Annotated[float, Query(gt=0, le=KEPT_DAYS * 24 * 60)]
Held = Annotated[float, Query(gt=0, le=KEPT / timedelta(minutes=1))]
"""What is in memory."""


def add_latency(api: FastAPI, service: Service) -> None:
    """Add its GETs."""

    def known(stream: str) -> None:
        if stream != PROBE and stream not in service.streams:
            raise HTTPException(404, f"there is no stream {stream!r}; there are: {', '.join(service.streams)}")

    @api.get(PATH)
    @needs(Action.READ)
    async def latency() -> dict[str, Any]:
        """Every stream's hops over the last minutes and hours, and how its service levels are kept."""
        return service.latency().model_dump(mode="json")

    @api.get(f"{PATH}/history")
    @needs(Action.READ)
    async def history(stream: str, hop: LatencyHop, minutes: Minutes = 60) -> list[dict[str, Any]]:
        """A hop's percentiles over time, oldest first; 503 while they cannot be read."""
        known(stream)
        now = datetime.now(UTC)
        try:
            points = await asyncio.to_thread(service.past.latency, stream, hop, now - timedelta(minutes=minutes), now)
        except OSError as error:
            raise HTTPException(503, f"the history cannot be read: {error}") from error
        return [each.model_dump(mode="json") for each in points]

    @api.get(HOPS)
    @needs(Action.READ)
    async def hops(stream: str, minutes: Held = 5) -> list[dict[str, Any]]:
        """Every hop over the last minutes, six hours at most, to within half a minute."""
        known(stream)
        now, within = datetime.now(UTC), timedelta(minutes=minutes)
        return [service.latencies.hop(stream, hop, now, within).model_dump(mode="json") for hop in LatencyHop]

    @api.get(f"{PATH}/histogram")
    @needs(Action.READ)
    async def histogram(stream: str, hop: LatencyHop, minutes: Held = 5) -> list[dict[str, Any]]:
        """How old events were at a hop in the last minutes, six hours at most; empty when nothing was measured."""
        known(stream)
        spread = service.latencies.spread(stream, hop, datetime.now(UTC), timedelta(minutes=minutes))
        return [each.model_dump(mode="json") for each in bars(spread)]
