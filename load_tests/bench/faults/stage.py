"""Where the faults happen: the whole platform under load, its console open in Chromium, a witness beside it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka.admin import NewPartitions
from playwright.sync_api import Error

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, lake_table, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from controlplane.up.drained import Drained
from load_tests.bench.beating import beating
from load_tests.bench.browser import opened_console
from load_tests.bench.faults import load
from load_tests.bench.faults.disk import small_disk
from load_tests.bench.faults.fault import (
    Burst,
    CheckpointLost,
    DiskFull,
    Expanded,
    Fault,
    Killed,
    Moment,
    Sort,
    Stopped,
    Suspended,
)
from load_tests.bench.faults.witness import Witness
from load_tests.bench.signed import session_of
from pipeline.kafka import await_broker, partitions_of

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = "shop"
_SCREEN_WITHIN_S = 60.0
_WHOLE_WITHIN_S = 150.0
_DRAINED_WITHIN_S = 180.0
_MOMENT_WITHIN_S = 40.0
_UNBALANCED = f"{STREAM} is unbalanced"
_POLL_S = 0.05
_PARTITIONS_AT_MOST = 8
_BANNER = "() => Array.from(document.querySelectorAll('#banner:not([hidden]) li strong'), line => line.textContent)"
"""What the page names as wrong."""
_HUB_AWAY = "The control plane"
_PAINTED_AFTER = "at => window.tidegate?.paints.find(paint => paint.marks?.raw_ms > at)?.at_ms"
_WELL = ("running", "ended")


@dataclass(frozen=True)
class Outcome:
    """What came of a fault."""

    fault: Fault
    recovery_s: float | None
    """From the fault (or its end, if it lasts) to the first new event on screen; None if none came in time."""
    whole_s: float | None
    """The same until every part runs and the lake has gone on."""
    unsaid: str | None
    """What the console should have named as wrong and did not."""


class Stage:
    """A context manager; `commit` does a fault and waits until all is well again."""

    def __init__(self, folder: Path, rate: float, told: Callable[[str], None]) -> None:
        self._folder = folder
        self._rate = rate
        self._told = told
        self._exit = ExitStack()
        self._bursts = 0
        self._said: set[str] = set()
        """What the page has named as wrong since the fault."""
        self.stream = load_stream(SHIPPED_STREAMS / STREAM)

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._exit.close()
            raise
        return self

    def _set_up(self) -> None:
        data = self._folder / "data"
        folders = {"lake": self._folder / "disk", "clickhouse": data / "clickhouse"}
        self.disks = {part: self._exit.enter_context(small_disk(path)) for part, path in folders.items()}
        lake = self.disks["lake"].path
        feeds = {STREAM: ("--rate", str(self._rate), "--faults", str(load.FAULT_SHARE), "--seed", str(load.SEED))}
        environment = {
            "TIDEGATE_LAKE": str(lake / "lake"),
            "TIDEGATE_CHECKPOINTS": str(lake / "checkpoints"),
            "TIDEGATE_LAKE_TRIGGER": "3s",
            "TIDEGATE_TABLES_TRIGGER": "5s",
        }
        self.platform = self._exit.enter_context(Platform(data, feeds=feeds, environment=environment, told=self._told))
        self.settings = self.platform.settings
        self.platform.start()
        self._exit.enter_context(beating(self.platform))
        self.witness = Witness(self.settings.api, self.settings.authorization)
        self._exit.callback(self.witness.close)
        self._page = self._exit.enter_context(
            opened_console(f"{self.settings.console}/live/{STREAM}", session_of(self.settings))
        )
        if self._painted_after(time.time() * 1000, _SCREEN_WITHIN_S) is None:
            raise TimeoutError(f"no event of {STREAM} came to the screen within {_SCREEN_WITHIN_S:.0f} s")

    def commit(self, fault: Fault) -> Outcome:
        """Do a fault, wait until events come to the screen again and every part runs."""
        self._said.clear()
        self._page.evaluate("window.tidegate.paints.length = 0")
        over = self._do(fault)
        if fault == Killed("console"):
            self._reload()
        painted_ms = self._painted_after(over * 1000, _SCREEN_WITHIN_S)
        whole = self._wait(self._is_whole(), _WHOLE_WITHIN_S)
        if painted_ms is None or not whole:
            self._told(f"{fault}: {self.witness.complaints() or 'nothing is said to be wrong'}")
        return Outcome(
            fault=fault,
            recovery_s=None if painted_ms is None else round(painted_ms / 1000 - over, 2),
            whole_s=round(time.time() - over, 2) if whole else None,
            unsaid=self._unsaid(fault),
        )

    def drain(self) -> str:
        """End the load and wait until every ledger balances; why it does not, or nothing."""
        os.kill(self._pid(f"feed-{STREAM}"), signal.SIGTERM)
        waits = ["nothing was said"]
        drained = Drained(self.platform, waits.append)
        ended = self._wait(lambda: (drained.check() and "balanced") or waits[-1] == _UNBALANCED, _DRAINED_WITHIN_S)
        if ended == "balanced":
            return ""
        self._wait(self._has_arrived, _WHOLE_WITHIN_S)  # what is late is not lost
        return waits[-1]

    def _has_arrived(self) -> bool:
        """Have the lake and ClickHouse as many events as the valid topic, or more?"""
        valid, lake, serving = (self.witness.events(STREAM, hop) for hop in (Hop.VALID, Hop.LAKE, Hop.SERVING))
        return valid is not None and min(lake or 0, serving or 0) >= valid

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _do(self, fault: Fault) -> float:
        """Do it; when it was over, epoch seconds."""
        match fault:
            case Killed(part, at):
                if at is Moment.DELTA_COMMITTED:
                    self._await_delta_commit()
                self._signal(part, signal.SIGKILL)
            case Stopped(part):
                os.kill(self._pid(part), signal.SIGTERM)
            case Suspended(part, for_s):
                pid = self._signal(part, signal.SIGSTOP)
                self._wait(lambda: False, for_s)
                _signal_group(pid, signal.SIGCONT)
            case DiskFull(part, for_s):
                with self.disks[part].filled() as fill:
                    self._wait(fill, for_s)
            case CheckpointLost(damaged):
                self._lose_checkpoint(damaged=damaged)
            case Burst(sort, events):
                self._burst(sort, events)
            case Expanded():
                self._expand()
        return time.time()

    def _signal(self, part: str, number: signal.Signals) -> int:
        pid = self._pid(part)
        _signal_group(pid, number)
        return pid

    def _pid(self, part: str) -> int:
        found = self._wait(lambda: self.platform.pid(part), _WHOLE_WITHIN_S)
        if not found:
            raise TimeoutError(f"{part} has had no process for {_WHOLE_WITHIN_S:.0f} s")
        return int(found)

    def _await_delta_commit(self) -> None:
        """Return within a millisecond or two of a new version in Delta's log."""
        log = Path(lake_table(self.settings.lake_root, STREAM)) / "_delta_log"
        before, deadline = _versions(log), time.monotonic() + _MOMENT_WITHIN_S
        while _versions(log) == before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{log} has had no new version for {_MOMENT_WITHIN_S:.0f} s")
            time.sleep(0.001)

    def _lose_checkpoint(self, *, damaged: bool) -> None:
        pid = self._signal("lake", signal.SIGSTOP)
        checkpoint = Path(self.settings.checkpoint_root) / "lake" / STREAM
        if damaged:
            newest = max((checkpoint / "offsets").glob("[0-9]*"), key=lambda file: int(file.name))
            newest.write_bytes(newest.read_bytes()[:7])
        else:
            shutil.rmtree(checkpoint)
        _signal_group(pid, signal.SIGKILL)

    def _burst(self, sort: Sort, events: int) -> None:
        self._bursts += 1
        load.send(self.settings, self.stream, sort, events, self._bursts)

    def _expand(self) -> None:
        admin, name = await_broker(self.settings.kafka), topic(STREAM, Hop.RAW)
        wanted = len(partitions_of(admin, name)) + 1
        if wanted <= _PARTITIONS_AT_MOST:
            for future in admin.create_partitions([NewPartitions(name, wanted)]).values():
                future.result(timeout=10)
        self._burst(Sort.LATE, 1_000)

    def _painted_after(self, at_ms: float, within_s: float) -> float | None:
        """When the first event that raw took after a moment was on screen, epoch milliseconds."""
        found = self._wait(lambda: self._page.evaluate(_PAINTED_AFTER, at_ms), within_s)
        return None if not found else float(found)

    def _reload(self) -> None:
        """A console that was killed is opened anew: what is open in a browser needs it no more."""

        def loaded() -> bool:
            try:
                return bool(self._page.reload(wait_until="load", timeout=5_000))
            except Error:
                return False

        self._wait(loaded, _SCREEN_WITHIN_S)

    def _is_whole(self) -> Callable[[], bool]:
        """Every part runs, and the lake has more than all that was valid at this moment."""
        valid = self._wait(lambda: self.witness.events(STREAM, Hop.VALID), _WHOLE_WITHIN_S) or 0

        def whole() -> bool:
            states = self.witness.states()
            lake = self.witness.events(STREAM, Hop.LAKE)
            return bool(states) and all(state in _WELL for state in states.values()) and (lake or 0) > valid

        return whole

    def _unsaid(self, fault: Fault) -> str | None:
        match fault:
            case Killed("control") | Suspended("control"):
                expected = _HUB_AWAY
            case Killed(part) | Stopped(part) | Suspended(part):
                expected = f"part {part}"
            case DiskFull("clickhouse"):
                expected = "part live"
            case DiskFull() | CheckpointLost():
                expected = "part lake"
            case _:
                return None
        said = sorted(self._said)
        return None if expected in said else f"{fault}: the page said nothing of {expected}, only of {said}"

    def _wait(self, look: Callable[[], Any], within_s: float) -> Any:  # noqa: ANN401 (whatever was looked for)
        """Look until there is something, and meanwhile read what the page says."""
        deadline = time.monotonic() + within_s
        while not (found := look()) and time.monotonic() < deadline:
            self._page.wait_for_timeout(_POLL_S * 1000)
            with suppress(Error):  # it may be loading
                self._said.update(self._page.evaluate(_BANNER))
        return found


def _signal_group(pid: int, number: signal.Signals) -> None:
    """To a part and its children: each part leads a session of its own."""
    os.killpg(pid, number)


def _versions(log: Path) -> int:
    return sum(1 for file in log.glob("*.json")) if log.exists() else 0
