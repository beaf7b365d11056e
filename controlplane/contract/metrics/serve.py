"""How does Prometheus get a process's numbers? `/metrics`, from a thread of the process, or a route of the server that it has."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client import disable_created_metrics as leave_out_created
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from controlplane.contract.metrics.meter import METER
from controlplane.contract.metrics.table import of_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import Metric as Family

    from controlplane.contract.metrics.meter import Labels, Meter, Sample

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_log = logging.getLogger(__name__)
leave_out_created()  # type: ignore[no-untyped-call]


class _Kept(Collector):
    """What a kind of process has, whether there are samples of it or not."""

    def __init__(self, process: str, look: Callable[[], Iterable[Sample]] | None, meter: Meter) -> None:
        self._process, self._look, self._meter = process, look, meter

    def collect(self) -> Iterator[Family]:
        found: dict[str, list[tuple[Labels, float]]] = {}
        for name, labels, value in self._look() if self._look is not None else ():
            found.setdefault(name, []).append((labels, value))
        for metric in of_process(self._process):
            yield self._meter.family(metric, found.get(metric.name, ()))


def registry_of(
    process: str, look: Callable[[], Iterable[Sample]] | None = None, meter: Meter = METER
) -> CollectorRegistry:
    """Everything that a process exposes.

    Args:
        process: kind of process, one of `PROCESSES`.
        look: samples that are made when Prometheus asks, from what is in memory.
        meter: what was counted.
    """
    registry = CollectorRegistry(auto_describe=False)
    for library in (ProcessCollector, PlatformCollector, GCCollector):
        library(registry=registry)
    registry.register(_Kept(process, look, meter))
    return registry


def exposition_of(process: str, look: Callable[[], Iterable[Sample]] | None = None) -> Callable[[], bytes]:
    """For a process with a server of its own: what to answer to `GET /metrics`, of type `CONTENT_TYPE`."""
    registry = registry_of(process, look)
    return lambda: generate_latest(registry)


def serve_metrics(address: str, process: str) -> Callable[[], None]:
    """Answer `GET /metrics` at host:port from a thread; nothing when the address is empty. Returns what ends it.

    A port that cannot be had is said and changes nothing else: events matter more than numbers about them.
    """
    if not address:
        return lambda: None
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]") or "127.0.0.1", registry_of(process))
    except (OSError, ValueError) as error:
        _log.error("TIDEGATE_METRICS=%s: %s has no metrics, because that cannot be served: %s", address, process, error)  # noqa: TRY400 (it says all)
        return lambda: None
    return lambda: _end(server, thread)


def _end(server: WSGIServer, thread: Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
