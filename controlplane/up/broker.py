"""What does a single Kafka broker (KRaft, no ZooKeeper) need to start?"""

from __future__ import annotations

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path  # noqa: TC003 (used at run time)

_LOG4J = """\
Configuration:
  status: warn
  Appenders:
    Console:
      name: stdout
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1}: %m%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: stdout
"""


def prepare(home: Path, classpath: list[Path], port: int, controller_port: int) -> None:
    """Write the configuration and, the first time, format the log folder.

    Raises:
        RuntimeError: with the formatter's words, if it fails.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "log4j2.yaml").write_text(_LOG4J)
    (home / "server.properties").write_text(_properties(home, port, controller_port))
    if (home / "data" / "meta.properties").exists():
        return
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        [
            *java(classpath, home, "-Xmx128m", "-XX:TieredStopAtLevel=1"),
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",  # in one word: one in 64 ids begins with a dash
            f"--config={home / 'server.properties'}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"Kafka cannot format {home / 'data'}: {(done.stdout + done.stderr).strip()}")


def java(classpath: list[Path], home: Path, *options: str) -> list[str]:
    """Command line of a JVM with Kafka's jars."""
    return [
        "java",
        *options,
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={home / 'log4j2.yaml'}",
        "-cp",
        os.pathsep.join(map(str, classpath)),
    ]


def _properties(home: Path, port: int, controller_port: int) -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": home / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A broker that was killed is let in again only when its session before has run out.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        "log.segment.bytes": 256 * 2**20,
        "log.cleaner.dedupe.buffer.size": 8 * 2**20,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())
