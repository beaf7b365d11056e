"""Who writes which schema? A look at a few of the raw records that the ledger reads anyway.

To look at every record's headers would cost half of what counting it does. So of each reading, which may be twenty thousand
records, some dozens are looked at, wherever they lie; while little comes in, that is all of them. Shares are of this sample.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.facts import SchemaSeen
from controlplane.contract.names import HEADER_PRODUCER, Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Message

Writer = tuple[str | None, int]
"""A producer's name, and the schema id that it wrote."""
_LOOKED_AT = 64
"""Of one reading."""
_STEP_S = 5.0
_STEPS = 12
"""The sample is of the last minute, step by step."""
_KEPT = 50
"""Of a stream: those seen last."""
_NAME_AT_MOST = 120
_FRAME = 5
"""Bytes before an Avro record: a zero, then the schema id (Confluent's wire format)."""


class Writers:
    """A stream's producers and their schemas, since this began."""

    def __init__(self, stream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._steps: deque[Counter[Writer]] = deque([Counter()], maxlen=_STEPS)
        self._stepped_at = clock()
        self._seen_ms: dict[Writer, int] = {}
        self._facts: tuple[SchemaSeen, ...] = ()

    def look(self, read: Sequence[tuple[Hop, Message]]) -> None:
        """Look at some of what was read, of which only raw records count."""
        step = max(1, len(read) // _LOOKED_AT)
        for hop, message in read[random.randrange(step) :: step]:  # noqa: S311 (of a sample, not of a secret)
            if hop is Hop.RAW and message.error() is None and (writer := _writer(message)) is not None:
                self._steps[-1][writer] += 1
                self._seen_ms[writer] = max(self._seen_ms.get(writer, 0), message.timestamp()[1])

    def facts(self) -> tuple[SchemaSeen, ...]:
        """Each producer with each of its schemas; the same until some seconds have passed."""
        passed = int((self._clock() - self._stepped_at) / _STEP_S)
        if passed:
            self._facts = self._counted()
            self._stepped_at += passed * _STEP_S
            self._steps.extend(Counter() for _ in range(min(passed, _STEPS)))
        return self._facts

    def _counted(self) -> tuple[SchemaSeen, ...]:
        latest = sorted(self._seen_ms, key=lambda writer: self._seen_ms[writer], reverse=True)[:_KEPT]
        self._seen_ms = {writer: self._seen_ms[writer] for writer in latest}
        sample: Counter[Writer] = sum(self._steps, Counter())
        return tuple(
            SchemaSeen(
                at=datetime.now(UTC),
                stream=self._stream,
                producer=writer[0],
                schema_id=writer[1],
                sampled=sample[writer],
                of=sample.total(),
                seen_at=datetime.fromtimestamp(self._seen_ms[writer] / 1000, UTC),
            )
            for writer in latest
        )


def _writer(message: Message) -> Writer | None:
    """None for a record that is not framed Avro."""
    value = message.value() or b""
    if len(value) < _FRAME or value[0] != 0:
        return None
    name = next((said for key, said in message.headers() or () if key == HEADER_PRODUCER and said), None)
    shown = None if name is None else name.decode("utf-8", "replace")[:_NAME_AT_MOST]
    return shown, int.from_bytes(value[1:_FRAME], "big")
