"""How do a Spark master and a worker run on this machine, from the PySpark that pip has installed?

It has no release file, so a worker must be told Scala's version, or it starts no executor. A master that is started again
must know its applications, or their executors would end: it keeps them in files, which those of another day are not to be among.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from controlplane.up.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.contract.settings import Settings
    from controlplane.up.addresses import Addresses

MASTER, WORKER = "spark-master", "spark-worker"
_PROBE_TIMEOUT_S = 1.0
_CLIENT = httpx.Client(timeout=_PROBE_TIMEOUT_S)
_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def spark_home() -> Path:
    """Where PySpark is, found without importing it.

    Raises:
        RuntimeError: if it is not installed.
    """
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise RuntimeError("pyspark is not installed in this environment: run `make setup`")
    return Path(found.origin).parent


def master_url(addresses: Addresses) -> str:
    """What an application calls its master."""
    return f"spark://127.0.0.1:{addresses.spark_master}"


def standalone_of(settings: Settings, data: Path, addresses: Addresses) -> Standalone:
    """A worker that offers what lake may have at most."""
    _, most = settings.executors_range
    return Standalone(data / "spark", addresses, most, most * mebibytes(settings.executor_memory))


def mebibytes(memory: str) -> int:
    """Of a JVM's memory setting, such as `512m` or `1g`.

    Raises:
        ValueError: if it is none; says how one is written.
    """
    number, unit = memory[:-1], memory[-1:].lower()
    if unit not in ("m", "g") or not number.isdigit():
        raise ValueError(f"memory {memory!r}: write it as 512m or 1g")
    return int(number) * (1024 if unit == "g" else 1)


@dataclass(frozen=True)
class Standalone:
    """A master and one worker on loopback.

    Args:
        home: folder for what both keep.
        addresses: their ports.
        cores: that the worker offers; an executor has one.
        memory_mb: that it offers.
    """

    home: Path
    addresses: Addresses
    cores: int
    memory_mb: int

    @property
    def needed_bytes(self) -> int:
        """Master, worker and every executor that may come, with 160 MiB each beside its heap."""
        return (2 * 256 + self.memory_mb + self.cores * 160) * 2**20

    def parts(self, *, after: tuple[str, ...] = ()) -> list[Part]:
        """Both.

        Args:
            after: parts that the worker waits for at the start: an application that has said how many executors it wants is not
                given one on every core first.
        """
        return [self._master(), self._worker(after)]

    def _master(self) -> Part:
        kept = self.home / "recovery"
        options = {
            "spark.master.rest.enabled": "false",
            "spark.deploy.recoveryMode": "FILESYSTEM",
            "spark.deploy.recoveryDirectory": str(kept),
            "spark.worker.timeout": "20",
            "spark.ui.killEnabled": "false",
        }
        ports = self.addresses
        where = ("--host", "127.0.0.1", "--port", str(ports.spark_master), "--webui-port", str(ports.spark_master_ui))
        return Part(
            MASTER,
            (*_java(options), "org.apache.spark.deploy.master.Master", *where),
            env=self._environment(),
            prepare=_Fresh(kept),
            probe=lambda: _answers(ports.spark_master_ui),
            address=master_url(ports),
        )

    def _worker(self, after: tuple[str, ...]) -> Part:
        work = self.home / "work"
        ports = self.addresses
        where = ("--host", "127.0.0.1", "--port", str(ports.spark_worker), "--webui-port", str(ports.spark_worker_ui))
        offer = ("-c", str(self.cores), "-m", f"{self.memory_mb}m", "-d", str(work))
        return Part(
            WORKER,
            (
                *_java({"spark.worker.cleanup.enabled": "true"}),
                "org.apache.spark.deploy.worker.Worker",
                *where,
                *offer,
                master_url(ports),
            ),
            env=self._environment(),
            needs=(MASTER, *after),
            prepare=_Fresh(work, self._scratch),
            probe=lambda: _answers(ports.spark_worker_ui),
            address=f"http://127.0.0.1:{ports.spark_worker_ui}",
            stop_within_s=15,
            # Not lake's 19: each executor has to warm up, and on a busy machine their first batch took a minute with it.
            nice=10,
        )

    @property
    def _scratch(self) -> Path:
        """Where executors shuffle; one that was killed leaves its files."""
        return self.home / "scratch"

    def _environment(self) -> Mapping[str, str]:
        return {
            "SPARK_HOME": str(spark_home()),
            "SPARK_SCALA_VERSION": _scala_version(),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self._scratch),
        }


def _java(options: Mapping[str, str]) -> tuple[str, ...]:
    given = (f"-D{key}={value}" for key, value in options.items())
    return ("java", *_JVM, *given, "-cp", f"{spark_home() / 'jars'}/*")


def _scala_version() -> str:
    """As the name of Spark's own jar has it."""
    core = next((spark_home() / "jars").glob("spark-core_*.jar"))
    return core.name.removeprefix("spark-core_").split("-")[0]


def _answers(port: int) -> bool:
    try:
        return _CLIENT.get(f"http://127.0.0.1:{port}/json/").is_success
    except httpx.HTTPError:
        return False


class _Fresh:
    """Empties folders before the first start, and leaves them alone before those that follow a crash."""

    def __init__(self, *folders: Path) -> None:
        self._folders, self._is_first = folders, True

    def __call__(self) -> None:
        for folder in self._folders:
            if self._is_first:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
        self._is_first = False
