"""A platform of some parts, and a Prometheus that scrapes the whole one."""

from __future__ import annotations

import re
import subprocess
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controlplane.contract.settings import Settings
from controlplane.setup.prometheus import tool
from controlplane.up import Platform
from controlplane.up.checks import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from controlplane.contract.spark import SparkObserved, SparkStarted
    from lag_monitor.spark.ask import Application

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.fixture(scope="session")
def looked(eventually: Callable[..., Any]) -> Callable[[Application, SparkStarted], SparkObserved]:
    """What an application answers. A cold one can leave a look without an answer: it is asked again, as the lag monitor does."""

    def look(application: Application, begun: SparkStarted) -> SparkObserved:
        silent: list[str] = []

        def answer() -> SparkObserved | None:
            found = application.look(begun, (), lambda: datetime.now(UTC))
            silent[:] = [found.reason] if found.reason else []
            return None if silent else found

        found: SparkObserved = eventually(answer, silent)
        return found

    return look


@pytest.fixture(scope="session")
def beating(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Platform]]:
    """A platform of some parts, for a module: it is watched on a thread, and stopped at the end."""

    @contextmanager
    def beats(*only: str) -> Iterator[Platform]:
        stopping = threading.Event()
        with Platform(tmp_path_factory.mktemp("beating"), only=only, told=lambda _: None) as one:
            one.start()
            thread = threading.Thread(target=one.run_until, args=(stopping.is_set,), daemon=True)
            thread.start()
            yield one
            stopping.set()
            thread.join(10)

    return beats


class Prometheus:
    """A server that scrapes `running`, with the configuration of docker/prometheus, only more often."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        found = answer.json()
        assert found["status"] == "success", f"{parameters}: {found.get('error')}"
        return found["data"]

    def value(self, expression: str) -> float | None:
        """The first value of an expression; None when it has none."""
        found = self.get("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=1).is_success
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def prometheus(
    running: Any, tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]
) -> Iterator[Prometheus]:
    program = tool(Settings().cache, "prometheus")
    if program is None:
        pytest.skip("there is no prometheus: `make test` unpacks it where there is apt-get")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    for file in (DOCKER / "prometheus").glob("*.yml"):
        text = file.read_text().replace("../../.tidegate", str(running.platform.data)).partition("\nalerting:")[0]
        (folder / file.name).write_text(re.sub(r"(interval: )(5|15)s$", r"\g<1>1s", text, flags=re.MULTILINE))
    command = [
        program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            one = Prometheus(f"http://127.0.0.1:{port}")
            eventually(one.is_ready, f"Prometheus answers; see {folder}/log")
            yield one
        finally:
            process.terminate()
