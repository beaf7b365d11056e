"""What becomes of the probes? Read from ClickHouse as the hub reads a rollup for a watcher, but shown to nobody.

A probe is one event a second on the way of all others (raw topic, route, valid topic, live, ClickHouse), sent by the lag monitor.
Here is the end of its way: the hop `served`. Painted it is not, because there is no screen.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.latency import PROBE, ProbeSent, ProbesJudged, ProbeState
from controlplane.service.frames import StreamFrames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.push import Marks
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.frames import Query
    from controlplane.service.latency import Latencies
    from controlplane.service.state import Known

_SENT_EVERY_S = 1.0
_RESTS_S = 0.6
"""After one has come no other is due for so long: ClickHouse is not asked."""
_SAID_WITHIN_S = 10.0
_AWAY_AFTER_S = 30.0
"""One that has been on its way for so long does not come late: none does, and nothing is known of how long they take."""


class ProbeWatch:
    """The end of the probes' way.

    Args:
        stream: that of the probes; None while they are off.
        query: asks ClickHouse.
        latencies: takes what was measured.
        tick_s: how often the hub looks for something new.
    """

    def __init__(self, stream: StreamDefinition | None, query: Query, latencies: Latencies, tick_s: float) -> None:
        self._stream, self._latencies, self._tick_s = stream, latencies, tick_s
        self._frames = None if stream is None else StreamFrames(stream, query)
        self._served_ms: float | None = None
        self._unanswered: str | None = None

    async def run(self) -> None:
        """Look for as long as the task lives."""
        while self._frames is not None:
            began = time.monotonic()
            marks = await asyncio.to_thread(self._look, self._frames)
            if marks is not None:
                self._latencies.served(PROBE, marks)
            await asyncio.sleep(_RESTS_S if marks else max(0.01, self._tick_s - (time.monotonic() - began)))

    def state(self, known: Known, now: datetime) -> ProbeState:
        """How they are."""
        if self._stream is None:
            return ProbeState(is_on=False, reason="probes are off (TIDEGATE_PROBES=off)")
        said = known.facts.get(("probe_sent",))
        served_at = None if self._served_ms is None else datetime.fromtimestamp(self._served_ms / 1000, UTC)
        if not isinstance(said, ProbeSent) or (now - said.at).total_seconds() > _SAID_WITHIN_S:
            return ProbeState(is_on=True, served_at=served_at, reason="the lag monitor has sent none lately")
        waits_s = self._waits_s(said, now)
        reason = said.reason or self._missing(said, waits_s)
        return ProbeState(is_on=True, sent_at=said.sent_at, served_at=served_at, waits_s=waits_s, reason=reason)

    def judged(self, known: Known, now: datetime) -> Iterator[ProbesJudged]:
        """Whether they arrive; nothing while they are off."""
        if (state := self.state(known, now)).is_on:
            yield ProbesJudged(at=now, reason=state.reason)

    def _missing(self, said: ProbeSent, waits_s: float | None) -> str | None:
        if said.sent_at is not None and self._served_ms is None:
            return self._unanswered or "none has been read from ClickHouse since the control plane has started"
        if waits_s is None or waits_s <= _AWAY_AFTER_S:
            return None
        return self._unanswered or f"one has been on its way for {waits_s:.0f} s and has not been read from ClickHouse"

    def _waits_s(self, said: ProbeSent, now: datetime) -> float | None:
        """Age of the oldest one that has not come; None when all have, or none ever has."""
        if said.sent_at is None or self._served_ms is None or said.sent_at.timestamp() * 1000 <= self._served_ms:
            return None
        return max(0.0, now.timestamp() - self._served_ms / 1000 - _SENT_EVERY_S)

    def _look(self, frames: StreamFrames) -> Marks | None:
        """The marks of the picture, if there is a new one."""
        arrived = frames.look()
        self._unanswered = frames.unanswered
        frame = frames.frame(next(iter(frames.stream.rollups)), arrived, full=False)
        if frame is None or frame.reason is not None or frame.marks.event_ms in (None, self._served_ms):
            return None
        self._served_ms = frame.marks.event_ms
        return frame.marks
