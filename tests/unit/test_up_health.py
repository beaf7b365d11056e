"""How the supervisor hears of its parts: by what they say, by what they answer, and from the kernel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.reporting import Heart, notify_ready
from controlplane.up.health import Probes, is_stopped
from controlplane.up.part import Part
from controlplane.up.process import PartProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_a_part_says_once_a_second_that_it_is_at_work_and_at_once_what_it_waits_for(channel: socket.socket) -> None:
    heart = Heart(channel.getsockname())
    heart.beat()
    heart.beat()
    heart.beat("ClickHouse\ndoes not answer")
    assert channel.recv(4096) == b"WATCHDOG=1\nSTATUS=\n"
    assert channel.recv(4096) == b"WATCHDOG=1\nSTATUS=ClickHouse does not answer\n"


def test_a_supervisor_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    Heart(str(tmp_path / "nobody")).beat()
    Heart("").beat()
    notify_ready("")


def test_what_a_process_says_reaches_the_supervisor(tmp_path: Path, eventually: Callable[..., object]) -> None:
    said = (
        "import os; from controlplane.contract.reporting import Heart, notify_ready; s = os.environ['NOTIFY_SOCKET']; "
        "notify_ready(s, 'all'); Heart(s).beat('x')"
    )
    part = Part("speaker", (sys.executable, "-P", "-c", said))
    process = PartProcess(part, dict(os.environ), tmp_path / "log", tmp_path / "notify")
    try:
        heard: list[dict[str, str]] = []
        eventually(lambda: heard.extend(process.said()) or len(heard) == 2, "two messages", within_s=20)
        assert heard == [{"READY": "1", "STATUS": "all"}, {"WATCHDOG": "1", "STATUS": "x"}]
    finally:
        process.kill()


def test_a_process_that_a_signal_stopped_is_known_as_such(eventually: Callable[..., object]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_stopped(process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        eventually(lambda: is_stopped(process.pid), "a stopped process", within_s=10)
        process.kill()
    assert not is_stopped(process.pid)


def test_a_probe_that_hangs_holds_up_nobody_and_counts_only_for_the_process_that_was_asked(
    eventually: Callable[..., object],
) -> None:
    let_go = threading.Event()
    part, probes = Part("slow", ("true",), probe=lambda: let_go.wait(10)), Probes()
    later = NOW + timedelta(seconds=5)
    assert not probes.has_answered(part, 1, NOW)
    assert not probes.has_answered(part, 1, later)
    assert not probes.has_answered(part, 2, later)  # the process is another one: it is asked itself
    let_go.set()
    eventually(lambda: probes.has_answered(part, 2, later + timedelta(seconds=1)), "an answer", within_s=10)
    probes.close()
