"""Does one cause make one incident at PagerDuty, through a SIGKILL of alerts and minutes of PagerDuty being away?

The real process of alerts, over a control plane that answers what a platform would whose lake gate halts, and the strict
stand-in of PagerDuty. In one round PagerDuty answers 503 when the gate fails, in the other when it is well again; each
time alerts is killed while it has something to say. Both rounds run at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from controlplane.contract.access import authorization
from controlplane.contract.facts import FACTS, Fact, LedgerTaken, PartChanged, PartState, Verdict
from controlplane.contract.gates import GateDecided, Outcome, Stage
from controlplane.contract.operations import PATH as OPERATIONS
from controlplane.up.checks import free_port
from load_tests.bench.pagerduty import KEY, Mood, PagerDutyStandIn, answering, served_pagerduty
from load_tests.bench.until import awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PARTS = ("kafka", "registry", "clickhouse", "control", "route", "lake", "live", "alerts")
_UNAVAILABLE = 503
_LONGEST_WAIT_S = 100.0


@dataclass(frozen=True)
class Round:
    """Seconds are since the gate began to fail."""

    name: str
    fails_for_s: float
    away_from_s: float
    away_for_s: float
    kills_at_s: tuple[float, ...]
    settle_s: float


FULL = (
    Round("away when it fails", 300, -2, 122, (60,), 60),
    Round("away when it is well again", 300, 290, 120, (330, 370), 60),
)
SHORT = (
    Round("away when it fails", 8, -1, 5, (2,), 3),
    Round("away when it is well again", 4, 3, 10, (5, 9.5), 3),
)
"""The same in half a minute, for tests."""


class Gate:
    """A control plane that knows of a platform in which all is well but for the gate of the shop's lake."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._decided = self._verdict(Outcome.PASSED, None)

    def fails(self) -> None:
        """From now on it halts."""
        self._decided = self._verdict(Outcome.HALTED, "order_total_is_positive is broken by 812 of 5,000 rows")

    def passes(self) -> None:
        """From now on it does not."""
        self._decided = self._verdict(Outcome.PASSED, None)

    def _verdict(self, outcome: Outcome, reason: str | None) -> GateDecided:
        return GateDecided(
            at=datetime.now(UTC), stream="shop", stage=Stage.LAKE, subject="micro-batch 17", suite="f" * 12,
            outcome=outcome, rows=5000, judged=5000, reason=reason,
        )  # fmt: skip

    def facts(self) -> list[Fact]:
        """As they are now."""
        now = datetime.now(UTC)
        parts = [PartChanged(at=now, part=name, state=PartState.RUNNING) for name in _PARTS]
        ledgers = [
            LedgerTaken(at=now, stream=name, partitions=(), verdict=Verdict.BALANCED, reason="all is there")
            for name in ("shop", "flights")
        ]
        return [*parts, *ledgers, self._decided]

    def answer(self, path: str) -> bytes:
        """What a GET is answered."""
        if path == "/api/v1/facts":
            return FACTS.dump_json(self.facts())
        if path.startswith(OPERATIONS):
            return b'{"items": [], "next": null}'
        return b"[]"


@contextmanager
def served_gate(gate: Gate) -> Iterator[str]:
    """Its address, while it is served on a free port of loopback."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 (the library's name)
            content = gate.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:  # noqa: N802
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with answering(Answering) as address:
        yield address


class Alerts:
    """The process; it can be killed and started again in the same folder.

    Args:
        data: the folder.
        api: the control plane's address.
        pagerduty: the stand-in's.
        settle_s: see `TIDEGATE_ALERTS_SETTLE`.
        key: the routing key; none when empty.
    """

    def __init__(self, data: Path, api: str, pagerduty: str, settle_s: float, key: str = KEY) -> None:
        self.address = f"http://127.0.0.1:{free_port()}"
        self.log = data / "alerts.log"
        token = data / "service.token"
        token.write_text(secret := uuid4().hex)
        self._headers = authorization(secret)
        self._environment = {
            **os.environ,
            "TIDEGATE_DATA": str(data),
            "TIDEGATE_API": api,
            "TIDEGATE_ALERTS": self.address,
            "TIDEGATE_TOKEN_FILE": str(token),
            "TIDEGATE_PAGERDUTY": pagerduty,
            "TIDEGATE_PAGERDUTY_ROUTING_KEY": key,
            "TIDEGATE_ALERTS_SETTLE": f"{settle_s:g}s",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it watches."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-P", "-m", "alerts"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        awaited(self.is_watching, "alerts watches", 30)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def is_watching(self) -> bool:
        """Does it answer, and look at facts?"""
        try:
            return httpx.get(f"{self.address}/healthz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def ask(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        """What a GET is answered."""
        return (
            httpx.get(f"{self.address}/api/v1/alerts/{path}", headers=self._headers, timeout=5)
            .raise_for_status()
            .json()
        )


def measure(rounds: tuple[Round, ...], told: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """By round: what PagerDuty had taken in the end."""
    with ThreadPoolExecutor(len(rounds)) as pool:
        return dict(zip((each.name for each in rounds), pool.map(lambda each: _run(each, told), rounds), strict=True))


def _run(one: Round, told: Callable[[str], None]) -> dict[str, Any]:
    stand_in, gate = PagerDutyStandIn(), Gate()
    with (
        tempfile.TemporaryDirectory() as folder,
        served_gate(gate) as api,
        served_pagerduty(stand_in) as pagerduty,
    ):
        alerts = Alerts(Path(folder), api, pagerduty, one.settle_s)
        alerts.start()
        try:
            _walk(one, gate, alerts, stand_in, told)
            return _found(alerts, stand_in, one)
        finally:
            alerts.stop()


def _walk(one: Round, gate: Gate, alerts: Alerts, stand_in: PagerDutyStandIn, told: Callable[[str], None]) -> None:
    away = Mood(status=_UNAVAILABLE)

    def again() -> None:
        alerts.kill()
        alerts.start()

    steps: list[tuple[float, str, Callable[[], None]]] = [
        (0.0, "the gate of shop/lake halts", gate.fails),
        (one.fails_for_s, "the gate passes again", gate.passes),
        (one.away_from_s, "PagerDuty answers 503", lambda: stand_in.behave(away)),
        (one.away_from_s + one.away_for_s, "PagerDuty answers as it should", stand_in.behave),
        *((at, "alerts is killed and started again", again) for at in one.kills_at_s),
    ]
    steps.sort(key=lambda step: step[0])
    began = time.monotonic() - min(0.0, steps[0][0])
    for at, what, act in steps:
        threading.Event().wait(max(0.0, began + at - time.monotonic()))
        told(f"{one.name}: {time.monotonic() - began:6.1f} s: {what}")
        act()
    # The end is when the outbox is empty, not when what we hope for has come.
    awaited(lambda: _is_over(alerts), "every event was delivered", one.settle_s + one.fails_for_s + _LONGEST_WAIT_S)
    told(f"{one.name}: {time.monotonic() - began:6.1f} s: resolved, and nothing waits")


def _is_over(alerts: Alerts) -> bool:
    found = alerts.ask("incidents")
    return not found["open"] and found["past"] and found["delivery"]["waiting"] == 0


def _found(alerts: Alerts, stand_in: PagerDutyStandIn, one: Round) -> dict[str, Any]:
    taken = [action for incident in stand_in.incidents for action in incident.actions]
    statuses = [status for _, status in stand_in.requests]
    past = alerts.ask("incidents")["past"]
    lines = alerts.log.read_text().splitlines()
    return {
        "incidents_at_pagerduty": len(stand_in.incidents),
        "triggers": taken.count("trigger"),
        "resolves": taken.count("resolve"),
        "others": len(taken) - taken.count("trigger") - taken.count("resolve") + len(stand_in.dropped),
        "left_open": len(stand_in.open()),
        "refused": len(stand_in.refused),
        "answered_503": statuses.count(_UNAVAILABLE),
        "kills": len(one.kills_at_s),
        "incidents_here": len(past),
        "open_for_s": round(_seconds(past[0]), 1),
        "errors_logged": sum(" ERROR " in line for line in lines),
        "key_in_log": any(KEY in line for line in lines),
    }


def _seconds(incident: dict[str, Any]) -> float:
    opened, resolved = (datetime.fromisoformat(incident[name]) for name in ("opened_at", "resolved_at"))
    return (resolved - opened).total_seconds()


def is_as_promised(found: dict[str, Any]) -> bool:
    """One incident: exactly one trigger and one resolve, nothing else, nothing left."""
    wanted = {"incidents_at_pagerduty": 1, "triggers": 1, "resolves": 1, "others": 0, "left_open": 0, "refused": 0}
    return {name: found[name] for name in wanted} == wanted and found["incidents_here"] == 1
