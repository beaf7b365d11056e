"""Who looks? Pages of the console that ask the API, and clients of the hub that wait for what is pushed."""

from __future__ import annotations

import json
import re
import time
from itertools import cycle
from typing import TYPE_CHECKING

import gevent
from locust import User, task
from locust.contrib.fasthttp import FastHttpUser
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from pipeline.loads.findings.balance import NO_ANSWER

if TYPE_CHECKING:
    from load_tests.users.load import Load

PUSHED = "push"
_IDLE_S = 0.005
_WAITS_S = 1.0
_SENT_AT = re.compile(r'"sent_at_ms":\s*([0-9.e+]+)')
_HEAD = 300
"""What is in an update before its data: to read the whole of it a thousand times would measure this process."""


def reads_of(stream: str) -> tuple[str, ...]:
    """What the console's pages ask for when they are opened, about one stream."""
    return (
        "/api/v1/overview",
        "/api/v1/streams",
        "/api/v1/lag",
        "/api/v1/spark",
        "/api/v1/ledger",
        f"/api/v1/ledger/{stream}/history?hours=1",
        "/api/v1/scaling",
        "/api/v1/maintenance",
        "/api/v1/gates",
        f"/api/v1/schemas/{stream}",
        "/api/v1/operations?limit=20",
        "/api/v1/latency",
    )


def console_user(load: Load) -> type[User]:
    """Asks for one after the other, when it is due."""
    headers, paths = load.settings.authorization, cycle(reads_of(load.run.asked.stream))

    class ConsoleUser(FastHttpUser):
        host = load.settings.api

        @task
        def read(self) -> None:
            piece = load.schedule.take(load.now_s())
            if piece is None:
                gevent.sleep(_IDLE_S)
                return
            path = next(paths)
            answer = self.client.get(path, headers=headers, name=path.partition("?")[0])
            load.tally.answered(str(answer.status_code or NO_ANSWER), 1000 * (load.now_s() - piece.due_s))

    return ConsoleUser


def hub_user(load: Load) -> type[User]:
    """A WebSocket that watches; the time is that from the hub's sending to here, by this machine's one clock."""

    class HubUser(User):
        def on_start(self) -> None:
            self._watcher = _Watcher(load)

        def on_stop(self) -> None:
            self._watcher.close()

        @task
        def watch(self) -> None:
            try:
                text = self._watcher.heard()
            except (OSError, WebSocketException):
                load.tally.answered(NO_ANSWER, 0)
                gevent.sleep(_WAITS_S)
                return
            took_ms = None if text is None else self._watcher.took_ms(text)
            if took_ms is None:
                return
            load.tally.answered(PUSHED, took_ms)
            what = {
                "request_type": PUSHED,
                "name": "update",
                "response_time": took_ms,
                "response_length": len(text or ""),
            }
            self.environment.events.request.fire(**what, exception=None, context={})

    return HubUser


class _Watcher:
    """A client of the hub that comes back when it was closed."""

    def __init__(self, load: Load) -> None:
        self._address = f"ws{load.settings.api.removeprefix('http')}/api/v1/push"
        self._headers = load.settings.authorization
        self._subscribe = json.dumps({"type": "subscribe", "topics": load.run.topics})
        self._socket: ClientConnection | None = None
        self._since_ms = 0.0

    def heard(self) -> str | None:
        """What was sent; None: nothing for a second.

        Raises:
            OSError, WebSocketException: if it is not let in, or was closed.
        """
        socket, self._socket = self._socket or self._joined(), None
        try:
            text: str | None = str(socket.recv(timeout=_WAITS_S))
        except TimeoutError:
            text = None
        self._socket = socket
        return text

    def took_ms(self, text: str) -> float | None:
        """How long an update took; None for what was there before, which is sent at once to who comes and is as old as it is."""
        found = _SENT_AT.search(text[:_HEAD])
        if found is None or float(found[1]) < self._since_ms:
            return None
        return time.time() * 1000 - float(found[1])

    def close(self) -> None:
        """Watch no more."""
        if self._socket is not None:
            self._socket.close()

    def _joined(self) -> ClientConnection:
        socket = connect(self._address, additional_headers=self._headers, compression=None, max_size=None)
        self._since_ms = time.time() * 1000
        socket.send(self._subscribe)
        return socket
