"""What runs beside lake's appends: tables follow their events, and closed windows are published.

On a thread of lake's own process, so that one JVM serves both, in a scheduler pool of its own, so that a table that is computed
anew does not hold up the appends. What fails is tried again at the next beat, for every commit says how far it is; it never
stops the appends.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from controlplane.contract.gates import Stage
from pipeline.lake.release import Releases
from pipeline.publish.gate import PublishGates, WindowsGate
from pipeline.publish.publish import Publisher
from pipeline.reason import first_line
from pipeline.scale.boundary import Boundary
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyspark.sql import SparkSession

    from controlplane.contract.facts import Fact
    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate
    from pipeline.lake.gate import OrderSource
    from pipeline.registry import Learned
    from pipeline.suites import FollowedSuites

POOL = "tables"
_STOP_WITHIN_S = 15.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beside:
    """What the tables share with the appends."""

    gate: Gate
    suites: Mapping[str, FollowedSuites]
    """By stream."""
    orders: OrderSource
    reporter: Reporter
    boundary: Boundary = field(default_factory=Boundary)
    """What must not meet a table's work passes here."""

    def gates_of(self, stream: StreamDefinition, key: str) -> PublishGates:
        """What a rollup passes on its way to its readers."""
        policies = {Stage.ROLLUP: stream.gates.rollup.policy, Stage.SERVING: stream.gates.serving.policy}
        rollup, serving = (
            WindowsGate(
                stream.name, key, stage, policy, self.gate, self.suites[stream.name], self.orders, self.reporter
            )
            for stage, policy in policies.items()
        )
        return PublishGates(rollup, serving)


class Tables:
    """The thread; `stop` it before the session."""

    def __init__(
        self, session: SparkSession, known: Mapping[str, Callable[[], Learned]], settings: Settings, beside: Beside
    ) -> None:
        self._session, self._known = session, known
        self._settings, self._reporter, self._beside = settings, beside.reporter, beside
        self._streams = {name: each().stream for name, each in known.items()}
        self._taken = dict(self._streams)
        """What to follow from the next beat on."""
        self._stopping = threading.Event()
        self._publishers: dict[str, list[Publisher]] = {}
        self._gates: dict[tuple[str, str], PublishGates] = {}
        self.troubles: dict[str, str] = {}
        """What could not be done at the last beat -> why."""
        self._lock = threading.Lock()
        self._resting: set[str] = set()
        """Streams that an operation holds."""
        self._at: str | None = None
        """The stream that is worked on."""
        self._thread = threading.Thread(target=self._run, name="tables", daemon=True)

    @property
    def waits_for(self) -> str:
        """The first trouble, in a sentence; empty when there is none."""
        return next((f"{what}: {why}" for what, why in self.troubles.items()), "")

    def start(self) -> None:
        """Begin, a moment after the appends."""
        self._thread.start()

    def take(self, stream: StreamDefinition) -> None:
        """Follow another definition of a stream from the next beat on."""
        self._taken[stream.name] = stream

    def rest(self, stream: str) -> bool:
        """Do nothing more with a stream; True once nothing of it is under way any more."""
        with self._lock:
            self._resting.add(stream)
            return self._at != stream

    def is_at(self, stream: str) -> bool:
        """Is something of it under way, or may it begin at any moment?"""
        with self._lock:
            return self._at == stream or stream not in self._resting

    def go_on(self, stream: str) -> None:
        """Follow a stream again, from what its tables say now: an operation has changed them."""
        with self._lock:
            if stream in self._resting:
                self._resting.remove(stream)
                self._taken.setdefault(stream, self._streams[stream])

    def stop(self) -> None:
        """End after the commit that is under way, or cut it short when that takes too long: the next run does it again."""
        self._stopping.set()
        self._thread.join(_STOP_WITHIN_S / 3)
        if self._thread.is_alive():
            self._session.sparkContext.cancelAllJobs()
            self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        session = self._session.newSession()
        session.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
        followings: dict[str, Following] = {}
        releases: dict[str, Releases] = {}
        every = self._settings.tables_trigger.total_seconds()
        while not self._stopping.wait(every):
            for name in self._streams:
                if not self._enter(name):
                    continue
                if (stream := self._taken.pop(name, None)) is not None:
                    self._streams[name] = stream
                    followings[name] = Following(session, stream, self._settings.lake_root)
                    releases[name] = Releases(session, self._known[name], self._settings.lake_root, self._beside.orders)
                    self._publishers.pop(name, None)
                for what, act in (
                    (f"releases of {name}", partial(self._report, name, releases[name].beat())),
                    (f"tables of {name}", partial(self._report, name, followings[name].beat())),
                    (f"publishing {name}", partial(self._publish, self._streams[name])),
                ):
                    if not self._is_over(name):
                        self._try(what, act)
                self._leave()

    def _enter(self, name: str) -> bool:
        with self._lock:
            if name in self._resting:
                for what in [each for each in self.troubles if each.endswith(f" {name}")]:
                    del self.troubles[what]
                return False
            self._at = name
            return True

    def _leave(self) -> None:
        with self._lock:
            self._at = None

    def _is_over(self, name: str) -> bool:
        """Is nothing more to be begun with a stream?"""
        return self._stopping.is_set() or name in self._resting

    def _report(self, name: str, facts: Iterator[Fact]) -> None:
        for fact in facts:
            self._reporter.report(fact)
            if self._is_over(name):
                return

    def _publish(self, stream: StreamDefinition) -> None:
        try:
            for publisher in self._publishers_of(stream):
                if not self._is_over(stream.name) and (fact := publisher.publish()) is not None:
                    self._reporter.report(fact)
        except ClickHouseError:
            self._publishers.pop(stream.name, None)
            raise

    def _publishers_of(self, stream: StreamDefinition) -> list[Publisher]:
        if stream.name not in self._publishers:
            client = clickhouse_connect.get_client(dsn=self._settings.clickhouse, autogenerate_session_id=False)
            self._publishers[stream.name] = [
                Publisher(client, stream, key, self._settings.lake_root, self._gates_of(stream, key))
                for key in stream.rollups
            ]
        return self._publishers[stream.name]

    def _gates_of(self, stream: StreamDefinition, key: str) -> PublishGates:
        """They outlive a client that was thrown away: a halt stands until something ends it."""
        return self._gates.setdefault((stream.name, key), self._beside.gates_of(stream, key))

    def _try(self, what: str, act: Callable[[], None]) -> None:
        if self._stopping.is_set():
            return
        try:
            self._session.sparkContext.setJobDescription(what)
            with self._beside.boundary.working():
                act()
        except Exception as error:  # noqa: BLE001 (whatever it is, the appends go on, and the next beat tries again)
            if self._stopping.is_set():
                return
            if what not in self.troubles:
                where = None if isinstance(error, ClickHouseError) else error  # what it says is all there is to know
                _log.warning("%s: %s; trying again every beat", what, first_line(error), exc_info=where)
            self.troubles[what] = first_line(error)
        else:
            if self.troubles.pop(what, None):
                _log.info("%s: going on", what)
