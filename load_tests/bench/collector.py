"""What does an event over HTTP cost, and is what was answered 202 kept once, whatever is killed?

Senders send as fast as they are answered, first each way to send alone, then more than may wait, then through kills of the
collector. Each event is looked for in route's outputs by its id and by what was answered of it: taken is there once, refused is not
there, and what was never answered is there at most once. One in fifty breaks a rule: it is looked for as well.
"""

from __future__ import annotations

import gzip
import io
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import httpx
import orjson
import psutil

from controlplane.contract.access import LOCAL_TOKEN, authorization, service_token
from controlplane.contract.folders import load_stream
from controlplane.contract.names import topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench.beating import beating
from load_tests.bench.faults.truth import records
from load_tests.bench.stage import cpu_of
from load_tests.bench.until import awaited
from pipeline.kafka import OUTPUT_HOPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.settings import Settings

STREAM = "shop"
_PARTS = ("kafka", "registry", "clickhouse", "control", "route", "lake", "live", "ledger", "collector")
_WAITING = 10_000
_BATCH = 500
_SENDERS = 8
_AT_ONCE = 40
"""Senders that together have more than may wait."""
_WORKS_S = 3.0
_STARTED_WITHIN_S = 60.0
_SETTLED_WITHIN_S = 240.0
_EVENT_ID = slice(6, 22)
"""Of a record: behind the frame and its own length, as it is the first field."""
_TAKEN, _REFUSED, _NOT_ANSWERED = "taken", "refused", "not_answered"


@dataclass
class Load:
    """Everything that was sent, and what was answered of it."""

    url: str
    headers: dict[str, str]
    answers: Counter[str] = field(default_factory=Counter)
    """Requests by status, and a 503 by its reason."""
    became: dict[str, str] = field(default_factory=dict)
    """Id of an event -> what was answered of it."""
    _numbers: count[int] = field(default_factory=count)

    def send(self, way: str, events: int, until: Callable[[], bool], senders: int = _SENDERS) -> int:
        """Send requests of so many events until then; how many events were taken."""
        taken, lock = Counter[str](), threading.Lock()

        def run() -> None:
            with httpx.Client(headers=self.headers, timeout=60) as client:
                while not until():
                    sent = [_event(next(self._numbers)) for _ in range(events)]
                    status, outcome = _post(client, self.url, way, sent)
                    with lock:
                        self.answers[status] += 1
                        taken[outcome] += events
                        self.became.update((each["event_id"], outcome) for each in sent)

        threads = [threading.Thread(target=run) for _ in range(senders)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return taken[_TAKEN]


def measure(seconds: float, kills: int, told: Callable[[str], None]) -> dict[str, Any]:
    """Rates of each way to send, answers, and the account of every event.

    Args:
        seconds: of each way to send.
        kills: of the collector, by SIGKILL, under load; then it is stopped once, by SIGTERM.
        told: takes progress.

    Returns:
        ways (events_per_s, cpu_us_per_event), memory_mib, answers by status, taken, refused, not_answered; and wrong, which is
        empty when all is well.
    """
    environment = {"TIDEGATE_COLLECTOR_WAITING": str(_WAITING)}
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-collector-") as folder,
        Platform(Path(folder), only=_PARTS, environment=environment, told=told) as platform,
    ):
        platform.start()
        with beating(platform):
            return _measured(platform, seconds, kills, told)


def _measured(platform: Platform, seconds: float, kills: int, told: Callable[[str], None]) -> dict[str, Any]:
    settings = platform.settings
    owner = authorization(service_token(platform.data / LOCAL_TOKEN))
    load = Load(f"{settings.collector}/v1/streams/{STREAM}/events", owner)
    ways = {}
    for way, events in (("json", _BATCH), ("lines, gzip", _BATCH), ("avro", _BATCH), ("json, single", 1)):
        ways[way] = _way(platform, load, way, events, seconds)
        told(f"{way}: {ways[way]}")
    told("more than may wait")
    load.send("avro", _BATCH * 2, _after(seconds), _AT_ONCE)
    memory = psutil.Process(platform.pid("collector")).memory_info().rss
    told(f"{kills} kills")
    ended = threading.Event()
    killing = threading.Thread(target=_kill, args=(platform, kills, ended))
    killing.start()
    load.send("json", 50, ended.is_set)
    killing.join()
    became = Counter(load.became.values())
    return {
        "ways": ways,
        "memory_mib": round(memory / 2**20),
        "answers": dict(load.answers),
        **became,
        "wrong": _wrong(settings, load.became, became[_TAKEN]),
    }


def _way(platform: Platform, load: Load, way: str, events: int, seconds: float) -> dict[str, float]:
    process = psutil.Process(platform.pid("collector"))
    began, cpu_s = time.monotonic(), cpu_of(process)
    taken = load.send(way, events, _after(seconds))
    took_s, cpu_s = time.monotonic() - began, cpu_of(process) - cpu_s
    return {"events_per_s": round(taken / took_s), "cpu_us_per_event": round(cpu_s / max(1, taken) * 1e6, 1)}


def _after(seconds: float) -> Callable[[], bool]:
    ends_at = time.monotonic() + seconds
    return lambda: time.monotonic() > ends_at


def _kill(platform: Platform, kills: int, ended: threading.Event) -> None:
    """Each once the collector works, the last time gently; then until it works again."""
    try:
        for number in (*[signal.SIGKILL] * kills, signal.SIGTERM):
            _works(platform)
            pid = platform.pid("collector")
            assert pid is not None  # noqa: S101 (it answers)
            os.kill(pid, number)
            awaited(partial(_is_another, platform, pid), "the collector has ended", _STARTED_WITHIN_S)
        _works(platform)
    finally:
        ended.set()


def _works(platform: Platform) -> None:
    awaited(lambda: _answers(platform.settings), "the collector answers", _STARTED_WITHIN_S)
    time.sleep(_WORKS_S)


def _is_another(platform: Platform, pid: int) -> bool:
    return platform.pid("collector") != pid


def _answers(settings: Settings) -> bool:
    try:
        return httpx.get(f"{settings.collector}/healthz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _post(client: httpx.Client, url: str, way: str, events: list[dict[str, Any]]) -> tuple[str, str]:
    content, headers = _body(way, events)
    try:
        answer = client.post(url, content=content, headers=headers)
    except httpx.ConnectError:
        time.sleep(0.05)
        return "not connected", _REFUSED
    except httpx.HTTPError:
        return "not answered", _NOT_ANSWERED
    if answer.status_code == httpx.codes.ACCEPTED:
        return "202", _TAKEN
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        time.sleep(0.05)  # sooner than it should: this is the flood
    said = answer.json()
    why = f": {said['detail']}" if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else ""
    return f"{answer.status_code}{why}", _NOT_ANSWERED if said.get("kept", False) is None else _REFUSED


def _body(way: str, events: list[dict[str, Any]]) -> tuple[bytes, dict[str, str]]:
    if way == "avro":
        file = io.BytesIO()
        fastavro.writer(file, _SCHEMA, events)
        return file.getvalue(), {"Content-Type": "application/avro"}
    if way == "lines, gzip":
        lines = b"\n".join(map(orjson.dumps, events))
        return gzip.compress(lines, 1), {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    return orjson.dumps(events), {"Content-Type": "application/json"}


_SCHEMA = fastavro.parse_schema(load_stream(SHIPPED_STREAMS / STREAM).avro_schema)


def _event(number: int) -> dict[str, Any]:
    visitor = f"{number % 90_000:05d}"
    return {
        "event_id": f"{number:016x}", "event_type": "view", "user_id": f"u{visitor}", "session_id": f"s{visitor}-0",
        "product_id": f"p{number % 500:03d}", "country": "DE", "device": "phone", "amount": None,
        "quantity": 0 if number % 50 == 0 else 1, "page_ms": 40, "event_time": round(time.time() * 1000),
    }  # fmt: skip


def _wrong(settings: Settings, became: dict[str, str], taken: int) -> list[str]:
    """What is not where it should be, as sentences; looked at when the ledger adds up."""
    awaited(lambda: _adds_up(settings, taken), "the ledger adds up", _SETTLED_WITHIN_S)
    found = Counter(
        message.value()[_EVENT_ID].decode() for hop in OUTPUT_HOPS for message in records(settings, topic(STREAM, hop))
    )
    lost = [each for each, outcome in became.items() if outcome == _TAKEN and not found[each]]
    kept = [each for each, outcome in became.items() if outcome == _REFUSED and found[each]]
    doubled = [each for each, times in found.items() if times > 1]
    strange = found.keys() - became.keys()
    named = {"taken and lost": lost, "refused and kept": kept, "doubled": doubled, "sent by nobody": sorted(strange)}
    return [f"{len(events)} {what}, such as {events[0]}" for what, events in named.items() if events]


def _adds_up(settings: Settings, at_least: int) -> bool:
    try:
        answer = httpx.get(
            f"{settings.api}/api/v1/ledger", headers=settings.authorization, timeout=5
        ).raise_for_status()
    except httpx.HTTPError:
        return False
    account = next((each for each in answer.json() if each["stream"] == STREAM), None)
    if account is None or account["verdict"] != "balanced":
        return False
    return sum(each["produced"] or 0 for each in account["partitions"]) >= at_least
