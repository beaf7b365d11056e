"""The hub with many watchers: how long an update is on its way, what that costs, what watchers that never read cost the others.

The hub is a process of its own with real sockets and a session for each watcher; the watchers are in two others, on the same
machine, and read the same clock. What is measured with them takes its share of the cores: the hub alone is faster.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from controlplane.contract.access import Grant, Role
from controlplane.service.access.access import Access, Terms
from controlplane.service.database import create_all, engine_of
from controlplane.up.checks import free_port
from load_tests.bench.hub.deaf import deaf
from load_tests.bench.until import awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PROCESSES = 2
_WARM_UP_S = 3
_UP_WITHIN_S = 60.0
_MIB = 1 << 20
_USER = "watcher"
Figures = dict[str, float | None]


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    clients: int = 1000
    rate: float = 10.0
    """Updates a second."""
    seconds: float = 30.0
    slow: int = 1
    """Watchers that never read; 0: only the others are measured."""


def measure(plan: Plan, told: Callable[[str], None]) -> dict[str, Figures]:
    """The others `alone`, then `with_slow`: delay from sent to received in ms, updates, the hub's cores and memory.

    Raises:
        RuntimeError: if a watcher could not connect, or was lost.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as open_:
        folder, port = Path(name), free_port()
        cookies = _sessions(folder, plan.clients + max(1, plan.slow))
        hub = open_.enter_context(_hub(folder, port, plan.rate))
        before = hub.memory_info().rss / _MIB
        told(f"connecting {plan.clients} watchers")
        groups = open_.enter_context(_watchers(folder, port, cookies[: plan.clients]))
        _watched(groups, _WARM_UP_S)
        told(f"watching for {plan.seconds:.0f} s")
        found = {"alone": _turn(hub, groups, plan.seconds, before)}
        if plan.slow:
            told(f"the same with {plan.slow} more that never read")
            with deaf(port, cookies[plan.clients :]):
                _watched(groups, _WARM_UP_S)
                found["with_slow"] = _turn(hub, groups, plan.seconds, before)
            found["with_slow"]["slow_closed"] = _closed(port)
    return found


def _turn(hub: psutil.Process, groups: Sequence[subprocess.Popen[str]], seconds: float, before: float) -> Figures:
    used, began = _cpu_s(hub), time.monotonic()
    found = _watched(groups, seconds)
    cores = (_cpu_s(hub) - used) / (time.monotonic() - began)
    if lost := sum(each["lost"] for each in found):
        raise RuntimeError(f"{lost} watchers have lost their connection: see what the hub has said above")
    delays = sorted(delay for each in found for delay in each["delays_ms"])
    if not delays:
        raise RuntimeError("no update has come: see what the hub has said above")
    memory = hub.memory_info().rss / _MIB
    return {
        "p50_ms": round(delays[len(delays) // 2], 1),
        "p99_ms": round(delays[int(len(delays) * 0.99)], 1),
        "max_ms": round(delays[-1], 1),
        "updates_received": len(delays),
        "updates_skipped": sum(each["skipped"] for each in found),
        "hub_cores": round(cores, 2),
        "hub_mib": round(memory, 1),
        "hub_mib_without_watchers": round(before, 1),
    }


def _sessions(folder: Path, count: int) -> list[str]:
    engine = engine_of(f"sqlite:///{folder / 'access.sqlite'}")
    create_all(engine)
    access = Access(engine, Terms(), lambda: datetime.now(UTC))
    access.users.add(_USER, [Grant(role=Role.VIEWER)], "the bench", access.now())
    cookies = [access.sessions.begin(_USER, "127.0.0.1", access.now()).cookie for _ in range(count)]
    engine.dispose()
    return cookies


@contextmanager
def _hub(folder: Path, port: int, rate: float) -> Iterator[psutil.Process]:
    command = [sys.executable, "-P", "-m", "load_tests.bench.hub.serving", str(folder), str(port), str(rate)]
    with _ended(subprocess.Popen(command)) as process:
        awaited(lambda: process.poll() is None and _answers(port), "the hub answers", _UP_WITHIN_S)
        yield psutil.Process(process.pid)


def _answers(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1).is_success
    return False


def _closed(port: int) -> float:
    """How many watchers it has closed because they took nothing."""
    said = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    found = re.search(r'^tidegate_hub_closed_total\{why="too_slow"\} (\S+)', said, re.MULTILINE)
    return 0.0 if found is None else float(found[1])


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


@contextmanager
def _watchers(folder: Path, port: int, cookies: Sequence[str]) -> Iterator[list[subprocess.Popen[str]]]:
    with ExitStack() as open_:
        groups = []
        for number in range(_PROCESSES):
            file = folder / f"cookies-{number}"
            file.write_text("\n".join(cookies[number::_PROCESSES]))
            command = [sys.executable, "-P", "-m", "load_tests.bench.hub.watching", str(port), str(file)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            groups.append(open_.enter_context(_ended(subprocess.Popen(command, **pipes))))  # type: ignore[call-overload]
        for group in groups:
            if _line(group) != "ready":
                raise RuntimeError("a watcher could not connect: see what it has said above")
        yield groups


def _watched(groups: Sequence[subprocess.Popen[str]], seconds: float) -> list[dict[str, Any]]:
    for group in groups:
        assert group.stdin is not None  # noqa: S101 (a pipe)
        group.stdin.write(f"{seconds}\n")
        group.stdin.flush()
    return [json.loads(_line(group)) for group in groups]


def _line(group: subprocess.Popen[str]) -> str:
    assert group.stdout is not None  # noqa: S101 (a pipe)
    return group.stdout.readline().strip()


@contextmanager
def _ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
