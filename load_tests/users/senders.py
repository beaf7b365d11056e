"""Who sends events? Producers of the SDK, or programs that speak HTTP to the collector. Each takes what is due, and sends it."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import gevent
from gevent.threadpool import ThreadPool
from locust import User, task
from locust.contrib.fasthttp import FastHttpUser

from controlplane.contract.folders import load_streams
from controlplane.contract.loads import SENDERS_AT_MOST
from load_tests.users.events import generator
from pipeline.loads.findings.balance import NO_ANSWER
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from load_tests.users.load import Load

COMMITTED = "committed"
_IDLE_S = 0.005
_THREADS = ThreadPool(SENDERS_AT_MOST)
Events = list[dict[str, Any]]


def kafka_user(load: Load) -> type[User]:
    """A producer a user, a transaction a piece."""
    asked, run = load.run.asked, load.run.run
    stream = next(each for each in load_streams(load.settings.stream_roots) if each.name == asked.stream)
    events = generator(asked.stream, run)
    numbers = count()

    def producer() -> EventProducer:
        name = f"tidegate-load-{run:08x}-{next(numbers)}"
        return EventProducer(stream, load.settings.kafka, load.settings.registry, transactional_id=name)

    class KafkaUser(User):
        _producer: EventProducer | None = None

        def on_start(self) -> None:
            """Before second 0: to begin its transactions takes long. What fails here is tried again with its first events."""
            with suppress(Exception):
                self._producer = _apart(producer)

        @task
        def send(self) -> None:
            _send_next(load, self.environment, events, lambda found: _apart(lambda: self._transaction(found)))

        def _transaction(self, found: Events) -> str:
            self._producer = self._producer or producer()
            try:
                with self._producer.transaction() as send:
                    for each in found:
                        send(each)
            except BaseException:
                self._producer = None  # it may be of no more use: the next one is another
                raise
            return COMMITTED

    return KafkaUser


def collector_user(load: Load) -> type[User]:
    """A connection a user, a request a piece."""
    stream, events = load.run.asked.stream, generator(load.run.asked.stream, load.run.run)
    path = f"/v1/streams/{stream}/events"
    headers = {"Content-Type": "application/json", **load.settings.authorization}

    class CollectorUser(FastHttpUser):
        host = load.settings.collector

        @task
        def send(self) -> None:
            _send_next(load, self.environment, events, self._post)

        def _post(self, found: Events) -> str:
            """Once: what was refused by 429 is counted, not offered again."""
            answer = self.client.post(path, data=json.dumps(found, default=_iso), headers=headers)
            return str(answer.status_code or NO_ANSWER)

    return CollectorUser


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _send_next(load: Load, environment: Any, events: Callable[..., Events], send: Callable[[Events], str]) -> None:  # noqa: ANN401 (locust has no types)
    piece = load.schedule.take(load.now_s())
    if piece is None:
        gevent.sleep(_IDLE_S)
        return
    error: Exception | None = None
    try:
        status = send(events(piece))
    except Exception as failed:  # noqa: BLE001 (what failed is counted, and the load goes on)
        status, error = NO_ANSWER, failed
    took_ms = 1000 * (load.now_s() - piece.due_s)
    load.tally.answered(status, took_ms, piece.count)
    load.tally.events(piece.start, piece.until, status)
    what = {
        "request_type": "send",
        "name": load.run.asked.target,
        "response_time": took_ms,
        "response_length": piece.count,
    }
    environment.events.request.fire(**what, exception=error, context={})


def _apart(work: Callable[[], Any]) -> Any:  # noqa: ANN401 (what the work gives)
    """On a real thread: librdkafka waits in C, where gevent cannot let others go on."""
    return _THREADS.apply(work)
