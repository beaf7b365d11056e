"""What do the gates cost? Each stage with its gate and without, in turns, in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench import gated_lake, gated_route
from load_tests.bench.stage import Bench, Figures
from pipeline.kafka import await_broker, ensure_topics, partitions_of
from pipeline.registry import await_registry, register_stream

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS = ("kafka", "registry")
_HALVES = {"route": gated_route.measure, "lake": gated_lake.measure}
"""In an order in which each finds what it reads: route fills `<s>.valid`."""


def measure(events: int, told: Callable[[str], None], only: str | None = None) -> dict[str, Figures]:
    """Figures by what was measured; of one stage if it is named, for which there must be something to read."""
    stream = load_stream(SHIPPED_STREAMS / "shop")
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), only=_PARTS, told=lambda _: None) as platform:
        told("starting a broker and a registry")
        platform.start()
        admin = await_broker(platform.settings.kafka)
        ensure_topics(admin, stream)
        register_stream(await_registry(platform.settings.registry), stream)
        partitions = tuple(partitions_of(admin, topic(stream.name, Hop.RAW)))
        bench = Bench(platform.settings, stream, events, partitions, os.getpid())
        told(f"producing {events:,} events")
        bench.fill()
        found: dict[str, Figures] = {}
        for name, half in _HALVES.items():
            if only not in (None, name):
                continue
            told(name)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
                found |= own.submit(half, bench).result()
    return found
