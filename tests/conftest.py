"""One real platform a run: every part, free ports, a folder of its own; each test makes its own events. And a Spark without one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.setup.jars import JarCache
from controlplane.up import Platform
from controlplane.up.checks import last_lines
from pipeline.route.query import SPARK_SETTINGS
from pipeline.spark import build_session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition

DEADLINE_S = 90.0

# What a busy machine makes slow is no mistake; and the same examples each time, so that what fails is the change, not the dice.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("any machine", _ANY_MACHINE, derandomize=True)
# Other examples, and many: `make test TEST="tests/unit --hypothesis-profile=search"`.
settings.register_profile("search", _ANY_MACHINE, max_examples=3000)
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails on the platform shows what each part said last."""
    report = yield
    running = getattr(item, "funcargs", {}).get("running")
    if report.when == "call" and report.failed and running is not None:
        for part in running.platform.parts:
            report.sections.append((f"last words of {part.name}", last_lines(running.platform.log_of(part.name), 12)))
    return report


def _eventually(look: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> Any:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        threading.Event().wait(0.1)
    raise AssertionError(f"not within {within_s:.0f} s: {what}")


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Wait for a condition, with a deadline."""
    return _eventually


@pytest.fixture(scope="session")
def shop() -> StreamDefinition:
    return load_stream(SHIPPED_STREAMS / "shop")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """As route has it."""
    jars = ",".join(map(str, JarCache(Settings().cache / "jars").classpath("spark")))
    session = build_session(
        "tidegate test", slots=1, memory="512m", jars=jars, scratch=tmp_path_factory.mktemp("spark"), **SPARK_SETTINGS
    )
    yield session
    session.stop()


class Running:
    """A platform that beats on a thread of its own."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.settings = platform.settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=platform.run_until, args=(self._stop.is_set,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def ledger(self, stream: str) -> dict[str, Any] | None:
        taken = httpx.get(f"{self.settings.api}/api/v1/ledger", headers=self.settings.authorization, timeout=5).json()
        return next((each for each in taken if each["stream"] == stream), None)

    def total(self, stream: str, column: str) -> int | None:
        account = self.ledger(stream)
        counts = [None] if account is None else [each[column] for each in account["partitions"]]
        return None if None in counts else sum(counts)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Platform(tmp_path_factory.mktemp("platform"), told=lambda _: None) as platform:
        platform.start()
        one = Running(platform)
        yield one
        one.stop()
