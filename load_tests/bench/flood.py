"""How soon does the flood breaker open, and how much is quarantined until then?

Good events come at a rate for longer than the breaker's window, then only broken ones: the slowest case, because the window is
full of good ones. Then an operator resumes while the flood still comes: the case in which nothing else is in the window.
"""

from __future__ import annotations

import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench.beating import beating
from pipeline.feed.shop import event
from pipeline.kafka import consumer, watermarks
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.stage import Figures

_PARTS = ("kafka", "registry", "control", "route")
_BATCHES_A_SECOND = 10
_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.02


class _Feed:
    """Events at a rate until told to stop; `broken` is of all that are sent from then on."""

    def __init__(self, settings: Settings, stream: StreamDefinition, rate: float) -> None:
        self.broken, self.broken_since = False, 0.0
        self._producer = EventProducer(
            stream, settings.kafka, settings.registry, transactional_id="tidegate-bench-flood"
        )
        self._rate, self._stopping = rate, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def flood(self) -> None:
        self.broken_since, self.broken = time.monotonic(), True

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        number, due = 0, time.monotonic()
        with self._producer as producer:
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                due += 1 / _BATCHES_A_SECOND
                with producer.transaction() as send:
                    for _ in range(round(self._rate / _BATCHES_A_SECOND)):
                        number += 1
                        value = event(1, number, 0.0, datetime.now(UTC)).value
                        send({**value, "quantity": 0} if self.broken else value)


def measure(rate: float, told: Callable[[str], None]) -> dict[str, Figures]:
    """Figures by case."""
    stream = load_stream(SHIPPED_STREAMS / "shop")
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), only=_PARTS, told=lambda _: None) as platform:
        told("starting a broker, a registry and route")
        platform.start()
        settings = platform.settings
        with beating(platform):
            feed = _Feed(settings, stream, rate)
            try:
                told("good events for longer than the window")
                window_s = stream.gates.ingest.breaker.window.total_seconds()
                _await(lambda: _landed(settings, stream, Hop.VALID) >= rate * (window_s + 5))
                told("a flood")
                feed.flood()
                found = {"after_good_ones": _opening(settings, stream, feed.broken_since, 0)}
                told("resumed into the flood")
                before, began = _landed(settings, stream, Hop.QUARANTINE), time.monotonic()
                order = {"stream": stream.name, "stage": "ingest", "order": "resume"}
                httpx.post(
                    f"{settings.api}/api/v1/gates/orders", json=order, headers=settings.authorization, timeout=5
                ).raise_for_status()
                _await(lambda: _state(settings, stream) == "probing")
                found["resumed_into_it"] = _opening(settings, stream, began, before)
            finally:
                feed.close()
    return found


def _opening(settings: Settings, stream: StreamDefinition, since: float, before: int) -> Figures:
    """From `since` until the breaker is open, and nothing more lands."""
    _await(lambda: _state(settings, stream) == "open")
    open_s, at, landed = time.monotonic() - since, time.monotonic(), -1
    while time.monotonic() - at < 1:
        if (now := _landed(settings, stream, Hop.QUARANTINE)) != landed:
            at, landed = time.monotonic(), now
    return {
        "open_s": round(open_s, 1),
        "last_record_s": round(at - since, 1),
        "quarantined": landed - before,
    }


def _state(settings: Settings, stream: StreamDefinition) -> Any:  # noqa: ANN401 (JSON)
    facts = httpx.get(f"{settings.api}/api/v1/facts", headers=settings.authorization, timeout=5).json()
    mine = (each for each in facts if each["kind"] == "breaker_changed" and each["stream"] == stream.name)
    return next((each["state"] for each in mine), None)


def _landed(settings: Settings, stream: StreamDefinition, hop: Hop) -> int:
    client = consumer(settings.kafka, group="tidegate-bench-flood")
    try:
        ends = watermarks(client, topic(stream.name, hop), range(stream.topics.partitions))
    finally:
        client.close()
    return sum(high for _, high in ends.values())


def _await(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {_WITHIN_S:.0f} s")
        time.sleep(_LOOK_EVERY_S)
