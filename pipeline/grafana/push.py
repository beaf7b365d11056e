"""What is sent now, and what if Grafana is away? The newest picture only, so nothing piles up.

Each beat takes what is newest, leaves out what was sent already, and sends the rest. While Grafana is away nothing is kept for
it: the next try, after 1, 2, 4 ... 30 s, sends what is newest then, with the times at which it was so.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.metrics.meter import METER
from pipeline.grafana.lines import bodies
from pipeline.grafana.live import Came

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.grafana.lines import Point
    from pipeline.grafana.live import Answer, LivePush

LONGEST_WAIT = timedelta(seconds=30)
_REMEMBERED = timedelta(days=1)
_BELIEVED = timedelta(seconds=60)
_log = logging.getLogger(__name__)


def wait_after(failures: int, came: Came) -> timedelta:
    """How long to leave Grafana alone after so many failures in a row (at least 1); what it refuses is for people to mend."""
    if came is Came.REFUSED:
        return LONGEST_WAIT
    return min(timedelta(seconds=1 << min(failures - 1, 10)), LONGEST_WAIT)


class Pusher:
    """Sends points, no point of a series twice; for one thread."""

    def __init__(self, grafana: LivePush) -> None:
        self._grafana = grafana
        self._sent: dict[object, datetime] = {}
        self._failures = 0
        self._next_at: datetime | None = None
        self.reason = ""
        """Why Grafana has not taken the last body; empty when it has."""

    def is_due(self, now: datetime) -> bool:
        """Whether Grafana is not to be left alone."""
        return self._next_at is None or now >= self._next_at

    def push(self, points: Iterable[Point], now: datetime) -> Answer | None:
        """Send what is newer than what was sent of its series; None when nothing is."""
        answer = None
        for body, held in bodies(point for point in points if self._is_new(point)):
            began = time.monotonic()
            answer = self._grafana.push(body)
            METER.observe("tidegate_grafana_push_seconds", value=time.monotonic() - began)
            METER.add("tidegate_grafana_pushes_total", answer.came)
            METER.add("tidegate_grafana_points_total", answer.came, by=len(held))
            self._note(answer, now)
            if answer.came is not Came.SENT:
                break
            self._sent |= {point.series: point.at for point in held}
        self._sent = {series: at for series, at in self._sent.items() if now - at < _REMEMBERED}
        return answer

    def _is_new(self, point: Point) -> bool:
        before = self._sent.get(point.series)
        return before is None or point.at > before

    def _note(self, answer: Answer, now: datetime) -> None:
        is_sent = answer.came is Came.SENT
        METER.hold("tidegate_grafana_up", value=float(is_sent), until=now + _BELIEVED)
        self._failures = 0 if is_sent else self._failures + 1
        self._next_at = None if is_sent else now + wait_after(self._failures, answer.came)
        if answer.said == self.reason:
            return
        self.reason = answer.said
        if is_sent:
            _log.info("Grafana takes what is sent again")
        else:
            _log.warning(
                "Grafana %s", f"refuses what is sent: {answer.said}" if answer.came is Came.REFUSED else answer.said
            )
