"""What does the control plane answer about latency? How it is, and the histogram of a hop. How it was is with other history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query

from controlplane.contract.access import Action, needs
from controlplane.contract.burn import KEPT
from controlplane.contract.latency import PROBE, LatencyHop
from controlplane.service.latency_frame import bars

if TYPE_CHECKING:
    from controlplane.service.service import Service

PATH = "/api/v1/latency"
HOPS = f"{PATH}/hops"
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
