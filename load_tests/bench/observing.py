"""What does observing cost? The running platform with its lag monitor, and with that stopped, in turns.

The whole way of an event runs at a steady rate. In every other turn the lag monitor is stopped (SIGSTOP): then nobody asks Spark's
REST API, reads positions, judges, explains, measures latency, or reports any of it to the control plane. CPU time is what
each part's own process and its children took, by event that route has passed meanwhile.

A turn's difference is small beside what a JVM does on its own, so what the REST API costs is measured by its own clock too: the CPU
time of the threads that answer it, as the system counts them. On in both kinds of turn are what that API is made of, which
was there before, and the listener: what that one takes is timed in a query of many small batches, in a session of its own.
Lake commits every two seconds and its tables rest: whether a turn has one MERGE in it or two is more than is to be measured.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

from controlplane.contract.names import Hop, topic
from controlplane.up import Platform
from load_tests.bench.listened import listener_ms
from load_tests.bench.stage import Figures, cpu_of
from load_tests.bench.until import until
from pipeline.kafka import await_broker, consumer, partitions_of, watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from confluent_kafka import Consumer

_STREAM = "shop"
_PARTS = ("kafka", "registry", "clickhouse", "control", "route", "lake", "lag", f"feed-{_STREAM}")
_STEADY = {"TIDEGATE_LAKE_TRIGGER": "2s", "TIDEGATE_TABLES_TRIGGER": "1h"}
_WORK = ("route", "lake")
_WATCHING = ("lag", "control")
_ANSWERING = "SparkUI"
"""Name of the threads that answer the REST API."""
_SETTLE_S = 3.0
"""After a switch: not counted."""
_ROUTED_WITHIN_S = 60.0
Turn = dict[str, float]
"""Part -> CPU microseconds an event; and what the threads that answer the REST API had of it."""


@dataclass(frozen=True)
class Plan:
    """How long it takes."""

    rate: float = 3000.0
    warm_up_s: float = 60.0
    turn_s: float = 20.0
    pairs: int = 5


def measure(plan: Plan, told: Callable[[str], None]) -> Figures:
    """Figures; shares are of the CPU time that route and lake take when nobody watches."""
    feeds = {_STREAM: ("--rate", str(plan.rate))}
    with (
        tempfile.TemporaryDirectory() as folder,
        Platform(Path(folder), only=_PARTS, feeds=feeds, environment=_STEADY, told=lambda _: None) as platform,
        ExitStack() as leave,
    ):
        told("starting the platform")
        platform.start()
        routed = leave.enter_context(closing(_Routed(platform)))
        platform.run_until(until(lambda: routed.count() > 0, "an event is routed", _ROUTED_WITHIN_S))
        told(f"warming up for {plan.warm_up_s:.0f} s")
        end = time.monotonic() + plan.warm_up_s
        platform.run_until(lambda: time.monotonic() > end)
        turns: dict[bool, list[Turn]] = {True: [], False: []}
        for number in range(plan.pairs):
            for is_watched in (True, False) if number % 2 else (False, True):
                told(f"turn {number + 1} of {plan.pairs}, {'watched' if is_watched else 'not watched'}")
                turns[is_watched].append(_turn(platform, routed, plan, is_watched=is_watched))
    told("the listener, by its own clock")
    return {"events_per_s": plan.rate, "turns_of_each": plan.pairs, **_figures(turns), **listener_ms()}


def _figures(turns: dict[bool, list[Turn]]) -> Figures:
    on, off = turns[True], turns[False]
    work_on, work_off = (median(_of(turn, _WORK) for turn in each) for each in (on, off))
    pairs = [_of(a, _WORK) / _of(b, _WORK) - 1 for a, b in zip(on, off, strict=True)]
    watching = median(_of(a, _WATCHING) - b["control"] for a, b in zip(on, off, strict=True))
    parts = {
        f"cpu_us_per_event_{part}_{word}": round(median(turn[part] for turn in each), 1)
        for part in (*_WORK, *_WATCHING)
        for word, each in (("watched", on), ("not_watched", off))
        if part != "lag" or word == "watched"
    }
    answering = [turn[_ANSWERING] / _of(turn, _WORK) for turn in on]
    return {
        **parts,
        "share_of_answering_rest_by_its_own_clock": round(median(answering), 4),
        "share_of_answering_rest_highest_turn": round(max(answering), 4),
        "share_of_route_and_lake": round(work_on / work_off - 1, 4),
        "share_of_route_and_lake_lowest_pair": round(min(pairs), 4),
        "share_of_route_and_lake_highest_pair": round(max(pairs), 4),
        "share_of_lag_monitor_and_control_plane": round(watching / work_off, 4),
    }


def _of(turn: Turn, parts: tuple[str, ...]) -> float:
    return sum(turn[part] for part in parts)


def _turn(platform: Platform, routed: _Routed, plan: Plan, *, is_watched: bool) -> Turn:
    """Nobody beats meanwhile, or the supervisor would start a monitor again that has fallen silent."""
    with _watched(platform, is_watched=is_watched):
        time.sleep(_SETTLE_S)
        events, before = routed.count(), _cpu_s(platform)
        time.sleep(plan.turn_s)
        after, count = _cpu_s(platform), routed.count() - events
    if count < plan.rate * plan.turn_s / 2:
        raise RuntimeError(f"route passed {count:,} events in {plan.turn_s:.0f} s: this machine does not keep up")
    return {part: (after[part] - before[part]) / count * 1e6 for part in before}


@contextmanager
def _watched(platform: Platform, *, is_watched: bool) -> Iterator[None]:
    pid = platform.pid("lag")
    if pid is None:
        raise RuntimeError("the lag monitor is gone")
    if not is_watched:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _cpu_s(platform: Platform) -> dict[str, float]:
    found = {_ANSWERING: 0.0}
    for part in (*_WORK, *_WATCHING):
        top = psutil.Process(platform.pid(part))
        family = [top, *top.children(recursive=True)]
        found[part] = sum(map(cpu_of, family))
        if part in _WORK:
            found[_ANSWERING] += sum(map(_answering_s, family))
    return found


def _answering_s(process: psutil.Process) -> float:
    """Of a process' threads, those that answer the REST API; the system names them as Java does."""
    named = Path(f"/proc/{process.pid}/task")
    found = (each for each in process.threads() if _is_answering(named / str(each.id) / "comm"))
    return sum(float(each.user_time + each.system_time) for each in found)


def _is_answering(comm: Path) -> bool:
    try:
        return comm.read_text().startswith(_ANSWERING)
    except OSError:
        return False


class _Routed:
    """How many events has route written to the valid topic?"""

    def __init__(self, platform: Platform) -> None:
        self._name = topic(_STREAM, Hop.VALID)
        self._partitions = partitions_of(await_broker(platform.settings.kafka), self._name)
        self._client: Consumer = consumer(platform.settings.kafka, group="tidegate-bench")

    def count(self) -> int:
        return sum(high for _, high in watermarks(self._client, self._name, self._partitions).values())

    def close(self) -> None:
        self._client.close()
