"""Which parts does an embedded platform have, and how is each started?"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 (a field of a dataclass)
from typing import TYPE_CHECKING

import httpx

from controlplane.setup.jars import JarCache  # noqa: TC001 (a field of a dataclass)
from controlplane.up import broker
from controlplane.up.addresses import Addresses  # noqa: TC001 (a field of a dataclass)
from controlplane.up.part import Part
from controlplane.up.spark import MASTER, Standalone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka.admin import AdminClient

_PROBE_TIMEOUT_S = 1.0
_CLIENT = httpx.Client(timeout=_PROBE_TIMEOUT_S)
"""Shared by all probes: making one costs more than asking."""
_SMALL_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
DEMO_STREAMS = ("shop", "flights")


@dataclass(frozen=True)
class Plan:
    """Everything that the parts' command lines depend on."""

    data: Path
    addresses: Addresses
    jars: JarCache
    feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Demo stream -> options of its feed."""
    standalone: Standalone | None = None
    """Spark's master and worker, where lake does not run its tasks itself."""
    pushes_to_grafana: bool = False

    def parts(self) -> list[Part]:
        """All parts, in the order in which they are started; stopped in reverse."""
        return [
            self._kafka(),
            self._registry(),
            self._room("clickhouse", "pipeline", "clickhouse", port=self.addresses.clickhouse, path="/ping"),
            self._room("control", "controlplane", port=self.addresses.api, path="/healthz"),
            *(self.standalone.parts(after=("lake",)) if self.standalone else ()),
            self._room("route", "pipeline", "route", stop_within_s=20),
            self._room("lake", "pipeline", "lake", needs=self._cluster(), stop_within_s=20, nice=19, session_nice=8),
            self._room("live", "pipeline", "live", needs=("kafka", "registry", "clickhouse")),
            self._room("lag", "lag_monitor", needs=("kafka", "control"), nice=5),
            self._room("ledger", "pipeline", "ledger", needs=("kafka", "control"), nice=10),
            self._answering("quality", self.addresses.quality, needs=("kafka", "control"), nice=15),
            self._answering("alerts", self.addresses.alerts, needs=("control",)),
            self._room("maintenance", "pipeline", "maintenance", needs=("control", "lake"), stop_within_s=20, nice=19),
            self._room(
                "operations",
                "pipeline",
                "operations",
                port=self.addresses.operations,
                path="/healthz",
                needs=("control",),
                stop_within_s=20,
                nice=15,
            ),
            self._room(
                "collector",
                "pipeline",
                "collector",
                port=self.addresses.collector,
                path="/healthz",
                needs=("kafka", "registry", "control"),
                stop_within_s=20,
            ),
            self._room("console", "dash_app", port=self.addresses.console, path="/healthz", needs=("control",)),
            *(
                [self._room("grafana", "pipeline", "grafana", needs=("control",), nice=10)]
                if self.pushes_to_grafana
                else []
            ),
            *(self._feed(stream, options) for stream, options in self.feeds.items()),
        ]

    def _cluster(self) -> tuple[str, ...]:
        return (MASTER,) if self.standalone else ()

    def _kafka(self) -> Part:
        home = (self.data / "kafka").resolve()
        classpath = self.jars.classpath("kafka")
        ports = self.addresses
        asked = _Broker(f"127.0.0.1:{ports.kafka}")
        command = broker.java(classpath, home, "-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1")
        return Part(
            "kafka",
            (*command, "kafka.Kafka", str(home / "server.properties")),
            prepare=lambda: broker.prepare(home, classpath, ports.kafka, ports.kafka_controller),
            probe=asked.answers,
            address=f"127.0.0.1:{ports.kafka}",
            stop_within_s=30,
        )

    def _registry(self) -> Part:
        home = (self.data / "registry").resolve()
        ports = self.addresses
        base = f"http://127.0.0.1:{ports.registry}/apis/ccompat/v7"
        options = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": ports.registry,
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": ports.registry_management,
            "quarkus.http.access-log.enabled": "false",
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            "apicurio.datasource.url": f"jdbc:h2:file:{home / 'registry'}",
        }
        runner = self.jars.registry_home() / "apicurio-registry-app-3.0.9-runner.jar"
        return Part(
            "registry",
            (
                "java",
                "-Xmx256m",
                *_SMALL_JVM,
                *(f"-D{key}={value}" for key, value in options.items()),
                "-jar",
                str(runner),
            ),
            prepare=lambda: home.mkdir(parents=True, exist_ok=True),
            probe=lambda: _http_answers(f"{base}/subjects"),
            on_ready=lambda: _require_backward(base),
            address=base,
            metrics=f"127.0.0.1:{ports.registry}",
        )

    def _room(  # noqa: PLR0913 (what differs between the rooms)
        self,
        name: str,
        *command: str,
        port: int | None = None,
        path: str = "",
        needs: tuple[str, ...] = (),
        ends: bool = False,
        stop_within_s: float = 10,
        nice: int = 0,
        session_nice: int = 0,
    ) -> Part:
        address = f"http://127.0.0.1:{port}" if port else None
        metrics = f"127.0.0.1:{port or self.addresses.metrics[name]}"
        return Part(
            name,
            (sys.executable, "-P", "-m", *command),
            env={} if port else {"TIDEGATE_METRICS": metrics},
            needs=needs,
            probe=(lambda: _http_answers(f"{address}{path}")) if address else None,
            address=address,
            metrics=metrics,
            ends=ends,
            stop_within_s=stop_within_s,
            nice=nice,
            session_nice=session_nice,
        )

    def _answering(self, name: str, port: int, *, needs: tuple[str, ...], nice: int = 0) -> Part:
        """A room of one process that answers HTTP."""
        return self._room(name, name, port=port, path="/healthz", needs=needs, nice=nice)

    def _feed(self, stream: str, options: tuple[str, ...]) -> Part:
        needs = ("kafka", "registry", "route")
        return self._room(f"feed-{stream}", "pipeline", "feed", stream, *options, needs=needs, ends=True)


def _http_answers(url: str) -> bool:
    try:
        return _CLIENT.get(url).is_success
    except httpx.HTTPError:
        return False


class _Broker:
    """Asks a broker; one client for all the asking."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AdminClient | None = None

    def answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self._client = self._client or AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0})
        try:
            self._client.list_topics(timeout=_PROBE_TIMEOUT_S)
        except KafkaException:
            return False
        return True


def _require_backward(base: str) -> None:
    """Refuse incompatible schemas: the registry's own default accepts everything."""
    httpx.put(f"{base}/config", json={"compatibility": "BACKWARD"}, timeout=5).raise_for_status()
    level = httpx.get(f"{base}/config", timeout=5).raise_for_status().json()
    if level.get("compatibilityLevel", level.get("compatibility")) != "BACKWARD":
        raise RuntimeError(f"the registry did not take compatibility BACKWARD: it says {level}")
