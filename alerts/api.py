"""What does this room answer? Incidents, what operators do about them, and whether PagerDuty hears of them.

Paths are the control plane's: it forwards `/api/v1/alerts/...`. What makes no sense is 422, what is not there 404, what can't be
done as things are 409, each with a sentence.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field, ValidationError

from alerts.incidents import Quiet, QuietKind
from alerts.policy.rules import RULES
from alerts.watch import NotNowError, NotThereError
from controlplane.contract.durations import Duration
from controlplane.contract.frozen import Frozen
from controlplane.contract.metrics.serve import CONTENT_TYPE, exposition_of
from controlplane.contract.metrics.table import ALERTS
from controlplane.contract.rooms import OnlyParts, asked_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.incidents import Incident
    from alerts.outbox import Delivery, Outbox
    from alerts.watch import Watch

BASE = "/api/v1/alerts"
RUNBOOKS = Path(__file__).parent / "runbooks"
_LONGEST = timedelta(days=30)
_SILENT_AFTER = timedelta(seconds=15)
_By = Annotated[str, Field(min_length=1, max_length=100)]


class _Said(Frozen):
    by: _By = "operator"


class _Silenced(_Said):
    duration: Duration = Field(timedelta(hours=1), alias="for")
    reason: str = Field("", max_length=500)


class _Window(_Said):
    start: AwareDatetime | None = None
    """Now when not given."""
    end: AwareDatetime | None = None
    duration: Duration | None = Field(None, alias="for")
    rule: str = Field("*", min_length=1, max_length=100)
    subject: str = Field("*", min_length=1, max_length=200)
    reason: str = Field("", max_length=500)


class Beats:
    """When the room's loops beat last; without a beat for 15 s the room is not healthy, although it answers."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def is_heard(self, now: datetime) -> bool:
        """Is somebody watching?"""
        return self.at is not None and now - self.at < _SILENT_AFTER


def create_api(watch: Watch, outbox: Outbox, beats: Beats, now: Callable[[], datetime], token: str) -> FastAPI:
    """The HTTP application, for who has the parts' token."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    api.add_middleware(OnlyParts, token=token)

    @api.get("/healthz")
    def healthy() -> dict[str, str]:
        if not beats.is_heard(now()):
            raise HTTPException(503, "nobody watches the facts")
        return {"status": "ok"}

    exposition = exposition_of(ALERTS)

    @api.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    @api.exception_handler(NotThereError)
    async def not_there(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 404)

    @api.exception_handler(NotNowError)
    async def not_now(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    @api.exception_handler(ValidationError)
    async def mistaken(_: Request, error: ValidationError) -> Response:
        first = error.errors(include_url=False)[0]
        return JSONResponse({"detail": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)

    _incidents(api, watch, outbox, now)
    _quiets(api, watch, now)
    _rules(api)
    return api


def _incidents(api: FastAPI, watch: Watch, outbox: Outbox, now: Callable[[], datetime]) -> None:
    @api.get(f"{BASE}/incidents")
    def incidents(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        """Open ones, and the last of the past ones; how sending stands; silences and windows."""
        at = now()
        counted = watch.counted(outbox, at)
        return {
            "at": at.isoformat(),
            "open": [_shown(each) for each in watch.store.incidents(is_open=True)],
            "past": [_shown(each) for each in watch.store.incidents(is_open=False, limit=limit)],
            "quiets": [each.model_dump(mode="json") for each in watch.store.quiets(at)],
            "delivery": counted.model_dump(mode="json", exclude={"id", "kind"}),
        }

    @api.get(f"{BASE}/incidents/{{wanted}}")
    def incident(wanted: str) -> dict[str, Any]:
        """One, with all that happened to it and all that was sent of it."""
        found = watch.store.incident(wanted)
        if found is None:
            raise NotThereError(f"there is no incident {wanted!r}")
        sent = outbox.deliveries(wanted)
        return {
            **_shown(found),
            "timeline": [each.model_dump(mode="json") for each in watch.store.timeline(wanted)],
            "deliveries": [_delivered(each) for each in reversed(sent)],
        }

    @api.get(f"{BASE}/delivery")
    def delivery() -> dict[str, Any]:
        """How sending stands, and the last events."""
        counted = watch.counted(outbox, now()).model_dump(mode="json", exclude={"id", "kind"})
        return {**counted, "deliveries": [_delivered(each) for each in outbox.deliveries()]}

    @api.post(f"{BASE}/incidents/{{wanted}}/acknowledge")
    async def acknowledge(wanted: str, request: Request) -> dict[str, Any]:
        said = _Said.model_validate_json(await request.body() or b"{}")
        return _shown(watch.acknowledge(wanted, asked_by(request.headers, said.by), now()))

    @api.post(f"{BASE}/incidents/{{wanted}}/resolve")
    async def resolve(wanted: str, request: Request) -> dict[str, Any]:
        said = _Said.model_validate_json(await request.body() or b"{}")
        return _shown(watch.resolve(wanted, asked_by(request.headers, said.by), now()))

    @api.post(f"{BASE}/incidents/{{wanted}}/silence", status_code=201)
    async def silence(wanted: str, request: Request) -> dict[str, Any]:
        """Wake nobody by this cause for so long; it also counts when it comes back."""
        said = _Silenced.model_validate_json(await request.body() or b"{}")
        by, lasts = asked_by(request.headers, said.by), _short(said.duration)
        return watch.silence(wanted, lasts, by, said.reason, now()).model_dump(mode="json")

    @api.post(f"{BASE}/test", status_code=201)
    async def test(request: Request) -> dict[str, Any]:
        """A test page: trigger and resolve of severity info."""
        said = _Said.model_validate_json(await request.body() or b"{}")
        return {**_shown(watch.test(asked_by(request.headers, said.by), now())), "pages": watch.pages}


def _quiets(api: FastAPI, watch: Watch, now: Callable[[], datetime]) -> None:
    @api.get(f"{BASE}/windows")
    def windows() -> list[dict[str, Any]]:
        """Silences and maintenance windows that have not ended."""
        return [each.model_dump(mode="json") for each in watch.store.quiets(now())]

    @api.post(f"{BASE}/windows", status_code=201)
    async def window(request: Request) -> dict[str, Any]:
        """Plan one: incidents that match open and resolve, and wake nobody."""
        said = _Window.model_validate_json(await request.body())
        start = said.start or now()
        end = said.end if said.duration is None else start + said.duration
        if end is None:
            raise HTTPException(422, "end: say until when, or for how long (`for`)")
        if not start < end or end <= now():
            raise HTTPException(422, "end: it must be after the start, and in the future")
        _short(end - start)
        if said.rule != "*" and not any(_matches(said.rule, name) for name in RULES):
            raise HTTPException(422, f"rule: {said.rule!r} matches none of: {', '.join(RULES)}")
        kind, made = QuietKind.WINDOW, uuid4().hex[:12]
        planned = Quiet(
            id=made,
            kind=kind,
            start=start,
            end=end,
            rule=said.rule,
            subject=said.subject,
            by=asked_by(request.headers, said.by),
            reason=said.reason,
        )
        watch.store.put_quiet(planned)
        return planned.model_dump(mode="json")

    @api.delete(f"{BASE}/windows/{{wanted}}")
    def end(wanted: str) -> dict[str, str]:
        """End a silence or a window now."""
        if not watch.store.end_quiet(wanted):
            raise NotThereError(f"there is no silence or window {wanted!r}")
        return {"ended": wanted}


def _rules(api: FastAPI) -> None:
    @api.get(f"{BASE}/rules")
    def rules() -> list[dict[str, Any]]:
        """What wakes somebody."""
        return [
            {"id": each.id, "title": each.title, "severity": each.severity, "fires": each.fires,
             "after_s": each.after.total_seconds()}
            for each in RULES.values()
        ]  # fmt: skip

    @api.get(f"{BASE}/runbooks/{{rule}}")
    def runbook(rule: str) -> Response:
        """A rule's runbook, Markdown; also of a rule that only Prometheus has."""
        there = sorted(each.stem for each in RUNBOOKS.glob("*.md"))
        if rule not in there:
            raise NotThereError(f"there is no rule {rule!r}; there are: {', '.join(there)}")
        return Response((RUNBOOKS / f"{rule}.md").read_text(), media_type="text/markdown; charset=utf-8")


def _matches(pattern: str, name: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


def _short(duration: timedelta) -> timedelta:
    if not timedelta(0) < duration <= _LONGEST:
        raise HTTPException(422, "for: between a second and 30 days; a silence that is forgotten hides what is wrong")
    return duration


def _shown(incident: Incident) -> dict[str, Any]:
    return incident.model_dump(mode="json")


def _delivered(delivery: Delivery) -> dict[str, Any]:
    return {
        "number": delivery.number,
        "incident": delivery.incident,
        "action": delivery.event.action,
        "summary": delivery.event.summary,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "made_at": delivery.made_at.isoformat(),
        "ended_at": None if delivery.ended_at is None else delivery.ended_at.isoformat(),
        "next_at": delivery.next_at.isoformat() if delivery.state in ("waiting", "sending") else None,
        "said": delivery.said,
    }
