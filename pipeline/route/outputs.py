"""How many records have route's outputs? Asked of the broker about once a second, and never waited for.

The sink writes no transactions, so each offset is a record. A broker that does not answer gives no sample: what is not known
opens no breaker.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from controlplane.contract.names import Hop, topic
from pipeline.kafka import OUTPUT_HOPS
from pipeline.route.breaker import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from typing import Any

    from confluent_kafka.admin import AdminClient

_EVERY_S = 1.0
_TIMEOUT_S = 5.0


class Outputs:
    """Of one stream; `look` as often as you like."""

    def __init__(self, admin: AdminClient, stream: str) -> None:
        self._admin, self._stream = admin, stream
        self._asked: dict[TopicPartition, Future[Any]] = {}
        self._asked_at = float("-inf")

    def look(self, partitions: Sequence[int]) -> Sample | None:
        """A new sample when the broker has answered since the last look."""
        if not self._asked:
            if time.monotonic() - self._asked_at >= _EVERY_S:
                self._ask(partitions)
            return None
        if not all(each.done() for each in self._asked.values()):
            return None
        asked, self._asked = self._asked, {}
        try:
            ends = {place: future.result().offset for place, future in asked.items()}
        except KafkaException:
            return None
        return self._sample(ends)

    def _ask(self, partitions: Sequence[int]) -> None:
        self._asked_at = time.monotonic()
        places = [TopicPartition(topic(self._stream, hop), each) for hop in OUTPUT_HOPS for each in partitions]
        latest = OffsetSpec.latest()
        self._asked = self._admin.list_offsets(dict.fromkeys(places, latest), request_timeout=_TIMEOUT_S)

    def _sample(self, ends: dict[TopicPartition, int]) -> Sample:
        def total(hop: Hop) -> int:
            return sum(end for place, end in ends.items() if place.topic == topic(self._stream, hop))

        return Sample(
            at=datetime.now(UTC), valid=total(Hop.VALID), dead=total(Hop.DEAD), quarantined=total(Hop.QUARANTINE)
        )
