"""How many events were produced? Counted, because offsets are not counts: transactions leave markers among them.

A `read_committed` reading of the raw topic is the only thing that counts events as every reader sees them. It goes on
where it stopped, also after a restart: the count and its offset are kept together in one small file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, TopicPartition

from controlplane.contract.names import Hop, topic
from pipeline.kafka import watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from confluent_kafka import Consumer

_AT_ONCE = 20_000
_WITHIN_S = 0.2


@dataclass
class Counted:
    """Events of one partition in `[since, until)`."""

    since: int
    until: int
    events: int


class ProducedCount:
    """A stream's running count, by partition."""

    def __init__(self, client: Consumer, stream: str, partitions: Sequence[int], kept_in: Path) -> None:
        self._client = client
        self._file = kept_in / f"{stream}.json"
        kept_in.mkdir(parents=True, exist_ok=True)
        name = topic(stream, Hop.RAW)
        self.counted = self._read() if self._file.exists() else {}
        for partition, (low, high) in watermarks(client, name, partitions).items():
            kept = self.counted.get(partition)
            if kept is None or not low <= kept.until <= high:
                self.counted[partition] = Counted(low, low, 0)
        client.assign([TopicPartition(name, partition, each.until) for partition, each in self.counted.items()])

    def advance(self, rounds: int) -> None:
        """Count what has come, up to a bound of rounds of 20,000 events.

        Raises:
            KafkaException: if the broker refuses.
        """
        for _ in range(rounds):
            messages = self._client.consume(_AT_ONCE, timeout=_WITHIN_S)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                each = self.counted[message.partition()]
                each.events += 1
                each.until = message.offset() + 1
            if len(messages) < _AT_ONCE:
                break
        self._write()

    def _read(self) -> dict[int, Counted]:
        return {int(partition): Counted(**kept) for partition, kept in json.loads(self._file.read_text()).items()}

    def _write(self) -> None:
        partial = self._file.with_suffix(".part")
        partial.write_text(json.dumps({partition: asdict(each) for partition, each in self.counted.items()}))
        partial.replace(self._file)
