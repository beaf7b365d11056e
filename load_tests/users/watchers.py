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
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from load_tests.users.senders import NO_ANSWER

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
    address = f"ws{load.settings.api.removeprefix('http')}/api/v1/push"
    subscribe = json.dumps({"type": "subscribe", "topics": load.run.topics})

    class HubUser(User):
        def on_start(self) -> None:
            self._socket = connect(
                address, additional_headers=load.settings.authorization, compression=None, max_size=None
            )
            self._since_ms = time.time() * 1000
            self._socket.send(subscribe)

        def on_stop(self) -> None:
            self._socket.close()

        @task
        def watch(self) -> None:
            try:
                text = self._socket.recv(timeout=_WAITS_S)
            except TimeoutError:
                return
            except ConnectionClosed:
                load.tally.answered(NO_ANSWER, 0)
                gevent.sleep(_WAITS_S)
                self.on_start()
                return
            found = _SENT_AT.search(str(text)[:_HEAD])
            # What was there before is sent at once to who comes; it is as old as it is, and no delay of the hub's.
            if found is None or float(found[1]) < self._since_ms:
                return
            took_ms = time.time() * 1000 - float(found[1])
            load.tally.answered(PUSHED, took_ms)
            what = {"request_type": PUSHED, "name": "update", "response_time": took_ms, "response_length": len(text)}
            self.environment.events.request.fire(**what, exception=None, context={})

    return HubUser
