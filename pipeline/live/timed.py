"""How old are the events of a block: when the raw topic took them, when the valid one did, when ClickHouse had them?

Three clocks: the producer's (event time), the broker's (both topics stamp what they take) and this process's. Of a block only a few
records are decoded, spread evenly over it, and each stands for as many events as there are between it and the next.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME
from fastavro import schemaless_reader

from controlplane.contract.latency import HopsTimed, LatencyHop, Since
from controlplane.contract.metrics.meter import METER
from controlplane.contract.names import SOURCE_TIME
from controlplane.contract.spread import Gathering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from confluent_kafka import Message

    from controlplane.contract.streams import StreamDefinition

SAMPLES_A_BLOCK = 16
_FRAME_BYTES = 5
_CLOCK_LIKE_MS = 60_000.0
"""An event dated further than this from its arrival was not timed by a clock of today: a replay."""


class Timed:
    """One stream's.

    Args:
        stream: says which field is the event time.
        schema: the writer's schema by its id, parsed; None for one that cannot be had.
    """

    def __init__(self, stream: StreamDefinition, schema: Callable[[int], Any]) -> None:
        self._stream, self._event_time, self._schema = stream.name, stream.event_time.field, schema
        self._since = Since.EVENT
        self._hops: dict[LatencyHop, Gathering] = defaultdict(Gathering)

    def take(self, messages: Sequence[Message], inserted_ms: float) -> None:
        """A block is in ClickHouse; its records are framed Avro, as route writes them."""
        every = -(-len(messages) // SAMPLES_A_BLOCK)
        for message in messages[:: max(1, every)]:
            for hop, age_ms in self._ages(message, inserted_ms).items():
                self._hops[hop].add(age_ms, every)
                METER.observe("tidegate_latency_seconds", self._stream, hop, value=max(0.0, age_ms) / 1000)

    def facts(self, now: datetime) -> Iterator[HopsTimed]:
        """What was taken since the last time; nothing where nothing was."""
        if self._hops:
            hops = {hop: gathering.spread() for hop, gathering in self._hops.items()}
            self._hops = defaultdict(Gathering)
            yield HopsTimed(at=now, stream=self._stream, since=self._since, hops=hops)

    def _ages(self, message: Message, inserted_ms: float) -> dict[LatencyHop, float]:
        event = self._decoded(message.value() or b"")
        kind, routed_ms = message.timestamp()
        if event is None or kind != TIMESTAMP_LOG_APPEND_TIME:
            return {}
        event_ms, raw_ms = _epoch_ms(event.get(self._event_time)), _epoch_ms(event.get(SOURCE_TIME))
        if raw_ms is None:
            return {}
        is_clock = event_ms is not None and abs(raw_ms - event_ms) < _CLOCK_LIKE_MS
        origin = event_ms if is_clock and event_ms is not None else raw_ms
        self._since = Since.EVENT if is_clock else Since.RAW
        ages = {LatencyHop.RAW: raw_ms, LatencyHop.ROUTED: float(routed_ms), LatencyHop.INSERTED: inserted_ms}
        # Of a replay the way begins where the raw topic has it.
        return {hop: at - origin for hop, at in ages.items() if is_clock or hop is not LatencyHop.RAW}

    def _decoded(self, framed: bytes) -> dict[str, Any] | None:
        schema = self._schema(int.from_bytes(framed[1:_FRAME_BYTES], "big"))
        if schema is None:
            return None
        try:
            event = cast("dict[str, Any]", schemaless_reader(BytesIO(framed[_FRAME_BYTES:]), schema))
        except (ValueError, TypeError, EOFError, IndexError, KeyError, OverflowError):
            return None  # what cannot be decoded is ClickHouse's to refuse; here it is merely not measured
        return event


def _epoch_ms(moment: object) -> float | None:
    return moment.timestamp() * 1000 if isinstance(moment, datetime) else None
