"""A stand-in of PagerDuty's Events API v2, for tests and benchmarks: it takes what PagerDuty takes and refuses what it refuses.

Written from what PagerDuty publishes: fields, lengths, severities and the 512 KB of `docs/events-API-v2` in
github.com/PagerDuty/developer-docs, and the OpenAPI document `reference/events-v2` in github.com/PagerDuty/api-schema. A
trigger of a key that is open adds to its incident; after a resolve it makes a new one; what is said of a key that is not
open is taken and dropped. It can also be slow, limit the rate, fail, and drop the connection before or after it has taken
an event. The words of an error are PagerDuty's where they are published, else ours.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "0123456789abcdef0123456789abcdef"
"""The routing key that it knows."""
_BYTES_AT_MOST = 512 * 1024
_KEY_LENGTH = 32
_WRONG_LENGTH = "Length of 'routing_key' is incorrect (should be 32 characters)"
_ALERTS, _CHANGES = "/v2/enqueue", "/v2/change/enqueue"


def _is_moment(written: str) -> str:
    datetime.fromisoformat(written)
    return written


def _is_https(written: AnyHttpUrl) -> AnyHttpUrl:
    if written.scheme != "https":
        raise ValueError("must be served via HTTPS")
    return written


_Moment = Annotated[str, AfterValidator(_is_moment)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Link(_Strict):
    href: AnyHttpUrl = Field(strict=False)
    text: str | None = None


class _Image(_Strict):
    src: Annotated[AnyHttpUrl, AfterValidator(_is_https)] = Field(strict=False)
    href: AnyHttpUrl | None = Field(None, strict=False)
    alt: str | None = None


class _AlertPayload(_Strict):
    summary: str = Field(min_length=1, max_length=1024)
    source: str = Field(min_length=1)
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: _Moment | None = None
    component: str | None = None
    group: str | None = None
    class_: str | None = Field(None, alias="class")
    custom_details: dict[str, Any] | None = None


class _ChangePayload(_Strict):
    summary: str = Field(min_length=1, max_length=1024)
    source: str | None = None
    timestamp: _Moment | None = None
    custom_details: dict[str, Any] | None = None


class _Alert(_Strict):
    routing_key: str
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: str | None = Field(None, min_length=1, max_length=255)
    payload: _AlertPayload | None = None
    client: str | None = None
    client_url: AnyHttpUrl | None = Field(None, strict=False)
    links: list[_Link] = []
    images: list[_Image] = []


class _Change(_Strict):
    routing_key: str
    payload: _ChangePayload
    links: list[_Link] = []


@dataclass(frozen=True)
class Mood:
    """How it behaves instead of answering as it should."""

    status: int | None = None
    """429, 500, 503: this, and nothing is taken."""
    retry_after: str | None = None
    delay_s: float = 0.0
    drops: Literal["before", "after"] | None = None
    """The connection ends before, or after, the event was taken; there is no answer."""
    times: int | None = None
    """For so many requests; None: until told otherwise."""


@dataclass
class AtPagerDuty:
    """An incident as PagerDuty has it."""

    key: str
    status: str = "triggered"
    actions: list[str] = field(default_factory=list)
    """What was taken for it, in order."""
    summary: str = ""
    severity: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)


class PagerDutyStandIn:
    """The service: what it has taken, and how it behaves."""

    def __init__(self, key: str = KEY) -> None:
        self.incidents: list[AtPagerDuty] = []
        self.changes: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []
        """Acknowledged or resolved, but not open."""
        self.refused: list[tuple[int, Any]] = []
        self.unpublished: list[str] = []
        """Fields that no document of PagerDuty's knows; it ignores them, we should not send them."""
        self.requests: list[tuple[float, int | None]] = []
        """(monotonic seconds, status) of each; None for a dropped connection."""
        self._key, self._mood, self._left = key, Mood(), 0
        self._lock = threading.Lock()

    def behave(self, mood: Mood | None = None) -> None:
        """From now on; as it should when nothing is said."""
        with self._lock:
            self._mood = mood or Mood()
            self._left = self._mood.times or 0

    def open(self) -> list[AtPagerDuty]:
        """Incidents that are not resolved."""
        return [each for each in self.incidents if each.status != "resolved"]

    def mood(self) -> Mood:
        """How the next request is to be met; counts down."""
        with self._lock:
            mood = self._mood
            if mood.times is not None:
                self._left -= 1
                if self._left <= 0:
                    self._mood = Mood()
            return mood

    def take(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer."""
        with self._lock:
            status, said = self._taken(path, body)
            if status >= 400:  # noqa: PLR2004 (HTTP)
                self.refused.append((status, said))
            return status, said

    def _taken(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if len(body) > _BYTES_AT_MOST:
            return 413, _invalid("Event is larger than 512 KB")
        try:
            written = json.loads(body)
            event = (_Alert if path == _ALERTS else _Change).model_validate(written)
        except ValidationError as error:
            return 400, _invalid(*map(_told, error.errors(include_url=False)))
        except ValueError:
            status = {"status": "Unrecognized object", "message": "Event object format is unrecognized"}
            return 400, {**status, "errors": ["JSON parse error"]}
        self.unpublished += _unpublished(event)
        if event.routing_key != self._key:
            is_short = len(event.routing_key) != _KEY_LENGTH
            return 400, _invalid(_WRONG_LENGTH if is_short else "'routing_key' is not known")
        if isinstance(event, _Change):
            self.changes.append(written)
            return 202, {"status": "success", "message": "Change event processed"}
        return self._alert(event, written)

    def _alert(self, event: _Alert, written: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if event.event_action == "trigger":
            if event.payload is None:
                return 400, _invalid("'payload' is missing or blank")
        elif event.dedup_key is None:
            return 400, _invalid("'dedup_key' is missing or blank")
        key = event.dedup_key or f"made-{len(self.incidents)}"
        known = next((each for each in self.open() if each.key == key), None)
        if known is None and event.payload is not None and event.event_action == "trigger":
            known = AtPagerDuty(key, summary=event.payload.summary, severity=event.payload.severity)
            self.incidents.append(known)
        if known is None:
            self.dropped.append(written)
        else:
            known.actions.append(event.event_action)
            known.bodies.append(written)
            now = {"acknowledge": "acknowledged", "resolve": "resolved"}
            known.status = now.get(event.event_action, known.status)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


def _invalid(*errors: str) -> dict[str, Any]:
    return {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors)}


def _told(error: Any) -> str:  # noqa: ANN401 (pydantic's)
    name = ".".join(str(part) for part in error["loc"])
    return f"'{name}' is missing or blank" if error["type"] == "missing" else f"'{name}' is invalid: {error['msg']}"


def _unpublished(event: BaseModel) -> list[str]:
    found = list(event.model_extra or {})
    for name in type(event).model_fields:
        value = getattr(event, name)
        parts = value if isinstance(value, list) else [value]
        found += [f"{name}.{each}" for part in parts if isinstance(part, BaseModel) for each in _unpublished(part)]
    return found


@contextmanager
def served_pagerduty(stand_in: PagerDutyStandIn) -> Iterator[str]:
    """Its address, while it is served on a free port of loopback."""
    with answering(_wired(stand_in)) as address:
        yield address


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server with this handler, on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _wired(stand_in: PagerDutyStandIn) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 (the library's name)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            mood = stand_in.mood()
            time.sleep(mood.delay_s)
            if mood.drops == "before":
                self._drop()
            elif mood.status is not None:
                self._answer(mood.status, {"status": "failed", "message": "as it was told to"}, mood.retry_after)
            elif self.path not in (_ALERTS, _CHANGES):
                self._answer(404, {"status": "not found", "message": self.path})
            else:
                status, said = stand_in.take(self.path, body)
                if mood.drops == "after":
                    self._drop()
                else:
                    self._answer(status, said)

        def _drop(self) -> None:
            stand_in.requests.append((time.monotonic(), None))
            self.close_connection = True

        def _answer(self, status: int, said: dict[str, Any], retry_after: str | None = None) -> None:
            stand_in.requests.append((time.monotonic(), status))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Answering
