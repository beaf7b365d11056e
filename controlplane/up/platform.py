"""How does one command run the whole platform? Observe every part, decide, act, report; until told to stop."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Self

from controlplane.contract.facts import PartChanged, PartState
from controlplane.contract.metrics import table
from controlplane.contract.metrics.serve import serve_metrics
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from controlplane.up import checks, targets
from controlplane.up.addresses import Addresses, pick
from controlplane.up.checks import StartError
from controlplane.up.parts import Plan
from controlplane.up.secret_files import make_secrets
from controlplane.up.spark import master_url, standalone_of
from controlplane.up.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controlplane.up.part import Part

_BEAT_S = 0.1
_REPORT_EVERY = timedelta(seconds=2)
_READY_WITHIN = timedelta(seconds=180)
_FAILED_STARTS = 4
_log = logging.getLogger(__name__)


class Platform:
    """An embedded platform in one data folder; a context manager that leaves no process behind."""

    def __init__(
        self,
        data: Path,
        *,
        only: Sequence[str] | None = None,
        feeds: Mapping[str, tuple[str, ...]] | None = None,
        console_port: int | None = None,
        environment: Mapping[str, str] | None = None,
        spark: Literal["local", "standalone"] = "local",
        told: Callable[[str], None] = _log.info,
    ) -> None:
        self.data = data.resolve()
        self._only = only
        self._feeds = feeds or {}
        self._console_port = console_port
        self._environment = environment or {}
        self._spark = spark
        self._told = told
        self._states: dict[str, PartState] = {}
        self._reported_at = datetime.min.replace(tzinfo=UTC)
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        checks.check_java()
        checks.check_folder(self.data)
        self._lock = _lock(self.data)
        try:
            self._set_up()
        except BaseException:
            self._lock.close()
            raise
        return self

    def _set_up(self) -> None:
        cache = JarCache(Settings().cache / "jars")
        if missing := cache.missing():
            raise StartError(f"{len(missing)} jars are not in {cache.root}: run `make setup`", checks.EXIT_JARS)
        if self._only is None:
            checks.check_memory()
        self.addresses: Addresses = pick(self.data, self._console_port)
        jars = ",".join(map(str, cache.classpath("spark")))
        self._env = {
            **os.environ,
            **self.addresses.environment(),
            "TIDEGATE_DATA": str(self.data),
            "TIDEGATE_SPARK_JARS": jars,
            "TIDEGATE_TOKEN_FILE": str(make_secrets(self.data)),
            "PYTHONUNBUFFERED": "1",
            **({"TIDEGATE_LAKE_MASTER": master_url(self.addresses)} if self._spark == "standalone" else {}),
            **self._environment,
        }
        self.settings = Settings.model_validate(
            {
                key.removeprefix("TIDEGATE_").lower(): value
                for key, value in self._env.items()
                if key.startswith("TIDEGATE_")
            }
        )
        standalone = None
        if self._spark == "standalone":
            standalone = standalone_of(self.settings, self.data, self.addresses)
            if self._only is None:
                checks.check_memory(checks.NEEDED_BYTES + standalone.needed_bytes)
        every = Plan(self.data, self.addresses, cache, self._feeds, standalone, bool(self.settings.grafana)).parts()
        chosen = {part.name for part in every if self._only is None or part.name in self._only}
        needed = [replace(part, needs=tuple(name for name in part.needs if name in chosen)) for part in every]
        self.parts = [part for part in needed if part.name in chosen]
        self._sockets = Path(tempfile.mkdtemp(prefix="tidegate-"))
        self._supervisor = Supervisor(self.parts, self.data, self._sockets, self._env, self._told)
        # While the control plane starts nobody takes facts: that is no news, and if it stays away its state says so.
        logging.getLogger("controlplane.contract.reporting").setLevel(logging.ERROR)
        self._reporter = Reporter(self.settings.api, self.settings.service_token)
        self._metrics = f"127.0.0.1:{self.addresses.metrics['up']}"
        self._end_metrics = serve_metrics(self._metrics, table.UP)

    def beat(self) -> None:
        """Look at every part once, start what is due, tell who wants to know."""
        now = datetime.now(UTC)
        self._supervisor.beat(now)
        self._report(now)

    def run_until(self, done: Callable[[], bool]) -> None:
        """Beat until `done` says so."""
        while not done():
            self.beat()
            time.sleep(_BEAT_S)

    def start(self) -> None:
        """Beat until every part is ready.

        Raises:
            StartError: naming the part that was not ready in time, with the end of its log.
        """
        self.run_until(lambda: self.all_ready() or self._gave_up())
        for part in self.parts:
            state, reason = self._supervisor.state(part, datetime.now(UTC))
            if not self._supervisor.seen[part.name].was_ready and state in (PartState.STARTING, PartState.BACKING_OFF):
                took = (datetime.now(UTC) - self._supervisor.began_at).total_seconds()
                raise StartError(
                    f"{part.name} was not ready after {took:.0f} s ({reason}); "
                    f"the end of {self.log_of(part.name)}:\n{checks.last_lines(self.log_of(part.name))}",
                    checks.EXIT_PART,
                )

    def _gave_up(self) -> bool:
        late = datetime.now(UTC) - self._supervisor.began_at > _READY_WITHIN
        seen = self._supervisor.seen.values()
        return late or any(not each.was_ready and each.failures >= _FAILED_STARTS for each in seen)

    def all_ready(self) -> bool:
        """Has every part been ready since the start, or ended well?"""
        return all(seen.was_ready or (seen.exit_code == 0) for seen in self._supervisor.seen.values())

    def state(self, name: str) -> PartState:
        """A part's state at the last beat."""
        return self._states.get(name, PartState.WAITING)

    def pid(self, name: str) -> int | None:
        """A part's process id; None while it has none."""
        return self._supervisor.seen[name].pid

    def log_of(self, name: str) -> Path:
        """A part's log."""
        return self._supervisor.log_of(name)

    def _report(self, now: datetime) -> None:
        changed = self._note_states(now)
        if changed:
            self._say_targets(targets.targets(self.parts, self._states, self._metrics))
        if not changed and now - self._reported_at < _REPORT_EVERY:
            return
        self._reported_at = now
        facts = [self._fact(part, now) for part in self.parts]
        self._reporter.report(*facts)
        _write_down(
            self.data / "up.json",
            {
                "pid": os.getpid(),
                "environment": {
                    **self.addresses.environment(),
                    "TIDEGATE_TOKEN_FILE": self._env["TIDEGATE_TOKEN_FILE"],
                    "TIDEGATE_STREAMS": os.pathsep.join(map(str, self.settings.added_streams)),
                },
                "parts": facts,
            },
        )

    def _say_targets(self, content: list[dict[str, object]]) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the supervisor
            targets.write(self.data, content)

    def _note_states(self, now: datetime) -> bool:
        changed = False
        for part in self.parts:
            state, _ = self._supervisor.state(part, now)
            if self._states.get(part.name) is not state:
                changed = True
                self._states[part.name] = state
        return changed

    def _fact(self, part: Part, now: datetime) -> PartChanged:
        seen = self._supervisor.seen[part.name]
        state, reason = self._supervisor.state(part, now)
        return PartChanged(
            at=now,
            part=part.name,
            state=state,
            pid=seen.pid,
            address=part.address,
            started_at=seen.started_at if seen.pid else None,
            memory_bytes=self._supervisor.memory_bytes(part),
            restarts=seen.restarts,
            reason=reason,
        )

    def __exit__(self, *_: object) -> None:
        self._reporter.close()
        self._supervisor.stop()
        self._end_metrics()
        self._say_targets([])
        shutil.rmtree(self._sockets, ignore_errors=True)
        (self.data / "up.json").unlink(missing_ok=True)
        self._lock.close()


def _lock(data: Path) -> IO[str]:
    """Hold the data folder.

    Raises:
        StartError: naming who holds it.
    """
    lock = (data / "up.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StartError(
            f"a platform already runs in {data} (process {holder}); stop it by `tidegate down --data {data}`, "
            "or choose another folder by --data",
            checks.EXIT_RUNNING,
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _write_down(file: Path, content: dict[str, object]) -> None:
    """Replace a file in one step, so that a reader never sees half of it; a full disk must not end the supervisor."""
    partial = file.with_suffix(".part")
    with contextlib.suppress(OSError):
        partial.write_text(json.dumps(content, default=lambda fact: fact.model_dump(mode="json")))
        partial.replace(file)
