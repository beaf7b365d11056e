"""Who puts requests on the record? A middleware around all routes, and around who asks for the right to use them.

An answer goes out when its entry is durable. When an entry can't be written, what was done is done: it is kept in memory and
logged, and until it is written nothing else that changes something is done. What somebody without a name is refused is recorded up
to a rate, so that the record can't be filled from outside.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from controlplane.contract.metrics.meter import METER
from controlplane.service.audit.asked import PREFIX, READING, REPORTS, entry_of, is_recorded
from controlplane.service.audit.request import HEARD, Heard

if TYPE_CHECKING:
    from controlplane.contract.access import Principal
    from controlplane.contract.rooms import App, Message, Receive, Send
    from controlplane.service.audit.port import Audit

_KEPT_BODY = 1024 * 1024
_NAMELESS_A_MINUTE = 120
_NOT_ON_RECORD = (
    "the audit log cannot be written, so nothing is changed until it can: see the control plane's log, and free the disk or "
    "bring the database back"
)
_log = logging.getLogger(__name__)


class Recorded:
    """ASGI middleware."""

    def __init__(self, app: App, audit: Audit) -> None:
        self._app = app
        self._record = _Record(audit)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or not path.startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        method = scope.get("method", "GET")
        if method not in READING and not REPORTS.match(path) and not await self._record.is_kept_up():
            await _refuse(send)
            return
        asked = _Asked(scope, receive, send, self._record)
        heard = HEARD.set(asked.heard)
        try:
            await self._app(scope, asked.receive, asked.send)
        except Exception as error:
            await asked.ended(500, f"{type(error).__name__}: see the control plane's log".encode())
            raise
        finally:
            HEARD.reset(heard)


class _Asked:
    """One request on its way in, and its answer on its way out."""

    def __init__(self, scope: Message, receive: Receive, send: Send, record: _Record) -> None:
        client = scope.get("client")
        self.heard = Heard(client[0] if client else None)
        self._scope, self._receive, self._send, self._record = scope, receive, send, record
        self._body = bytearray()
        self._held: list[Message] = []
        self._is_ended = False

    async def receive(self) -> Message:
        """What comes, which is kept as long as it is short."""
        message = await self._receive()
        if message["type"] == "http.request" and len(self._body) <= _KEPT_BODY:
            self._body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        """What goes out; a refusal is held back until its reason is known."""
        kind = message["type"]
        if kind == "websocket.accept":
            self._is_ended = True
        if kind == "websocket.close":
            await self.ended(403, str(message.get("reason") or "").encode())
        if kind == "http.response.start" and message["status"] < 400:  # noqa: PLR2004 (HTTP)
            await self.ended(message["status"], b"")
        elif kind.endswith("http.response.start") or self._held:
            self._held.append(message)
            if message.get("more_body") or "status" in message:
                return
            said = b"".join(each.get("body", b"") for each in self._held)
            await self.ended(self._held[0]["status"], said)
            for each in self._held:
                await self._send(each)
            self._held = []
            return
        await self._send(message)

    async def ended(self, status: int, answer: bytes) -> None:
        """Record it, once; not if whoever answered has done so."""
        if self._is_ended or self.heard.entries:
            return
        self._is_ended = True
        await self._record.request(self._scope, self.heard.address, bytes(self._body), status, answer)


class _Record:
    """The record, and what could not be put on it yet."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._waiting: list[dict[str, Any]] = []
        self._turn = asyncio.Lock()
        self._nameless = Nameless()
        self._reads = Once()

    async def is_kept_up(self) -> bool:
        """Is everything on the record? What is not is tried again."""
        if not self._waiting:
            return True
        async with self._turn:
            while self._waiting:
                try:
                    await asyncio.to_thread(self._audit.record, **self._waiting[0])
                except Exception:  # noqa: BLE001 (whatever the database says)
                    return False
                self._waiting.pop(0)
        return True

    async def request(self, scope: Message, address: str | None, body: bytes, status: int, answer: bytes) -> None:
        """Put a request on the record, if it is one that belongs there."""
        principal: Principal | None = scope["state"].get("principal")
        path, method = scope["path"], scope.get("method", "GET")
        if not is_recorded(method, path, status, is_service=principal is not None and principal.is_service):
            return
        name, by = ("anonymous", "none") if principal is None else (principal.name, principal.by)
        now = datetime.now(UTC)
        if method in READING and not self._reads.takes((name, path), now):
            return
        route = getattr(scope.get("route"), "path", None)
        query = scope.get("query_string", b"").decode("utf-8", "replace")
        entry = entry_of(method, path, route, query, body, status, answer).model_dump()
        if principal is None and entry["outcome"] != "ok":
            left_out = self._nameless.takes(now)
            if left_out is None:
                METER.add("tidegate_audit_left_out_total")
                return
            entry["details"] |= {"left_out_before": left_out} if left_out else {}
        said = {"actor": name, "by": by, "address": address, **entry}
        try:
            await asyncio.to_thread(self._audit.record, **said)
        except Exception:  # noqa: BLE001 (whatever the database says)
            self._waiting.append(said)
            METER.add("tidegate_audit_failures_total")
            _log.exception("%s by %s cannot be put on the record; nothing else is changed until it can", entry, name)


class Nameless:
    """How many refusals of somebody without a name are recorded: so many a minute, and then the number of the others."""

    def __init__(self, a_minute: int = _NAMELESS_A_MINUTE) -> None:
        self._a_minute = a_minute
        self._since = datetime.min.replace(tzinfo=UTC)
        self._taken = self._left_out = 0

    def takes(self, now: datetime) -> int | None:
        """None: this one is not recorded; else how many were not since the last that was."""
        if now - self._since >= timedelta(minutes=1):
            self._since, self._taken = now, 0
        if self._taken >= self._a_minute:
            self._left_out += 1
            return None
        self._taken += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


class Once:
    """A page that may not read something asks for it again and again: that is one entry in ten minutes, not hundreds."""

    def __init__(self, within: timedelta = timedelta(minutes=10), at_most: int = 1000) -> None:
        self._within, self._at_most = within, at_most
        self._seen: dict[tuple[str, str], datetime] = {}

    def takes(self, what: tuple[str, str], now: datetime) -> bool:
        """Is it the first in a while?"""
        seen = self._seen.get(what)
        if seen is not None and now - seen < self._within:
            return False
        self._seen.pop(what, None)
        self._seen[what] = now
        if len(self._seen) > self._at_most:
            del self._seen[next(iter(self._seen))]
        return True


async def _refuse(send: Send) -> None:
    said = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": _NOT_ON_RECORD}
    body = json.dumps(said).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
