"""The supervisor's beat: look at every part, start what is due. What it knows is in `seen`; what it decides is in `decide`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path  # noqa: TC003 (used at run time)
from typing import TYPE_CHECKING

from controlplane.contract.facts import PartState
from controlplane.contract.restarts import RESTARTS
from controlplane.up import checks
from controlplane.up.decide import STEADY_AFTER, describe, failures_after, is_hung, state_of, to_start
from controlplane.up.health import Probes, is_stopped
from controlplane.up.part import Part, Seen
from controlplane.up.process import PartProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GIVES_WAY_AFTER = timedelta(seconds=45)
"""One that comes back is waited for: it gives way only when it has caught up."""
_WORDS_AT_MOST = 300


class Supervisor:
    """Keeps parts running; `stop` ends them all.

    Args:
        parts: in the order in which they are started; they are stopped in reverse.
        data: the platform's folder; logs are in its `logs`, and files in its `restarts` ask for a restart.
        sockets: folder for the sockets on which parts speak.
        environment: of every part.
        told: takes a sentence for whoever watches.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        data: Path,
        sockets: Path,
        environment: Mapping[str, str],
        told: Callable[[str], None],
    ) -> None:
        self.parts = list(parts)
        self.seen = {part.name: Seen() for part in parts}
        self.began_at = datetime.now(UTC)
        self._logs, self._restarts, self._sockets = data / "logs", data / RESTARTS, sockets
        for folder in (self._logs, self._restarts):
            folder.mkdir(exist_ok=True)
        self._environment = environment
        self._told = told
        self._processes: dict[str, PartProcess] = {}
        self._probes = Probes()
        # A part is told to stop when the thread that has started it ends, and whoever calls `beat` may be such a thread.
        self._launcher = ThreadPoolExecutor(1, "launcher")

    def beat(self, now: datetime) -> None:
        """Look at every part once, start what is due."""
        for part in self.parts:
            self._restart_if_asked(part)
            self._observe(part, now)
        for part in to_start(self.parts, self.seen, now):
            self._start(part, now)

    def state(self, part: Part, now: datetime) -> tuple[PartState, str | None]:
        """A part's state, and why it is not simply running."""
        return state_of(part, self.seen[part.name], self.seen, now)

    def memory_bytes(self, part: Part) -> int | None:
        """Resident memory of a part; None while it has no process."""
        return self._processes[part.name].memory_bytes() if self.seen[part.name].pid else None

    def log_of(self, name: str) -> Path:
        """A part's log."""
        return self._logs / f"{name}.log"

    def stop(self) -> None:
        """Ask each part to stop, the last one first; kill what does not in time."""
        self._probes.close()
        for part in reversed(self.parts):
            process = self._processes.get(part.name)
            if process is None:
                continue
            process.ask_to_stop()
            if not process.wait(part.stop_within_s):
                self._told(f"{part.name} did not stop within {part.stop_within_s:.0f} s and was killed")
            process.kill()
        self._launcher.shutdown()

    def _restart_if_asked(self, part: Part) -> None:
        """Somebody asked by a file: it also works while the control plane is away."""
        asked = self._restarts / part.name
        if not asked.exists():
            return
        asked.unlink()
        self._told(f"{part.name} is started again, as asked")
        seen = self.seen[part.name]
        self.seen[part.name] = replace(seen, failures=0)
        if seen.pid is not None:
            self._processes[part.name].ask_to_stop()

    def _start(self, part: Part, now: datetime) -> None:
        try:
            self._started(part, now)
        except (OSError, RuntimeError) as error:  # a full disk, or what it needs cannot be prepared
            failed = replace(self.seen[part.name], started_at=now, exit_code=1, exited_at=now)
            self.seen[part.name] = replace(
                failed, failures=failures_after(failed), ended_with=f"code 1: it could not be started: {error}"
            )
            self._told(f"{part.name} could not be started: {error}")

    def _started(self, part: Part, now: datetime) -> None:
        if part.prepare is not None:
            part.prepare()
        seen = self.seen[part.name]
        made = (part, self._environment, self.log_of(part.name), self._sockets / part.name)
        process = self._launcher.submit(PartProcess, *made).result()
        self._processes[part.name] = process
        if part.nice and not seen.was_ready:
            process.give_way(part.nice)
        self.seen[part.name] = replace(
            seen,
            pid=process.pid,
            started_at=now,
            ready=False,
            exited_at=None,
            heard_at=None,
            waits_for="",
            gives_way=False,
            restarts=seen.restarts + (1 if seen.exited_at else 0),
        )

    def _observe(self, part: Part, now: datetime) -> None:
        seen = self.seen[part.name]
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
            self.seen[part.name],
            pid=None,
            ready=False,
            is_stopped=False,
            exit_code=code,
            exited_at=now,
            ended_with=describe(code) + (f": {words}" if words else ""),
        )
        self.seen[part.name] = replace(ended, failures=failures_after(ended))
        state, reason = self.state(part, now)
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
        if part.nice and not seen.gives_way and seen.started_at and now - seen.started_at > GIVES_WAY_AFTER:
            process.give_way(part.nice, part.session_nice)
            seen = replace(seen, gives_way=True)
        self.seen[part.name] = seen
        if is_ready and not seen.ready:
            self._welcome(part, seen, now)

    def _welcome(self, part: Part, seen: Seen, now: datetime) -> None:
        if part.on_ready is not None:
            part.on_ready()
        if not seen.was_ready:
            self._told(f"{part.name} is ready after {(now - self.began_at).total_seconds():.1f} s")
        self.seen[part.name] = replace(seen, ready=True, was_ready=True)
