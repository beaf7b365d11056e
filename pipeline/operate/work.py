"""What does a stage work with? The `Work` of `kind.py`, over the control plane and this process's own Spark.

Each stage has its own; what is shared (Spark, what earlier stages have found, what was decided about live's lag) is in `Shared`.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controlplane.contract.folders import StreamInvalidError, load_streams
from controlplane.contract.operations import StageState, Wish
from pipeline.operate.client import AwayError
from pipeline.operate.kind import CancelledError, PausedError, RefusedError, RestsError
from pipeline.operate.pace import Pace, decide, live_lag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue
    from pyspark.sql import SparkSession

    from controlplane.contract.facts import Fact
    from controlplane.contract.operations import Operation, StageProgress
    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.operate.client import ControlPlane
    from pipeline.operate.telling import Telling

SLOTS = 2
_LOOK_EVERY_S = 1.0
"""How often live's lag is asked for."""
_TELL_EVERY_S = 1.0


@dataclass
class Shared:
    """What all stages of one operation share."""

    settings: Settings
    plane: ControlPlane
    reporter: Reporter
    results: dict[str, Mapping[str, JsonValue]]
    """Of stages that are done."""
    telling: Telling | None = None
    """None while it is planned: nobody looks at its progress."""
    has_spark: bool = True
    stopping: threading.Event = field(default_factory=threading.Event)
    """This process is to end."""
    has_failed: threading.Event = field(default_factory=threading.Event)
    """A stage has failed: those beside it are to end."""
    obeys: bool = True
    """Not while it is cleaned up: that is to be finished."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _session: SparkSession | None = None
    _pace: Pace = field(default_factory=lambda: Pace(rests=False))
    _paced_at: float = float("-inf")

    def session(self, number: str) -> SparkSession:
        """Spark, started once."""
        if not self.has_spark:
            raise RuntimeError("a plan is made without Spark: its process stays small")
        with self._lock:
            if self._session is None:
                self._session = _started(self.settings, number)
            return self._session

    def rests(self, operation: Operation) -> str | None:
        """What it has to wait for right now; None: nothing."""
        bound = operation.asked.get("max_lag_s")
        if not isinstance(bound, int | float):
            return None
        with self._lock:
            if time.monotonic() - self._paced_at >= _LOOK_EVERY_S:
                self._pace = decide(self._pace, self._lag(operation.stream), float(bound), operation.stream)
                self._paced_at = time.monotonic()
            return self._pace.why

    def close(self, number: str) -> None:
        """End Spark, and take its files away."""
        if self._session is not None:
            self._session.stop()
        shutil.rmtree(scratch(self.settings, number), ignore_errors=True)

    def _lag(self, stream: str) -> float | None:
        try:
            return live_lag(self.plane.lag(), stream)
        except AwayError:
            return None


class StageWork:
    """One stage's, or a plan's; see `Work`."""

    def __init__(self, operation: Operation, shared: Shared, progress: StageProgress | None = None) -> None:
        self.operation = operation
        self.settings = shared.settings
        self._shared = shared
        self._progress = progress
        self._told_at = float("-inf")

    def stream(self) -> StreamDefinition:
        """See `Work`."""
        try:
            found = {each.name: each for each in load_streams(self.settings.stream_roots)}
        except StreamInvalidError as error:
            raise RefusedError(str(error)) from error
        if self.operation.stream not in found:
            raise RefusedError(f"there is no stream {self.operation.stream!r}; there are: {', '.join(sorted(found))}")
        from pipeline.registry import await_registry, learned

        return learned(await_registry(self.settings.registry), found[self.operation.stream]).stream

    def session(self) -> SparkSession:
        """See `Work`."""
        return self._shared.session(self.operation.id)

    def check(self) -> None:
        """See `Work`."""
        self._obey()
        telling = self._shared.telling
        if telling is None or not self._shared.obeys or (why := self._shared.rests(self.operation)) is None:
            return
        self.log(f"waits for {why}")
        while why is not None:
            telling.waits_for(why)
            self._shared.stopping.wait(_LOOK_EVERY_S / 2)
            self._obey()
            why = self._shared.rests(self.operation)
        telling.waits_for(None)
        self.log("goes on")

    def progress(self, done: int, total: int | None = None, unit: str = "", note: str = "") -> None:
        """See `Work`."""
        if self._progress is None or self._shared.telling is None:
            return
        what = {"done": done, "total": total, "unit": unit, "note": note}
        self._progress = self._progress.model_copy(update=what)
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._shared.telling.stage(self._progress)

    def log(self, text: str) -> None:
        """See `Work`."""
        if self._shared.telling is not None:
            self._shared.telling.log(text if self._progress is None else f"{self._progress.key}: {text}")

    def result_of(self, key: str) -> Mapping[str, JsonValue]:
        """See `Work`."""
        return self._shared.results.get(key, {})

    def report(self, *facts: Fact) -> None:
        """See `Work`."""
        self._shared.reporter.report(*facts)

    def run(self, does: Callable[[], Mapping[str, JsonValue]]) -> None:
        """Do the stage, telling when it begins and how it ends."""
        self._tell(state=StageState.RUNNING, started_at=datetime.now(UTC), ended_at=None, note="")
        self.log("begins")
        try:
            self._obey()
            result = dict(does() or {})
        except RestsError as rests:
            rests.stage = self._done(rests.result)
            raise
        except (PausedError, CancelledError):
            self._tell(state=StageState.WAITING)
            raise
        except Exception:
            self._tell(state=StageState.FAILED, ended_at=datetime.now(UTC))
            raise
        done = self._done(result)
        if done is not None and self._shared.telling is not None:
            self._shared.telling.stage(done)
        self.log("done")

    def _done(self, result: Mapping[str, JsonValue]) -> StageProgress | None:
        if self._progress is None:
            return None
        self._shared.results[self._progress.key] = result
        what = {"state": StageState.DONE, "ended_at": datetime.now(UTC), "result": dict(result), "note": ""}
        return self._progress.model_copy(update=what)

    def _obey(self) -> None:
        telling = self._shared.telling
        shared = self._shared
        if telling is None or not shared.obeys:
            return
        if telling.wish is Wish.CANCEL:
            raise CancelledError
        if telling.wish is Wish.PAUSE or shared.stopping.is_set() or shared.has_failed.is_set():
            raise PausedError

    def _tell(self, **what: Any) -> None:  # noqa: ANN401 (fields of `StageProgress`)
        if self._progress is not None and self._shared.telling is not None:
            self._progress = self._progress.model_copy(update=what)
            self._shared.telling.stage(self._progress)


def scratch(settings: Settings, number: str) -> Any:  # noqa: ANN401 (a path)
    """Where an operation's Spark keeps its files."""
    return settings.data.resolve() / "scratch" / f"operation-{number}-process"


def _started(settings: Settings, number: str) -> SparkSession:
    from pipeline.spark import build_session, session_options

    options = {**session_options(settings, f"operation-{number}"), "memory": settings.operations_memory}
    return build_session(f"tidegate operation {number}", slots=SLOTS, **options)
