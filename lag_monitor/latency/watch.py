"""Every two seconds: how long after the raw topic did the valid one take its newest records?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from controlplane.contract.names import HEADER_SOURCE, Hop, topic
from lag_monitor.latency.provenance import raw_at_ms
from lag_monitor.latency.tails import Tails
from lag_monitor.latency.window import Window
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from confluent_kafka import Message

    from controlplane.contract.settings import Settings
    from controlplane.contract.spark import LatencyMeasured

EVERY_S = 2.0
_NOT_STAMPED = "its valid topic is not stamped by the broker (message.timestamp.type is not LogAppendTime)"


def watch_latency(settings: Settings, streams: Sequence[str]) -> Callable[[], Iterable[LatencyMeasured]]:
    """A round over every stream's valid topic."""
    tails, windows = Tails(settings.kafka), {stream: Window(stream) for stream in streams}
    stream_of = {topic(stream, Hop.VALID): stream for stream in streams}

    def look() -> list[LatencyMeasured]:
        silent: str | None = None
        unstamped = set[str]()
        try:
            for message in tails.newest(stream_of):
                stream = stream_of[message.topic()]
                if message.timestamp()[0] != TIMESTAMP_LOG_APPEND_TIME:
                    unstamped.add(stream)
                elif (sample := sample_of(message)) is not None:
                    windows[stream].add(*sample)
        except UnknownError as error:
            silent = str(error)
        now = datetime.now(UTC)
        return [
            window.fact(now, silent or (_NOT_STAMPED if stream in unstamped else None))
            for stream, window in windows.items()
        ]

    return look


def sample_of(message: Message) -> tuple[datetime, float] | None:
    """When the valid topic took a record, and how many milliseconds after the raw one; None for one that is not route's."""
    source = dict(message.headers() or ()).get(HEADER_SOURCE, b"").decode("ascii", "replace")
    raw_ms = raw_at_ms(message.value() or b"", source)
    if raw_ms is None:
        return None
    taken_ms = message.timestamp()[1]
    return datetime.fromtimestamp(taken_ms / 1000, UTC), float(max(0, taken_ms - raw_ms))
