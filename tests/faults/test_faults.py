"""Kill, stop, poison and stretch the real platform under load: nothing is lost, nothing counted twice, and it says what is wrong.

The short form of `tidegate bench faults`: one round of each of the faults that the guarantees rest on; route and live are killed
by `test_way_of_an_event`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from load_tests.bench.faults.fault import Burst, Expanded, Fault, Killed, Moment, Sort, Stopped
from load_tests.bench.faults.run import measure

if TYPE_CHECKING:
    from pathlib import Path

FAULTS: list[Fault] = [
    Killed("lake", at=Moment.DELTA_COMMITTED),
    Killed("clickhouse"),
    Killed("control"),
    Killed("feed-shop"),
    Burst(Sort.POISON, 300),
    Burst(Sort.FENCED, 300),
    Stopped("kafka"),
    Expanded(),
]
WELL: dict[str, object] = {
    "lost": 0,
    "duplicated": 0,
    "unexpected_errors": [],
    "unsaid": [],
    "not_recovered": [],
    "not_balanced": "",
    "examples": [],
}


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # A failure shows how each round went, and what live said last.
    caplog.set_level(logging.INFO, logger=__name__)
    log = logging.getLogger(__name__)
    found = measure(FAULTS, rate=200, told=log.info, keep=tmp_path)
    log.info("the end of live's log:\n%s", "\n".join((tmp_path / "live.log").read_text().splitlines()[-30:]))
    assert {name: found[name] for name in WELL} == WELL
    assert found["rounds"] == len(FAULTS)
    assert found["produced"] == sum(found["rows"][hop] for hop in ("valid", "dead", "quarantine")) > 0
