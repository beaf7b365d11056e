"""Is work frozen every other turn, and let go at the end whatever happens?"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from load_tests.bench.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def working() -> Iterator[psutil.Process]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


def is_stopped(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def test_work_is_frozen_every_other_turn_and_let_go_at_the_end(working: psutil.Process, eventually: Any) -> None:
    with pytest.raises(ZeroDivisionError), Turns(lambda: [working], 0) as turns:
        turns.beat()
        assert not is_stopped(working)
        turns.beat()
        eventually(lambda: is_stopped(working), "it is frozen")
        turns.beat()
        eventually(lambda: not is_stopped(working), "it goes on")
        turns.beat()
        eventually(lambda: is_stopped(working), "it is frozen")
        raise ZeroDivisionError
    eventually(lambda: not is_stopped(working), "it goes on")


def test_a_turn_lasts_and_begins_with_a_time_that_is_of_neither() -> None:
    there: list[list[psutil.Process]] = [[], [psutil.Process()]]
    with Turns(lambda: there.pop(0), 3600) as turns:
        before = time.time() * 1000
        turns.beat()
        assert turns.was_frozen(before + 3_000_000) is None  # nothing works yet
        turns.beat()
        turns.beat()
        assert not there
        assert turns.was_frozen(before - 1) is None
        assert turns.was_frozen(time.time() * 1000 + 1000) is None
        assert turns.was_frozen(time.time() * 1000 + 2500) is False
