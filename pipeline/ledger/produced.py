"""How many events were produced? Counted, because offsets are not counts: transactions leave markers among them.

A `read_committed` reading of the raw topic is the only thing that counts events as every reader sees them. It goes on
where it stopped, also after a restart: the count and its offset are kept together in one small file.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from controlplane.contract.names import Hop, topic
from pipeline.kafka import watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from confluent_kafka import Consumer, Message

_AT_ONCE = 20_000
_WITHIN_S = 0.1
_CATCH_UP_WITHIN_S = 3.0


class StillCountingError(Exception):
    """The count has not come to the topic's end."""


@dataclass
class Counted:
    """Events of one partition in `[since, until)`."""

    since: int
    until: int
    events: int


class ProducedCount:
    """A stream's running count, by partition; its consumer must say where partitions end (`enable.partition.eof`)."""

    def __init__(self, client: Consumer, stream: str, partitions: Sequence[int], kept_in: Path) -> None:
        self._client = client
        self._name = topic(stream, Hop.RAW)
        self._end_seen: dict[int, int] = {}
        self._file = kept_in / f"{stream}.json"
        kept_in.mkdir(parents=True, exist_ok=True)
        name = self._name
        self.counted = self._read() if self._file.exists() else {}
        for partition, (low, high) in watermarks(client, name, partitions).items():
            kept = self.counted.get(partition)
            if kept is None or not low <= kept.until <= high:
                self.counted[partition] = Counted(low, low, 0)
        client.assign([TopicPartition(name, partition, each.until) for partition, each in self.counted.items()])

    def advance(self) -> None:
        """Count up to where the topic ended when this was called.

        Raises:
            KafkaException: if the broker refuses.
            StillCountingError: if there is more to count than fits into a few seconds; the next call goes on.
        """
        ends = {partition: high for partition, (_, high) in watermarks(self._client, self._name, self.counted).items()}
        deadline = time.monotonic() + _CATCH_UP_WITHIN_S
        while behind := [partition for partition, end in ends.items() if self._seen(partition) < end]:
            for message in self._client.consume(_AT_ONCE, timeout=_WITHIN_S):
                self._take(message)
            if time.monotonic() > deadline:
                self._write()
                left = sum(ends[partition] - self.counted[partition].until for partition in behind)
                raise StillCountingError(f"still counting, {left:,} offsets to go")
        self._write()

    def _seen(self, partition: int) -> int:
        """Up to where the partition was read. On a busy one the news of its end may never come: new events come first."""
        return max(self._end_seen.get(partition, -1), self.counted[partition].until)

    def _take(self, message: Message) -> None:
        """An event, or the news that a partition ends here: past its last commit marker, where no event tells."""
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
            raise KafkaException(error)
        each = self.counted[message.partition()]
        if error is not None:
            self._end_seen[message.partition()] = each.until = message.offset()
        else:
            each.events += 1
            each.until = message.offset() + 1

    def _read(self) -> dict[int, Counted]:
        return {int(partition): Counted(**kept) for partition, kept in json.loads(self._file.read_text()).items()}

    def _write(self) -> None:
        partial = self._file.with_suffix(".part")
        partial.write_text(json.dumps({partition: asdict(each) for partition, each in self.counted.items()}))
        partial.replace(self._file)
