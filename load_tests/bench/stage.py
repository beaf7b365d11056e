"""What does every stage of the throughput bench know of the platform, and how is its time taken?"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from controlplane.contract.names import Hop, subject, topic
from load_tests.bench.fill import fill
from pipeline.kafka import consumer, watermarks
from pipeline.registry import await_registry, schemas_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

Figures = dict[str, float]


@dataclass
class Timed:
    """What a stage took."""

    seconds: float = 0.0
    cpu_s: float = 0.0

    def of(self, events: int) -> Figures:
        """Rates."""
        return {
            "events_per_s": round(events / self.seconds),
            "cpu_us_per_event": round(self.cpu_s / events * 1e6, 3),
        }


@dataclass(frozen=True)
class Bench:
    """A filled platform, as a stage's process needs to know it."""

    settings: Settings
    stream: StreamDefinition
    events: int
    """Events of the raw topic at first, and of each filling after it."""
    partitions: tuple[int, ...]
    family: int
    """Process that started every part: with its descendants, all that works for a stage."""

    @contextmanager
    def timed(self) -> Iterator[Timed]:
        """Wall clock, and the CPU time of the whole family."""
        timed = Timed()
        began, cpu = time.monotonic(), self._cpu_s()
        yield timed
        timed.seconds, timed.cpu_s = time.monotonic() - began, self._cpu_s() - cpu

    def count(self, hop: Hop) -> int:
        """Records of an output topic: route's sink writes no transactions, so each offset is one."""
        return sum(self.ends(hop).values())

    def ends(self, hop: Hop) -> dict[int, int]:
        """End offset of each partition."""
        client = consumer(self.settings.kafka, group="tidegate-bench")
        try:
            found = watermarks(client, topic(self.stream.name, hop), self.partitions)
        finally:
            client.close()
        return {partition: high for partition, (_, high) in found.items()}

    def schemas(self, hop: Hop) -> dict[int, str]:
        """What the registry knows."""
        return schemas_of(await_registry(self.settings.registry), subject(self.stream.name, hop))

    def fill(self) -> None:
        """Produce as many events again."""
        fill(self.settings, self.stream, self.events)

    def _cpu_s(self) -> float:
        top = psutil.Process(self.family)
        return sum(map(cpu_of, [top, *top.children(recursive=True)]))


def cpu_of(process: psutil.Process) -> float:
    """Seconds that a process has taken, with its children that have ended; 0 for one that is gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
