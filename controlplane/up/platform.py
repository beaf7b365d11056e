"""How does one command run the whole platform? Observe every part, decide, act, report; until told to stop."""

from __future__ import annotations

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
from typing import IO, TYPE_CHECKING, Self

from controlplane.contract.facts import PartChanged, PartState
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from controlplane.up import checks
from controlplane.up.addresses import Addresses, pick
from controlplane.up.checks import StartError
from controlplane.up.decide import STEADY_AFTER, describe, failures_after, is_hung, state_of, to_start
from controlplane.up.health import Probes, is_stopped
from controlplane.up.part import Part, Seen
from controlplane.up.parts import Plan
from controlplane.up.process import PartProcess
from controlplane.up.running import RESTARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BEAT_S = 0.1
_REPORT_EVERY = timedelta(seconds=2)
_READY_WITHIN = timedelta(seconds=180)
_FAILED_STARTS = 4
_WORDS_AT_MOST = 300
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
        told: Callable[[str], None] = _log.info,
    ) -> None:
        self.data = data.resolve()
        self._only = only
        self._feeds = feeds or {}
        self._console_port = console_port
        self._environment = environment or {}
        self._told = told
        self._seen: dict[str, Seen] = {}
        self._processes: dict[str, PartProcess] = {}
        self._states: dict[str, PartState] = {}
        self._probes = Probes()
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
        (self.data / "logs").mkdir(exist_ok=True)
        (self.data / RESTARTS).mkdir(exist_ok=True)
        self._sockets = Path(tempfile.mkdtemp(prefix="tidegate-"))
        jars = ",".join(map(str, cache.classpath("spark")))
        self._env = {
            **os.environ,
            **self.addresses.environment(),
            "TIDEGATE_DATA": str(self.data),
            "TIDEGATE_SPARK_JARS": jars,
            "PYTHONUNBUFFERED": "1",
            **self._environment,
        }
        self.settings = Settings.model_validate(
            {
                key.removeprefix("TIDEGATE_").lower(): value
                for key, value in self._env.items()
                if key.startswith("TIDEGATE_")
            }
        )
        every = Plan(self.data, self.addresses, cache, self._feeds).parts()
        chosen = {part.name for part in every if self._only is None or part.name in self._only}
        needed = [replace(part, needs=tuple(name for name in part.needs if name in chosen)) for part in every]
        self.parts = [part for part in needed if part.name in chosen]
        self._seen = {part.name: Seen() for part in self.parts}
        # While the control plane starts nobody takes facts: that is no news, and if it stays away its state says so.
        logging.getLogger("controlplane.contract.reporting").setLevel(logging.ERROR)
        self._reporter = Reporter(self.settings.api)
        self._started_at = datetime.now(UTC)

    def beat(self) -> None:
        """Look at every part once, start what is due, tell who wants to know."""
        now = datetime.now(UTC)
        for part in self.parts:
            self._restart_if_asked(part)
            self._observe(part, now)
        for part in to_start(self.parts, self._seen, now):
            self._start(part, now)
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
            state, reason = state_of(part, self._seen[part.name], self._seen, datetime.now(UTC))
            if not self._seen[part.name].was_ready and state in (PartState.STARTING, PartState.BACKING_OFF):
                took = (datetime.now(UTC) - self._started_at).total_seconds()
                raise StartError(
                    f"{part.name} was not ready after {took:.0f} s ({reason}); "
                    f"the end of {self.log_of(part.name)}:\n{checks.last_lines(self.log_of(part.name))}",
                    checks.EXIT_PART,
                )

    def _gave_up(self) -> bool:
        late = datetime.now(UTC) - self._started_at > _READY_WITHIN
        return late or any(not seen.was_ready and seen.failures >= _FAILED_STARTS for seen in self._seen.values())

    def all_ready(self) -> bool:
        """Has every part been ready since the start, or ended well?"""
        return all(seen.was_ready or (seen.exit_code == 0) for seen in self._seen.values())

    def state(self, name: str) -> PartState:
        """A part's state at the last beat."""
        return self._states.get(name, PartState.WAITING)

    def pid(self, name: str) -> int | None:
        """A part's process id; None while it has none."""
        return self._seen[name].pid

    def log_of(self, name: str) -> Path:
        """A part's log."""
        return self.data / "logs" / f"{name}.log"

    def _restart_if_asked(self, part: Part) -> None:
        """Somebody asked by a file: it also works while the control plane is away."""
        asked = self.data / RESTARTS / part.name
        if not asked.exists():
            return
        asked.unlink()
        self._told(f"{part.name} is started again, as asked")
        seen = self._seen[part.name]
        self._seen[part.name] = replace(seen, failures=0)
        if seen.pid is not None:
            self._processes[part.name].ask_to_stop()

    def _start(self, part: Part, now: datetime) -> None:
        if part.prepare is not None:
            part.prepare()
        seen = self._seen[part.name]
        process = PartProcess(part, self._env, self.log_of(part.name), self._sockets / part.name)
        self._processes[part.name] = process
        if part.nice and not seen.was_ready:
            process.give_way(part.nice)
        self._seen[part.name] = replace(
            seen,
            pid=process.pid,
            started_at=now,
            ready=False,
            exited_at=None,
            heard_at=None,
            waits_for="",
            restarts=seen.restarts + (1 if seen.exited_at else 0),
        )

    def _observe(self, part: Part, now: datetime) -> None:
        seen = self._seen[part.name]
        if seen.pid is None:
            return
        process = self._processes[part.name]
        code = process.exit_code()
        if code is not None:
            self._bury(part, code, now)
            return
        if is_hung(seen, now):
            self._told(f"{part.name} has not answered for too long and is killed")
            process.kill()
            return
        self._listen(part, replace(seen, is_stopped=is_stopped(seen.pid)), process, now)

    def _bury(self, part: Part, code: int, now: datetime) -> None:
        self._processes[part.name].kill()
        words = "" if code <= 0 else checks.last_lines(self.log_of(part.name), 1).strip()[:_WORDS_AT_MOST]
        ended = replace(
            self._seen[part.name],
            pid=None,
            ready=False,
            is_stopped=False,
            exit_code=code,
            exited_at=now,
            ended_with=describe(code) + (f": {words}" if words else ""),
        )
        self._seen[part.name] = replace(ended, failures=failures_after(ended))
        state, reason = state_of(part, self._seen[part.name], self._seen, now)
        if state is not PartState.ENDED:
            self._told(f"{part.name} {reason}; see {self.log_of(part.name)}")

    def _listen(self, part: Part, seen: Seen, process: PartProcess, now: datetime) -> None:
        is_ready = self._probes.has_answered(part, process.pid, now)
        if is_ready:
            seen = replace(seen, heard_at=now)
        for told in process.said():
            is_ready |= told.get("READY") == "1"
            waits_for = told.get("STATUS", "") if "WATCHDOG" in told else ""
            seen = replace(seen, heard_at=now, waits_for=waits_for)
        if seen.failures and seen.started_at and now - seen.started_at > STEADY_AFTER:
            seen = replace(seen, failures=0)
        self._seen[part.name] = seen
        if is_ready and not seen.ready:
            self._welcome(part, seen, now)

    def _welcome(self, part: Part, seen: Seen, now: datetime) -> None:
        if part.on_ready is not None:
            part.on_ready()
        if part.nice:  # one that comes back is waited for: it gives way only when it is there
            self._processes[part.name].give_way(part.nice)
        if not seen.was_ready:
            self._told(f"{part.name} is ready after {(now - self._started_at).total_seconds():.1f} s")
        self._seen[part.name] = replace(seen, ready=True, was_ready=True)

    def _report(self, now: datetime) -> None:
        changed = self._note_states(now)
        if not changed and now - self._reported_at < _REPORT_EVERY:
            return
        self._reported_at = now
        facts = [self._fact(part, now) for part in self.parts]
        self._reporter.report(*facts)
        _write(self.data / "up.json", {"pid": os.getpid(), "environment": self.addresses.environment(), "parts": facts})

    def _note_states(self, now: datetime) -> bool:
        changed = False
        for part in self.parts:
            state, _ = state_of(part, self._seen[part.name], self._seen, now)
            if self._states.get(part.name) is not state:
                changed = True
                self._states[part.name] = state
        return changed

    def _fact(self, part: Part, now: datetime) -> PartChanged:
        seen = self._seen[part.name]
        state, reason = state_of(part, seen, self._seen, now)
        return PartChanged(
            at=now,
            part=part.name,
            state=state,
            pid=seen.pid,
            address=part.address,
            started_at=seen.started_at if seen.pid else None,
            memory_bytes=self._processes[part.name].memory_bytes() if seen.pid else None,
            restarts=seen.restarts,
            reason=reason,
        )

    def __exit__(self, *_: object) -> None:
        self._reporter.close()
        self._probes.close()
        for part in reversed(self.parts):
            process = self._processes.get(part.name)
            if process is None:
                continue
            process.ask_to_stop()
            if not process.wait(part.stop_within_s):
                self._told(f"{part.name} did not stop within {part.stop_within_s:.0f} s and was killed")
            process.kill()
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


def _write(file: Path, content: dict[str, object]) -> None:
    """Replace a file in one step, so that a reader never sees half of it."""
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(content, default=lambda fact: fact.model_dump(mode="json")))
    partial.replace(file)
