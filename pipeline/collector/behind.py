"""Is a stream so far behind that what is sent now had better come later? As the lag monitor measures it, by the control plane.

Kafka keeps what nobody has taken yet, so being behind is no reason to refuse events; being far behind is, before its retention is.
What is not known, or not any more, refuses nothing.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import httpx
from pydantic import ValidationError

from controlplane.contract.durations import format_duration
from controlplane.contract.lag import ConsumerKind, LagFrame
from controlplane.contract.names import Hop
from pipeline.collector.answers import RefusedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import timedelta

_ASKED_EVERY_S = 5.0
_TIMEOUT_S = 2.0
_LONGEST_S = 30
_LIVE = (Hop.VALID, Hop.SERVING)
"""Route and live; the lake's batches may take their time."""
_log = logging.getLogger(__name__)


class Behind:
    """Streams of which nothing is taken now.

    Args:
        ask: the lag as it is known.
        at_most: how far behind a stream may be; 0: as far as it likes.
    """

    def __init__(self, ask: Callable[[], LagFrame], at_most: timedelta) -> None:
        self._ask, self._at_most = ask, at_most
        self._refused: Mapping[str, RefusedError] = {}

    def require_near(self, stream: str) -> None:
        """Is the stream near enough?

        Raises:
            RefusedError: 429 if it is not.
        """
        if (refused := self._refused.get(stream)) is not None:
            raise refused.anew()

    def look(self) -> None:
        """Ask once; while nobody answers nothing is refused."""
        try:
            self._refused = behind(self._ask(), self._at_most)
        except (httpx.HTTPError, ValidationError) as error:
            if self._refused:
                _log.warning("how far behind streams are is not known any more, so all events are taken: %s", error)
            self._refused = {}

    def follow(self, stopping: threading.Event) -> None:
        """Look until told to stop."""
        while self._at_most and not stopping.wait(_ASKED_EVERY_S):
            self.look()


def behind(frame: LagFrame, at_most: timedelta) -> dict[str, RefusedError]:
    """The streams that are too far behind: what their senders are told."""
    found: dict[str, RefusedError] = {}
    for each in frame.consumers:
        lag = each.lag
        is_live = lag.consumer_kind is ConsumerKind.QUERY and lag.hop in _LIVE and not each.is_stale
        if is_live and lag.stream is not None and (lag.lag_s or 0.0) > at_most.total_seconds():
            after = max(1, min(_LONGEST_S, math.ceil(lag.catch_up_s or _LONGEST_S)))
            words = f"{lag.consumer} is {lag.lag_s:.0f} s behind, more than {format_duration(at_most)}"
            found[lag.stream] = RefusedError(
                429, f"{words} (TIDEGATE_COLLECTOR_BEHIND): send this again in {after} s", retry_after_s=after
            )
    return found


def lag_of(api: str, authorization: Mapping[str, str]) -> Callable[[], LagFrame]:
    """Asks a control plane."""
    client = httpx.Client(base_url=api, headers=dict(authorization), timeout=_TIMEOUT_S)
    return lambda: LagFrame.model_validate_json(client.get("/api/v1/lag").raise_for_status().content)
