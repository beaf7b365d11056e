"""Does lake get more executors when four times as much comes, and give them back, without a failed micro-batch?

The whole way of an event, with lake on a Spark master and worker (`tidegate up --spark standalone`). What one executor does is made
known and small: a micro-batch begins at an interval and takes a bounded number of events for each executor, so 2 executors take
what comes at the base rate and lag at four times of it, on whatever machine this runs. All else is as in production: the lag
monitor measures, the autoscaler decides, lake asks its cluster, and the ledger counts every event.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from controlplane.up.spark import MASTER, WORKER
from load_tests.bench.until import steady, until
from pipeline.feed.shop import event
from pipeline.kafka import consumer, watermarks
from pipeline.lake.offsets import ends_in
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_STREAM = "shop"
_PARTS = (
    *("kafka", "registry", "clickhouse", "control", "route", "lake", "live", "lag", "ledger"),
    *(MASTER, WORKER),
)
TIMES = 4
_SENDS_A_SECOND = 10
_ORDINARY = 1.6
"""Intervals between two micro-batches."""
_FAILED = re.compile(r"BatchFailedError|QueryFailedError|appending again|left open is done|this part ends")
"""What lake's log says when a micro-batch has failed, whatever became of it."""


@dataclass(frozen=True)
class Load:
    """What is run; a shorter one holds the same in the tests."""

    rate: float = 600.0
    """Events a second at first and at the end."""
    few: int = 2
    many: int = 8
    trigger_s: float = 10.0
    executor_batch: int = 4600
    """Events of a micro-batch for each executor."""
    in_cool_down_s: float = 30.0
    kills: int = 0
    """Executors that are killed as soon as there are many: each must come back, and no micro-batch may fail by it."""
    within_s: float = 180.0
    """Each step."""
    parts: tuple[str, ...] = _PARTS
    """What an event passes, and who measures, decides and counts; nobody who looks on."""

    @property
    def executor_per_s(self) -> float:
        """Events a second that one executor takes, by its bound."""
        return self.executor_batch / self.trigger_s

    def policy(self, *, is_on: bool) -> dict[str, Any]:
        """What the autoscaler may do."""
        return {
            "is_on": is_on,
            "least": self.few,
            "most": self.many,
            "catch_up": "60s",
            "out_cool_down": "10s",
            "in_cool_down": f"{self.in_cool_down_s:.0f}s",
            "events_per_s": self.executor_per_s,
        }

    def environment(self) -> dict[str, str]:
        """Of the platform."""
        return {
            "TIDEGATE_LAKE_EXECUTORS": f"{self.few}:{self.many}",
            "TIDEGATE_LAKE_TRIGGER": f"{self.trigger_s:.0f}s",
            "TIDEGATE_EXECUTOR_BATCH": str(self.executor_batch),
        }

    def said(self) -> str:
        """In a sentence."""
        few, many = self.few * self.executor_per_s, self.many * self.executor_per_s
        return (
            f"an executor takes {self.executor_batch:,} events of a micro-batch every {self.trigger_s:g} s, "
            f"{self.executor_per_s:,.0f}/s: {self.few} take {few:,.0f}/s, {self.many} take {many:,.0f}/s; "
            f"{self.rate:,.0f}/s come, then {TIMES * self.rate:,.0f}/s, then {self.rate:,.0f}/s again"
        )


FULL = Load()
SHORT = Load(
    rate=300.0,
    many=3,
    trigger_s=5.0,
    executor_batch=3000,
    in_cool_down_s=10.0,
    kills=1,
    within_s=90.0,
)
"""The same with one executor more, and one that is killed."""


@dataclass
class Found:
    """What was seen; `wrong` is empty when it is as promised."""

    how: str = ""
    took_s: dict[str, float] = field(default_factory=dict)
    """By step: until so many executors were there, or the backlog was gone."""
    executors: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the load rose, executors: at each change."""
    decisions: list[str] = field(default_factory=list)
    backlog: int = 0
    """The largest, events."""
    micro_batches: int = 0
    failed_batches: int = 0
    lost_executors: int = 0
    produced: int = 0
    ledger: str = ""
    wrong: list[str] = field(default_factory=list)


def measure(load: Load, told: Callable[[str], None]) -> Found:
    """Run, raise the load, lower it, drain.

    Args:
        load: what is run.
        told: takes what happens.
    """
    found = Found(how=load.said())
    told(found.how)
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder,
        Platform(
            Path(folder), only=load.parts, environment=load.environment(), spark="standalone", told=lambda _: None
        ) as platform,
    ):
        platform.start()
        run = _Run(load, platform, found, told)
        try:
            run.steps()
        except TimeoutError as error:
            found.wrong.append(str(error))
        finally:
            run.close()
        run.count_failures()
    return found


class _Shop:
    """Events at a rate that can be changed, from a thread, until it is closed."""

    def __init__(self, settings: Settings, stream: StreamDefinition, rate: float) -> None:
        self.rate, self.produced = rate, 0
        self._producer = EventProducer(
            stream, settings.kafka, settings.registry, transactional_id="tidegate-bench-scaling"
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shop")
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        with self._producer as producer:
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                due += 1 / _SENDS_A_SECOND
                with producer.transaction() as send:
                    for _ in range(round(self.rate / _SENDS_A_SECOND)):
                        send(event(1, self.produced, 0.0, datetime.now(UTC)).value)
                        self.produced += 1


class _Backlog:
    """Events of the valid topic that lake has not committed, asked of Kafka and of the checkpoint."""

    def __init__(self, settings: Settings) -> None:
        self._checkpoint = Path(settings.checkpoint_root) / "lake" / _STREAM
        self._client: Consumer = consumer(settings.kafka, group="tidegate-bench")
        self._settings = settings
        self._topic = topic(_STREAM, Hop.VALID)

    def events(self) -> int | None:
        """None while lake has committed nothing."""
        batches = self.batches()
        if not batches:
            return None
        taken = ends_in((self._checkpoint / "offsets" / str(batches - 1)).read_text())
        ends = watermarks(self._client, self._topic, sorted(taken))
        return sum(high - taken[partition] for partition, (_, high) in ends.items())

    def batches(self) -> int:
        """Micro-batches that are committed."""
        commits = (int(each.name) for each in (self._checkpoint / "commits").glob("[0-9]*"))
        return max(commits, default=-1) + 1

    def close(self) -> None:
        self._client.close()


class _Run:
    """One run on a platform that is up."""

    def __init__(self, load: Load, platform: Platform, found: Found, told: Callable[[str], None]) -> None:
        self._load, self._platform, self._found, self._told = load, platform, found, told
        self._api = f"{platform.settings.api}/api/v1"
        self._headers = platform.settings.authorization
        self._backlog = _Backlog(platform.settings)
        self._set_policy(is_on=False)
        self._shop = _Shop(platform.settings, load_stream(SHIPPED_STREAMS / _STREAM), load.rate)
        self._since: float | None = None
        self._ended_at: datetime | None = None

    def steps(self) -> None:
        """All of it.

        Raises:
            TimeoutError: if a step takes too long; says which.
        """
        load, found = self._load, self._found
        self._until(steady(lambda: self._is_calm() and self._have() == load.few, 2 * load.trigger_s), "warm")
        self._since = time.monotonic()
        self._set_policy(is_on=True)
        self._shop.rate = TIMES * load.rate
        self._until(lambda: self._have() == load.many, f"{load.few} -> {load.many} executors")
        if load.kills:
            self._kill(load.kills)
            self._until(
                lambda: found.lost_executors == load.kills and self._have() == load.many, "killed ones are back"
            )
        self._until(self._is_calm, "backlog gone")
        self._shop.rate = load.rate
        self._until(lambda: self._have() == load.few, f"{load.many} -> {load.few} executors")
        self._shop.close()
        found.produced = self._shop.produced
        self._ended_at = datetime.now(UTC)
        self._until(self._balances, "ledger balanced")

    def close(self) -> None:
        """Stop producing; nothing of it is counted any more."""
        self._shop.close()
        self._found.micro_batches = self._backlog.batches()
        self._backlog.close()

    def count_failures(self) -> None:
        """From lake's own log, and from what it says of its executors."""
        found = self._found
        found.failed_batches = len(_FAILED.findall(self._platform.log_of("lake").read_text()))
        if found.failed_batches:
            found.wrong.append(f"{found.failed_batches} micro-batches failed; see lake's log")
        if found.lost_executors != self._load.kills:
            found.wrong.append(f"{found.lost_executors} executors ended by themselves, {self._load.kills} were killed")

    def _kill(self, count: int) -> None:
        worker = self._platform.pid(WORKER)
        for executor in psutil.Process(worker).children()[:count]:
            executor.kill()

    def _until(self, look: Callable[[], bool], what: str) -> None:
        began = time.monotonic()

        def looked() -> bool:
            self._note()
            return look()

        self._platform.run_until(until(looked, what, self._load.within_s))
        self._found.took_s[what] = round(time.monotonic() - began, 1)
        self._told(f"{what}: after {self._found.took_s[what]:.0f} s")

    def _note(self) -> None:
        if self._since is None:
            return
        target, found = self._target(), self._found
        executors, decided = target.get("executors") or {}, target.get("decided") or {}
        found.backlog = max(found.backlog, self._backlog.events() or 0)
        found.lost_executors = executors.get("failed", found.lost_executors)
        have = executors.get("have")
        if have is not None and have != (found.executors[-1][1] if found.executors else None):
            found.executors.append((round(time.monotonic() - self._since, 1), have))
        said = f"{decided.get('have')} -> {decided.get('want')}: {decided.get('reason')}"
        if decided.get("have") != decided.get("want") and decided.get("is_acted_on") and said not in found.decisions:
            found.decisions.append(said)
            self._told(f"  {said}")

    def _target(self) -> dict[str, Any]:
        try:
            targets = (
                httpx.get(f"{self._api}/scaling", headers=self._headers, timeout=5).raise_for_status().json()["targets"]
            )
        except httpx.HTTPError:
            return {}
        return next((each for each in targets if each["name"] == "lake"), {})

    def _have(self) -> int | None:
        return (self._target().get("executors") or {}).get("have")

    def _is_calm(self) -> bool:
        """What came since a micro-batch began may wait, until the next one that began in time is through."""
        events = self._backlog.events()
        return events is not None and events < self._shop.rate * _ORDINARY * self._load.trigger_s

    def _balances(self) -> bool:
        try:
            taken = httpx.get(f"{self._api}/ledger", headers=self._headers, timeout=5).raise_for_status().json()
        except httpx.HTTPError:
            return False
        mine = [each for each in taken if each["stream"] == _STREAM]
        if not mine or self._ended_at is None or datetime.fromisoformat(mine[0]["at"]) < self._ended_at:
            return False
        counts = {name: sum(each[name] or 0 for each in mine[0]["partitions"]) for name in ("produced", "lake")}
        self._found.ledger = f"{mine[0]['verdict']}: {counts['produced']:,} produced, {counts['lake']:,} in the lake"
        is_whole = counts == {"produced": self._shop.produced, "lake": self._shop.produced}
        return bool(mine[0]["verdict"] == "balanced" and is_whole)

    def _set_policy(self, *, is_on: bool) -> None:
        policy = self._load.policy(is_on=is_on)
        httpx.put(f"{self._api}/scaling/lake/policy", json=policy, headers=self._headers, timeout=5).raise_for_status()
