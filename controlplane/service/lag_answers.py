"""What does the control plane answer about lag and about Spark? What the pages are pushed, as known now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.contract.access import Action, needs

if TYPE_CHECKING:
    from fastapi import FastAPI

    from controlplane.service.service import Service


def add_lag(api: FastAPI, service: Service) -> None:
    """Add `GET /api/v1/lag` and `GET /api/v1/spark`."""

    @api.get("/api/v1/lag")
    @needs(Action.READ)
    async def lag() -> dict[str, Any]:
        """Every consumer, queries first, the worst first."""
        return service.lag().model_dump(mode="json")

    @api.get("/api/v1/spark")
    @needs(Action.READ)
    async def spark() -> dict[str, Any]:
        """Every part's application, queries, stages and executors."""
        return service.spark().model_dump(mode="json")
