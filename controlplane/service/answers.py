"""What does the control plane answer to a GET? What is known now, as JSON, and for Prometheus as text."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Response
from pydantic import AwareDatetime

from controlplane.contract.access import Action, needs, open_to_all
from controlplane.contract.facts import FACTS
from controlplane.contract.latency import BurnJudged
from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import CONTROL
from controlplane.service.history import KEPT
from controlplane.service.ledger import SHOWN
from controlplane.service.metrics import burn_samples, hub_samples, promises, samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.metrics.meter import Sample
    from controlplane.contract.push import LedgerPoint
    from controlplane.service.service import Service

Hours = Annotated[float, Query(gt=0, le=KEPT / timedelta(hours=1))]
Until = Annotated[AwareDatetime | None, Query()]
"""Where the time that is asked for ends; none: now."""


def add_answers(api: FastAPI, service: Service) -> None:
    """Add every GET."""
    _state(api, service)
    _ledger(api, service)
    _metrics(api, service)


def _state(api: FastAPI, service: Service) -> None:
    @api.get("/healthz")
    @open_to_all
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/api/v1/streams")
    @needs(Action.READ)
    async def streams() -> list[dict[str, Any]]:
        return [
            stream.model_dump(mode="json", exclude={"avro_schema", "folder", "home"})
            for stream in service.streams.values()
        ]

    @api.get("/api/v1/overview")
    @needs(Action.READ)
    async def overview() -> dict[str, Any]:
        return service.overview().model_dump(mode="json")

    @api.get("/api/v1/facts")
    @needs(Action.READ)
    async def facts(kind: Annotated[list[str] | None, Query()] = None) -> Response:
        """The newest fact of every subject, or of some kinds; a header says since when they can have come in."""
        found = [fact for fact in service.known.facts.values() if kind is None or fact.kind in kind]
        return Response(
            FACTS.dump_json(found),
            media_type="application/json",
            headers={} if service.known.began is None else {"tidegate-began": service.known.began.isoformat()},
        )

    @api.get("/api/v1/parts")
    @needs(Action.READ)
    async def parts() -> list[dict[str, Any]]:
        return [part.model_dump(mode="json") for part in service.known.parts()]

    @api.get("/api/v1/maintenance")
    @needs(Action.READ)
    async def maintenance() -> dict[str, Any]:
        """Every Delta table, when its stream is looked at next, and the last stages of maintenance."""
        return service.lake().model_dump(mode="json")


def _ledger(api: FastAPI, service: Service) -> None:
    @api.get("/api/v1/ledger")
    @needs(Action.READ)
    async def ledger() -> list[dict[str, Any]]:
        return [each.model_dump(mode="json") for each in service.known.ledgers()]

    @api.get("/api/v1/ledger/{stream}/history")
    @needs(Action.READ)
    async def history(
        stream: str, hours: Hours = SHOWN / timedelta(hours=1), until: Until = None
    ) -> list[dict[str, Any]]:
        """Every point of some hours, oldest first; what is older than the memory comes from the file."""
        if stream not in service.streams:
            raise HTTPException(404, f"there is no stream {stream!r}")
        end = until or datetime.now(UTC)
        points = await points_of(service, stream, end - timedelta(hours=hours), end)
        return [point.model_dump(mode="json") for point in points]


async def points_of(service: Service, stream: str, since: datetime, until: datetime) -> Sequence[LedgerPoint]:
    """A stream's accounts of a time, oldest first; what is older than the memory comes from the file."""
    now = datetime.now(UTC)
    held = [point for point in service.history.points(stream, now) if since <= point.at <= until]
    if now - since <= SHOWN or service.history_file is None:
        return held
    saved = await asyncio.to_thread(service.history_file.load, since, stream)
    return [*(point for _, point in saved if now - point.at > SHOWN and point.at <= until), *held]


def _metrics(api: FastAPI, service: Service) -> None:
    def look() -> list[Sample]:
        now = datetime.now(UTC)
        found = samples(service.known, service.streams, len(service.problems(now)), now)
        burns = (fact for fact in service.known.facts.values() if isinstance(fact, BurnJudged))
        return [*found, *promises(service.streams.values()), *hub_samples(service.hub), *burn_samples(burns, now)]

    exposition = exposition_of(CONTROL, look)

    @api.get("/metrics")
    @open_to_all
    async def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)
