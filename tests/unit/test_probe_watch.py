"""Whether probes arrive: in words an operator reads, known while they do, and never a stream among the streams."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.latency import ProbeSent
from controlplane.contract.settings import PROBE_STREAM
from controlplane.service.latency import Latencies
from controlplane.service.probe import ProbeWatch
from controlplane.service.state import Known

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime.now(UTC)
STREAM = load_stream(PROBE_STREAM)


def sent(age_s: float = 0.0, reason: str | None = None) -> Known:
    """The lag monitor has just said that its newest probe was so old."""
    known = Known()
    known.fold([ProbeSent(at=NOW, sent_at=NOW - timedelta(seconds=age_s), reason=reason)])
    return known


def nothing(sql: str, **parameters: int | str) -> Sequence[tuple[object, ...]]:
    return []


async def has_read(age_s: float) -> ProbeWatch:
    """ClickHouse has had, and the control plane has read, one that was sent so long ago."""
    at = int((NOW.timestamp() - age_s) * 1000)

    def answers(sql: str, **parameters: int | str) -> Sequence[tuple[object, ...]]:
        return [] if parameters else [("0", 1, at, at)]

    watch = ProbeWatch(STREAM, answers, Latencies(), 0.01)
    task = asyncio.create_task(watch.run())
    while watch.state(sent(), NOW).served_at is None:  # noqa: ASYNC110 (it tells nobody that it has read)
        await asyncio.sleep(0)
    task.cancel()
    return watch


def test_while_they_arrive_there_is_nothing_to_say() -> None:
    watch = asyncio.run(has_read(0.5))
    state = watch.state(sent(0.1), NOW)
    assert (state.reason, state.served_at is not None) == (None, True)
    [judged] = watch.judged(sent(0.1), NOW)
    assert judged.reason is None


def test_one_that_comes_late_is_no_reason_and_one_that_does_not_come_is() -> None:
    late, away = asyncio.run(has_read(20)), asyncio.run(has_read(60))
    assert late.state(sent(), NOW).waits_s == pytest.approx(19, abs=0.1)
    assert late.state(sent(), NOW).reason is None
    assert away.state(sent(), NOW).reason == "one has been on its way for 59 s and has not been read from ClickHouse"


def test_none_ever_read_and_none_sent_are_told_apart() -> None:
    watch = ProbeWatch(STREAM, nothing, Latencies(), 0.1)
    assert "none has been read from ClickHouse since" in (watch.state(sent(), NOW).reason or "")
    refused = "no probe could be sent: the broker is silent"
    assert watch.state(sent(reason=refused), NOW).reason == refused
    assert watch.state(Known(), NOW).reason == "the lag monitor has sent none lately"


def test_while_they_are_off_nobody_is_told() -> None:
    watch = ProbeWatch(None, nothing, Latencies(), 0.1)
    assert list(watch.judged(sent(), NOW)) == []
