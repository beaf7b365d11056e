"""The supervisor with real, tiny processes and a clock of our own: what dies comes back, what keeps dying is held."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.facts import PartState
from controlplane.contract.restarts import RESTARTS
from controlplane.up.decide import HELD_AFTER
from controlplane.up.part import Part
from controlplane.up.supervisor import GIVES_WAY_AFTER, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNLUCKY = Part("unlucky", (sys.executable, "-c", "raise SystemExit('OSError: no luck today')"))


def supervisor(tmp_path: Path, part: Part, told: list[str]) -> Supervisor:
    return Supervisor([part], tmp_path, tmp_path, dict(os.environ), told.append)


def dies(one: Supervisor, part: Part, times: int, now: datetime, eventually: Callable[..., object]) -> datetime:
    """Beat until the part has died so often; an hour passes between two tries."""
    for failures in range(1, times + 1):
        now += timedelta(hours=1)
        one.beat(now)

        def is_dead(failures: int = failures, now: datetime = now) -> bool:
            one.beat(now)
            return one.seen[part.name].failures >= failures and one.seen[part.name].pid is None

        eventually(is_dead, f"failure {failures}", within_s=20)
    return now


def test_what_keeps_dying_is_held_with_its_last_words_and_a_restart_gives_it_another_chance(
    tmp_path: Path, eventually: Callable[..., object]
) -> None:
    told: list[str] = []
    one = supervisor(tmp_path, UNLUCKY, told)
    now = dies(one, UNLUCKY, HELD_AFTER, NOW, eventually)
    state, reason = one.state(UNLUCKY, now)
    assert state is PartState.HELD
    assert reason is not None
    assert "exited with code 1: OSError: no luck today" in reason
    one.beat(now + timedelta(days=1))
    assert one.seen["unlucky"].pid is None
    (tmp_path / RESTARTS / "unlucky").touch()
    one.beat(now + timedelta(days=1))
    assert one.seen["unlucky"].pid is not None
    assert "unlucky is started again, as asked" in told
    one.stop()


def test_a_part_that_cannot_be_prepared_ends_only_itself(tmp_path: Path) -> None:
    def prepare() -> None:
        raise OSError(28, "No space left on device")

    part = Part("full", (sys.executable, "-c", "pass"), prepare=prepare)
    one = supervisor(tmp_path, part, [])
    one.beat(NOW)
    state, reason = one.state(part, NOW)
    assert state is PartState.BACKING_OFF
    assert reason is not None
    assert "could not be started" in reason
    assert "No space left" in reason
    one.stop()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not group processes by session")
def test_the_session_of_a_part_gives_way_once_it_has_had_time_to_catch_up(tmp_path: Path) -> None:
    part = Part("late", (sys.executable, "-c", "import signal; signal.pause()"), nice=19, session_nice=8)
    one = supervisor(tmp_path, part, [])
    one.beat(NOW)
    group = Path(f"/proc/{one.seen['late'].pid}/autogroup")
    one.beat(NOW + GIVES_WAY_AFTER)
    assert group.read_text().split()[-1] == "0"
    one.beat(NOW + GIVES_WAY_AFTER + timedelta(seconds=1))
    assert group.read_text().split()[-1] == "8"
    one.stop()
